"""The environments of runs: sets of sections, of which the store keeps each content once.

Every section of a run is known by its name, the attempt and the training that recorded it. What a batch adds makes
another set, and the run refers to that one from then on; the runs of one process share it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from autotrack.events import Section
from autotrack.store import schema
from autotrack.store.bulk import Keys, Updater, Writer, insert_new, rows_in
from autotrack.store.folding.rows import GatheredRows, as_json, leaves
from autotrack.store.folding.run_rows import TouchedRuns

_facts = Writer(schema.facts)
_members = Writer(schema.environment_sections)
_of_runs = Updater(schema.runs, key="pk", only=("environment",))


class Place(NamedTuple):
    """What tells the sections of one run apart."""

    name: str
    attempt: int
    training: int


class Content(NamedTuple):
    """A section in the store."""

    pk: int
    digest: str


Environment = dict[Place, Content]


def write_sections(connection: Connection, keys: Keys, gathered: GatheredRows, touched: TouchedRuns) -> None:
    """Write the sections of a batch, and the environments that the runs have with them."""
    if not gathered.sections:
        return
    found = {key: section.digest or section.content_digest() for key, section in gathered.sections.items()}
    contents = store_contents(connection, keys, {found[key]: each for key, each in gathered.sections.items()})
    added: defaultdict[int, Environment] = defaultdict(dict)
    for key, digest in found.items():
        slot, name, attempt = key
        added[slot.pk][Place(name, attempt, slot.training)] = Content(contents[digest], digest)
    known = environments_of(connection, added.keys() & touched.known)
    set_environments(connection, keys, {pk: {**known.get(pk, {}), **new} for pk, new in added.items()})


def move_sections(connection: Connection, keys: Keys, run_pk: int, number: int, child_pk: int) -> None:
    """Move the sections of training `number` to the run of that training."""
    known = environments_of(connection, (run_pk, child_pk))
    mine = {place for place in known.get(run_pk, ()) if place.training == number}
    if mine:
        moved = {place._replace(training=0): known[run_pk].pop(place) for place in mine}
        set_environments(connection, keys, {run_pk: known[run_pk], child_pk: {**known.get(child_pk, {}), **moved}})


def store_contents(connection: Connection, keys: Keys, sections: Mapping[str, Section]) -> dict[str, int]:
    """Store sections by digest, unless they are there, with their leaves; returns the key of each."""

    def row_of(digest: str) -> tuple[Any, ...]:
        section = sections[digest]
        return digest, section.name, as_json(section.data), as_json(section.masked), section.unavailable

    pks, new = insert_new(connection, keys, schema.sections, sections, row_of)
    _facts.write(
        connection,
        [(pks[digest], *leaf) for digest in new for leaf in leaves(sections[digest].data, sections[digest].name)],
    )
    return pks


def set_environments(connection: Connection, keys: Keys, found: Mapping[int, Environment]) -> None:
    """Store the environments of runs, given by the keys of these runs, and refer the runs to them."""
    digests = {pk: _digest(environment) for pk, environment in found.items() if environment}
    distinct = {digest: found[pk] for pk, digest in digests.items()}
    pks, new = insert_new(connection, keys, schema.environments, distinct, lambda digest: (digest,))
    _members.write(connection, [(pks[digest], *row) for digest in new for row in _member_rows(distinct[digest])])
    _of_runs.write(connection, [(pks[digests[pk]] if pk in digests else None, pk) for pk in found])


def environments_of(connection: Connection, runs: Iterable[int]) -> dict[int, Environment]:
    """The environments of the runs with these keys that have one; each is the caller's own."""
    rows = rows_in(connection, schema.runs, "pk", runs, only=("pk", "environment"))
    of_runs = {row.pk: row.environment for row in rows if row.environment is not None}
    found: defaultdict[int, Environment] = defaultdict(dict)
    members, sections = schema.environment_sections.c, schema.sections.c
    for pk in set(of_runs.values()):
        statement = select(members.section_pk, members.attempt, members.training, sections.name, sections.digest).where(
            (members.environment_pk == pk) & (sections.pk == members.section_pk)
        )
        for row in connection.execute(statement):
            found[pk][Place(row.name, row.attempt, row.training)] = Content(row.section_pk, row.digest)
    return {run: dict(found[pk]) for run, pk in of_runs.items()}


def _digest(environment: Environment) -> str:
    parts = sorted(f"{content.digest} {place.attempt} {place.training}" for place, content in environment.items())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _member_rows(environment: Environment) -> Iterable[tuple[int, int, int, bool]]:
    latest: dict[str, Place] = {}
    for place in environment:
        latest[place.name] = max(place, latest.get(place.name, place))
    for place, content in environment.items():
        yield content.pk, place.attempt, place.training, latest[place.name] == place
