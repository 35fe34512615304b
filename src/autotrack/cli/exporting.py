"""Commands that write files about runs: `export`, `report`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import AllOption, ExperimentOption, FilterArgument, Json, UsageError, reading, shown_path


def export(
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A folder, or s3://…, gs://…, az://….")],
    filter: FilterArgument = "",  # noqa: A002 - the word people use
    format: Annotated[str, typer.Option("--format", metavar="parquet|csv", help="Of the files.")] = "parquet",  # noqa: A002
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    experiment: ExperimentOption = None,
    all: AllOption = False,  # noqa: A002 - the word people use
    json: Json = False,
) -> None:
    """Write runs with all their points, as Parquet or CSV."""
    if format not in ("parquet", "csv"):
        raise UsageError(f"--format is parquet or csv, not {format!r}")
    with reading("null" if json else None) as reader:
        from autotrack.outputs.export.runs import export_runs

        found = reader.runs(filter, experiment=experiment, all=all)
        kind: Literal["parquet", "csv"] = "csv" if format == "csv" else "parquet"
        with screen.working("exporting") as tick:
            done = export_runs(found, destination, kind, overwrite=overwrite, progress=tick)
        if json:
            screen.show_json(asdict(done))
            return
        what = (
            f"{wording.counted(done.runs, 'run')}, {wording.counted(done.points, 'point')}, {wording.size(done.bytes)}"
        )
        screen.show(f"{done.destination if '://' in done.destination else shown_path(done.destination)}: {what}")


def report(
    filter: FilterArgument = "",  # noqa: A002 - the word people use
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = "autotrack-report.html",
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's heading.")] = None,
    experiment: ExperimentOption = None,
    all: AllOption = False,  # noqa: A002 - the word people use
    json: Json = False,
) -> None:
    """Write one HTML page about runs, which opens offline.

    It has a table, curves, trade-offs with the Pareto front, and differences.
    """
    with reading("null" if json else None) as reader:
        from autotrack.outputs.report import write_report

        found = reader.runs(filter, experiment=experiment, all=all)
        with screen.working("writing the report") as tick:
            path = write_report(found, output, title=title, progress=tick)
        size = path.stat().st_size
        if json:
            screen.show_json({"path": str(path), "runs": len(found), "bytes": size})
        else:
            screen.show(f"{shown_path(path)}: {wording.counted(len(found), 'run')}, {wording.size(size)}")
