"""`tag`, `note`, `rename`, `delete`, `restore`, `gc`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def names(cli: Cli, *arguments: str) -> list[str]:
    """The names that `runs` lists."""
    return [run["name"] for run in cli("runs", "--json", *arguments).json]


def test_tags_are_set_and_removed(cli: Cli, runs: Path) -> None:
    """Several at once; an empty value removes; a value may hold an equals sign; filters find them."""
    assert cli("tag", "tree-1", "stage=prod", "formula=a=b", "team=").out.endswith("formula=a=b  stage=prod\n")
    assert cli("runs", "tags.stage = prod", "--json").json[0]["tags"] == {"formula": "a=b", "stage": "prod"}
    assert cli("tag", "tree-1", "stage=", "--json").json["tags"] == {"formula": "a=b"}


def test_notes_are_kept_with_who_wrote_them(cli: Cli, runs: Path) -> None:
    """From arguments or from stdin, in order."""
    cli("note", "tree-1", "learning", "rate", "too low")
    cli("note", "tree-1", "-", stdin="second\nwith two lines\n")
    notes = cli("show", "tree-1", "--json").json["notes"]
    assert [note["text"] for note in notes] == ["learning rate too low", "second\nwith two lines"]
    assert all(note["user"] for note in notes)
    assert "  learning rate too low  (" in cli("show", "tree-1").out
    assert cli("note", "tree-1", "  ").code == 2


def test_a_run_gets_another_name_and_keeps_its_id(cli: Cli, runs: Path) -> None:
    """The new name is found, the old one no more, the id as ever."""
    before = cli("show", "tree-1", "--json").json["id"]
    assert cli("rename", "tree-1", "slow tree").out == f"tree-1 is now slow tree ({before[:8]})\n"
    assert cli("show", "slow tree", "--json").json["id"] == before
    assert cli("show", before[:6], "--json").json["name"] == "slow tree"
    assert cli("show", "tree-1").code == 1


def test_a_deleted_run_is_hidden_with_its_children_and_comes_back(cli: Cli, runs: Path) -> None:
    """A tombstone hides, `--deleted` shows, `restore` undoes; a child that went before stays away."""
    cli("delete", "fold-1", "--yes")
    deleted = cli("delete", "tree-2", "tree-0", "--yes")
    assert deleted.out.startswith("deleted 3 runs; back with: autotrack restore ")
    assert names(cli) == ["broken", "tree-1"]
    assert names(cli, "--all") == ["broken", "tree-1"]
    assert sorted(names(cli, "--deleted")) == ["fold-1", "fold-2", "tree-0", "tree-2"]
    assert "deleted" in cli("runs", "--deleted").lines[0].split()
    assert cli("show", "tree-2").code == 1
    assert cli("restore", "tree-2").out == "restored 2 runs\n"
    assert sorted(names(cli, "--all")) == ["broken", "fold-2", "tree-1", "tree-2"]


def test_deleting_asks_first(cli: Cli, in_terminal: Cli, runs: Path) -> None:
    """Without `--yes` a person is asked, and a program that cannot answer is refused."""
    refused = cli("delete", "tree-1")
    assert refused.code == 2
    assert "give --yes" in refused.err
    declined = in_terminal("delete", "tree-1", answer="n\n")
    assert declined.code == 1
    assert "tree-1" in declined.out
    assert "Delete 1 run?" in declined.out
    assert "tree-1" in names(cli)
    assert in_terminal("delete", "tree-1", answer="y\n").code == 0
    assert "tree-1" not in names(cli)


def test_gc_frees_deleted_runs_for_good(cli: Cli, runs: Path) -> None:
    """A dry run only tells; after the real one there is nothing to restore."""
    cli("delete", "tree-2", "--yes")
    assert cli("gc", "--dry-run").out.startswith("would free 0 files and 3 deleted runs")
    assert len(names(cli, "--deleted")) == 3
    freed = cli("gc", "--json").json
    assert (freed["dry_run"], len(freed["runs"])) == (False, 3)
    assert names(cli, "--deleted") == []
    assert cli("restore", "tree-2").code == 1
    assert names(cli) == ["broken", "tree-1", "tree-0"]
