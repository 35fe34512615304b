"""Rooms and floors: what imports what, read from every file, held against the rules and against the drawing.

Every import counts: inside functions and under TYPE_CHECKING, too. A *room* is a package or module directly below
`autotrack`; the floors are the layers of the contract "floors" in pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
TREES = {"autotrack": ROOT / "src" / "autotrack", "autotrack.integrations": ROOT / "integrations"}

Graph = Mapping[str, frozenset[str]]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for package, folder in TREES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            if package != "autotrack" or parts[0] != "integrations":  # a link to the other tree
                name = ".".join([package, *parts]).removesuffix(".__init__")
                found[name] = path
    return found


def imports_of(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in known else node.module


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Which modules each module imports."""
    known = modules()
    return {name: frozenset(imports_of(path, known)) - {name} for name, path in known.items()}


def floors() -> list[list[str]]:
    """The rooms of each floor, from the top down, as pyproject.toml lists them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["id"] == "floors")
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def room_of(module: str) -> str:
    """The room that a module is in; the package's own `__init__` is none."""
    return module.partition(".")[2].partition(".")[0]


def circles(graph: Graph) -> Iterator[list[str]]:
    """Groups of modules of which each reaches every other (Tarjan's strongly connected components, 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                yield from visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], index[other])
        if lowest[module] == index[module]:
            start = stack.index(module)
            component, stack[start:] = stack[start:], []
            if len(component) > 1:
                yield component

    for module in sorted(graph):
        if module not in index:
            yield from visit(module)


def test_the_imports_are_read(graph: Graph) -> None:
    """An import inside a function and one under TYPE_CHECKING are among what is found."""
    assert "autotrack.outputs.html.records" in graph["autotrack._wiring"]
    assert "autotrack.query.records" in graph["autotrack.query.reader"]


def test_a_circle_is_found_and_named() -> None:
    """Three modules that import one another in a ring are one circle; those that only lead to it are not in it."""
    ring = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    found = list(circles({name: frozenset(others) for name, others in ring.items()}))
    assert [sorted(circle) for circle in found] == [["a", "b", "c"]]


def test_no_files_import_one_another_in_a_circle(graph: Graph) -> None:
    """There is no circle of files, at any depth, however the imports are hidden."""
    told = [
        "\n  ".join(f"{module} -> {other}" for module in circle for other in sorted(graph[module] & set(circle)))
        for circle in circles(graph)
    ]
    assert not told, "circles of files:\n  " + "\n  ".join(told)


def test_every_import_goes_down(graph: Graph) -> None:
    """A room imports only from floors below its own; rooms of one floor do not know one another."""
    height = {room: -number for number, rooms in enumerate(floors()) for room in rooms}
    wrong = [
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in others
        if room_of(module) and room_of(other) and room_of(module) != room_of(other)
        if height[room_of(other)] >= height[room_of(module)]
    ]
    assert not wrong, "imports that do not go down:\n  " + "\n  ".join(sorted(wrong))


def test_every_room_has_a_floor(graph: Graph) -> None:
    """No module directly below the package is missing from the list of floors, and none is listed that is not there."""
    listed = [room for rooms in floors() for room in rooms]
    assert sorted(listed) == sorted({room_of(module) for module in graph} - {""})


def drawing() -> str:
    """The drawing in docs/architecture.md, as Mermaid text."""
    (found,) = re.findall(r"```mermaid\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)
    return str(found)


def test_the_drawing_has_the_floors_of_the_house() -> None:
    """Each floor of docs/architecture.md holds just the rooms that pyproject.toml gives it, in the same order."""
    drawn = [re.findall(r"^ {8}(\w+)\[", block, re.MULTILINE) for block in drawing().split("subgraph")[1:]]
    assert drawn == [[room for room in rooms if room != "__main__"] for rooms in floors()[1:]]


def test_what_the_drawing_connects_is_connected(graph: Graph) -> None:
    """Each arrow of the drawing is an import that some file of the one room makes of the other."""
    real = {(room_of(module), room_of(other)) for module, others in graph.items() for other in others}
    drawn = re.findall(r"^ {4}(\w+) -->(?:\|[^|]*\|)? (\w+)$", drawing(), re.MULTILINE)
    assert drawn
    assert [arrow for arrow in drawn if arrow not in real] == []


def test_what_the_page_names_is_there() -> None:
    """Each file, folder and test that docs/architecture.md names exists."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:src|integrations|tests)/[\w/.]+)(?:::(\w+))?`", page)
    assert len(named) > 20
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


def test_what_the_benchmark_imports_is_there() -> None:
    """What is measured beside the package, in an environment of its own, imports modules that exist."""
    known = modules()
    for path in (ROOT / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autotrack."):
                names = {alias.name for alias in node.names}
                assert node.module in known, f"{path.name}: {node.module}"
                text = known[node.module].read_text()
                missing = [n for n in names if f"{node.module}.{n}" not in known and not re.search(rf"\b{n}\b", text)]
                assert not missing, f"{path.name}: {missing} of {node.module}"
