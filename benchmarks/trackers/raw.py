"""The baseline for searches: three plain tables with the indexes that the query wants, and SQL written for it."""

from __future__ import annotations

import sqlite3

from benchmarks.trackers.base import Log, NotOffered, Params, Tracker, param_of, point

TABLES = """
CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT, status TEXT, started REAL);
CREATE TABLE params (run INTEGER, key TEXT, number REAL, text TEXT, PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE TABLE metrics (run INTEGER, key TEXT, last REAL, PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE INDEX params_by_run ON params (run);
CREATE INDEX metrics_by_run ON metrics (run);
CREATE INDEX params_by_number ON params (key, number, run);
"""
SEARCH = """
SELECT runs.id, runs.name, runs.status, runs.started, metrics.last
FROM params JOIN runs ON runs.id = params.run JOIN metrics ON metrics.run = runs.id AND metrics.key = 'loss'
WHERE params.key = 'lr' AND params.number = 0.1 ORDER BY metrics.last LIMIT ?
"""


class RawSql(Tracker):
    """No tracker at all: what SQLite itself needs for the same answer."""

    name = "raw SQL (baseline)"
    imports = "import sqlite3"
    script = "import sqlite3\n"

    def open(self, name: str = "run", params: Params | None = None) -> Log:
        raise NotOffered("a baseline for searches only")

    def finish(self) -> None:
        return

    def count(self, metric: str) -> int:
        raise NotOffered("a baseline for searches only")

    def fill_searchable(self, runs: int) -> None:
        with sqlite3.connect("raw.db") as database:
            database.executescript(TABLES)
            for number in range(runs):
                database.execute("INSERT INTO runs VALUES (?, ?, 'finished', ?)", (number, f"run-{number}", number))
                for key, value in param_of(number).items():
                    numeric = None if isinstance(value, str) else value
                    database.execute("INSERT INTO params VALUES (?, ?, ?, ?)", (number, key, numeric, str(value)))
                database.execute("INSERT INTO metrics VALUES (?, 'loss', ?)", (number, point(number, 0, 0)))

    def search(self, limit: int | None) -> int:
        with sqlite3.connect("raw.db") as database:
            found = database.execute(SEARCH, (-1 if limit is None else limit,)).fetchall()
            if limit is not None:
                marks = ",".join("?" * len(found))
                runs = [row[0] for row in found]
                database.execute(f"SELECT run, key, text FROM params WHERE run IN ({marks})", runs).fetchall()
                database.execute(f"SELECT run, key, last FROM metrics WHERE run IN ({marks})", runs).fetchall()
        return len(found)
