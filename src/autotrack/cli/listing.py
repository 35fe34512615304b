"""Commands about many runs: `runs`, `best`, `pareto`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import AllOption, ExperimentOption, FilterArgument, FilterOption, Json, UsageError, reading
from autotrack.ids import short_id

if TYPE_CHECKING:
    from autotrack.cli.tables import Table
    from autotrack.query.records import Runs

SHOWN = 20


def runs(
    filter: FilterArgument = "",  # noqa: A002 - the word people use
    experiment: ExperimentOption = None,
    order_by: Annotated[
        list[str] | None,
        typer.Option(
            "--order-by", "-o", metavar="NAME", help="As metrics.val/loss.min; --order-by=-NAME is largest first."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="How many, 0 for all. By default 20, with --json all.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", "-c", metavar="A,B,…", help="As name,params.lr,metrics.val/loss.min."),
    ] = None,
    all: AllOption = False,  # noqa: A002 - the word people use
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were deleted, instead.")] = False,
    json: Json = False,
) -> None:
    """List recorded runs, the latest first.

    FILTER compares params.NAME, metrics.NAME (its last value, or .min .max .first), tags.NAME, run.status, run.started,
    run.duration, git.branch, env.gpu, packages.torch, datasets.name and more, with and, or, not and parentheses.
    """
    names = [name.strip() for part in columns or () for name in part.split(",") if name.strip()]
    if limit is None:
        limit = 0 if json else SHOWN
    with reading("[]" if json else None, where=filter) as reader:
        found = reader.runs(filter, experiment=experiment, order_by=order_by or None, all=all, deleted=deleted)
        shown = found[:limit] if limit else found
        if json:
            _show_json(shown, names)
        elif not found:
            _say_none(filtered=bool(filter or experiment), deleted=deleted)
        else:
            hidden = _table(shown, names, order_by or ()).show()
            _say_more(len(found) - len(shown), hidden)


def best(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="As val/accuracy.")],
    mode: Annotated[
        str | None,
        typer.Option("--mode", "-m", metavar="max|min", help="Which way is better; by default its name tells."),
    ] = None,
    filter: FilterOption = "",  # noqa: A002 - the word people use
    experiment: ExperimentOption = None,
    json: Json = False,
) -> None:
    """Show the run with the best value of a metric over all steps."""
    if mode not in (None, "max", "min"):
        raise UsageError(f"--mode is max or min, not {mode!r}")
    with reading("null" if json else None, where=filter) as reader:
        from autotrack.cli.run_table import table_of_runs, values_of
        from autotrack.query import analysis
        from autotrack.query.fields import AGGREGATES
        from autotrack.query.shapes import run_shape

        if mode is None and analysis.sense(metric) is None:
            raise UsageError(f"the name {metric!r} does not tell which way is better: --mode max or --mode min")
        among = reader.runs(filter, experiment=experiment, all=True)
        found = among.take([analysis.place_of_best(among, metric, mode)])
        record = found[0]
        mode = mode or analysis.sense(metric)
        plain = metric.removeprefix("metrics.")
        aggregate = plain.rpartition(".")[2]
        name = plain if aggregate in AGGREGATES else f"{plain}.{mode}"
        (value,) = values_of(found, f"metrics.{name}")
        step = getattr(record.metrics.get(plain), f"{mode}_step", None)
        if json:
            screen.show_json({"metric": plain, "mode": mode, "value": value, "step": step, "run": run_shape(record)})
            return
        at = f" at step {step}" if step is not None and record.metrics[plain].count > 1 else ""
        screen.show(
            screen.visible(
                f"{plain} {wording.number(value)}{at}, the {mode}imum of {wording.counted(len(among), 'run')}"
            ),
            "",
        )
        table_of_runs(found).show()
        screen.remark("", f"autotrack show {short_id(record.id)}")


def pareto(
    objectives: Annotated[
        list[str], typer.Argument(metavar="NAME:max|min…", help="As metrics.accuracy:max run.duration:min.")
    ],
    filter: FilterOption = "",  # noqa: A002 - the word people use
    experiment: ExperimentOption = None,
    all: AllOption = False,  # noqa: A002 - the word people use
    json: Json = False,
) -> None:
    """List the runs that no other beats in all objectives at once."""
    senses = dict(_objective(text) for text in objectives)
    with reading("[]" if json else None, where=filter) as reader:
        from autotrack.cli.run_table import table_of_runs, values_of
        from autotrack.query.shapes import as_json, run_shape

        among = reader.runs(filter, experiment=experiment, all=all)
        front = among.pareto(senses)
        if json:
            values = {name: values_of(front, name) for name in senses}
            screen.show_json_list(
                {**as_json(run_shape(record)), "objectives": {name: column[row] for name, column in values.items()}}
                for row, record in enumerate(front)
            )
        elif not front:
            screen.say("no run has a number for each of the objectives" if among else "no runs match")
        else:
            table_of_runs(front, list(senses)).show()
            screen.remark(
                "",
                f"{wording.counted(len(front), 'run')} of {len(among)}: each of the others is beaten by one of these",
            )


def _objective(text: str) -> tuple[str, str]:
    name, colon, mode = text.rpartition(":")
    if not colon or mode not in ("min", "max"):
        raise UsageError(f"{text!r}: write NAME:max or NAME:min, as in metrics.accuracy:max")
    return name, mode


def _show_json(runs: Runs, names: Sequence[str]) -> None:
    """Write the values of `names` in each run as JSON, or whole runs if there are no names."""
    from autotrack.cli.run_table import values_of
    from autotrack.query.shapes import run_shape

    if names:
        rows = zip(*(values_of(runs, name) for name in names), strict=True)
        screen.show_json_list(dict(zip(names, row, strict=True)) for row in rows)
    else:
        screen.show_json_list(map(run_shape, runs))


def _table(runs: Runs, names: Sequence[str], order_by: Sequence[str]) -> Table:
    """A table of the columns `names`; without names of the usual ones, and of what the runs are ordered by."""
    from autotrack.cli.run_table import table_of_columns, table_of_runs

    if names:
        return table_of_columns(runs, names)
    return table_of_runs(runs, [name.removeprefix("-").removeprefix("+") for name in order_by])


def _say_none(*, filtered: bool, deleted: bool) -> None:
    if filtered:
        screen.say("no runs match")
    else:
        screen.say("no deleted runs" if deleted else "no runs; autotrack runs --deleted lists those that were deleted")


def _say_more(more: int, hidden: int) -> None:
    remarks = [f"{wording.counted(more, 'more run')}: --limit 0"] if more > 0 else []
    if screen.is_terminal():
        remarks += [f"{wording.counted(hidden, 'more column')}: widen, or --columns"] if hidden else []
        screen.remark(*(["", " · ".join(remarks)] if remarks else []))
    elif remarks:
        screen.say(remarks[0])
