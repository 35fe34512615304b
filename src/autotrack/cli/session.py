"""What commands share: opening the store, completing RUN, and common arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from autotrack.cli import screen
from autotrack.exceptions import NotFoundError
from autotrack.ids import short_id

if TYPE_CHECKING:
    from autotrack.place import Place
    from autotrack.query.reader import Reader
    from autotrack.recording.collector import Collector

COMPLETIONS = 200
UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # some typer versions bundle click, others import it


class NothingRecorded(Exception):  # noqa: N818 - it is an answer, not an error
    """Nothing has been recorded at this place; not an error. `answer` is the output for `--json`."""

    def __init__(self, place: Place, answer: str | None = None) -> None:
        super().__init__(str(place.path))
        self.place = place
        self.answer = answer


def is_empty(owner: Collector) -> bool:
    """Whether there is neither a store nor a journal at the place of `owner`, so that opening it would create files."""
    place = owner.place
    return owner.settings.store is None and not place.database.exists() and not place.journals.is_dir()


@contextmanager
def reading(answer: str | None = None, *, wanted: Sequence[str] = (), where: str = "") -> Iterator[Reader]:
    """Open a reader and fold pending journals into its store.

    If nothing is recorded yet, `NothingRecorded` with `answer`, or `NotFoundError` if `wanted` names runs; before that
    `FilterError` if the filter `where` is wrong.
    """
    if where:
        from autotrack.query.filters import check_filter

        check_filter(where)
    from autotrack.query.reader import open_reader
    from autotrack.query.upkeep import has_runs
    from autotrack.recording.collector import collector

    owner = collector()
    if is_empty(owner):
        raise _nothing(owner.place, answer, wanted)
    with open_reader(owner.settings, owner.place, owner.append) as reader:
        with screen.working("taking up new records") as tick:
            reader.fold(tick)
        if not has_runs(reader.store):
            raise _nothing(owner.place, answer, wanted)
        yield reader


def _nothing(place: Place, answer: str | None, wanted: Sequence[str]) -> Exception:
    if wanted:
        return NotFoundError(f"there is no run {wanted[0]!r}: no runs yet in {place.path}")
    return NothingRecorded(place, answer)


def say_empty(empty: NothingRecorded) -> None:
    """Print that nothing is recorded yet and what to do, or the answer for `--json`."""
    from autotrack.settings import FOLDER, fallback_place

    lines = [f"no runs yet in {empty.place.path} ({empty.place.reason})"]
    nearby, fallback = empty.place.path / FOLDER, fallback_place().path
    if nearby.is_dir():
        lines.append(f"there are some in {nearby}: autotrack --dir {nearby} runs")
    elif fallback.is_dir() and fallback != empty.place.path:
        lines.append(
            f"some went to {fallback}, when their own place could not be written: autotrack --dir {fallback} runs"
        )
    else:
        lines.append("record the first: put autotrack.autolog() at the top of a training script, and run it")
    if empty.answer is None:
        screen.write("\n".join(lines) + "\n")
    else:
        screen.write(empty.answer + "\n")
        screen.say(lines[0])


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Shell completion of RUN: ids and names that begin with `incomplete`, those of the latest runs first."""
    from autotrack.query.completion import latest_runs
    from autotrack.settings import find_place, load

    settings = load()
    found = latest_runs(find_place(settings), settings.store, COMPLETIONS)
    offered = {"last": "the last run"}
    for run in found:
        offered.setdefault(run.name, f"{run.experiment} · {short_id(run.id)}")
    if incomplete:
        offered |= {run.id: f"{run.name} · {run.experiment}" for run in found}
    return [(word, remark) for word, remark in offered.items() if word.startswith(incomplete)]


FilterArgument = Annotated[
    str, typer.Argument(metavar="FILTER", help='A condition, as "params.lr > 0.01 and run.status = finished".')
]
FilterOption = Annotated[str, typer.Option("--filter", "-f", metavar="FILTER", help="Among the runs that match.")]
ExperimentOption = Annotated[str | None, typer.Option("--experiment", "-e", metavar="NAME", help="Of one experiment.")]
AllOption = Annotated[bool, typer.Option("--all", "-a", help="Also children: trainings, trials, folds.")]
RUN_HELP = "An id or the beginning of one, a name, last, or last~2."
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]
RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN…", help=RUN_HELP, autocompletion=complete_run)]
LastRunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def shown_path(path: os.PathLike[str] | str) -> str:
    """A path as a person writes it: relative to the current folder where it is inside, else absolute."""
    try:
        absolute, here = os.path.abspath(path), os.getcwd()
    except OSError:  # the current folder was deleted
        return os.fspath(path)
    return os.path.relpath(absolute) if absolute.startswith(here + os.sep) else absolute
