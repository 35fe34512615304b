"""Analysis of a launched command line: the program, and the script or module that a Python runs."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotrack.exceptions import AutotrackError

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit codes of a shell for these errors
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?(?:\.exe)?")
# The options of CPython that matter here; all others are flags.
_BLOCKING = frozenset({"-I", "-E", "-S"})
_WITH_VALUE = frozenset({"-c", "-m", "-W", "-X", "--check-hash-based-pycs"})
_PROGRAM = frozenset({"-c", "-m"})  # the value is the program: what follows are its arguments


class CommandError(AutotrackError):
    """The command cannot be started; `code` is the exit code of a shell for this error."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Command:
    """A command: `words` as given, `program` the path of the executable.

    For a Python: `script` or `module` is the program that it runs, `blocking` its options that disable start-up code.
    """

    words: tuple[str, ...]
    program: str
    is_python: bool = False
    script: Path | None = None
    module: str | None = None
    blocking: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> Command:
        """Parse `words`: a program with its arguments, `-m MODULE …`, or a Python script.

        `CommandError` if there is no such program, or if it may not be executed.
        """
        first = words[0]
        if first == "-m" or (first.endswith(".py") and os.path.isfile(first) and not os.access(first, os.X_OK)):
            words = (sys.executable, *words)
        program = _found(words[0])
        if not _PYTHON.fullmatch(os.path.basename(words[0])):
            return cls(tuple(words), program, script=_script_among(words))
        return _python(tuple(words), program)

    @property
    def name(self) -> str:
        """The name for display: that of the script or module, else of the program."""
        if self.module is not None:
            return self.module.removesuffix(".__main__").rpartition(".")[2]
        return (self.script or Path(self.words[0])).stem or "command"

    def facts(self) -> dict[str, Any]:
        """The facts of the command for the section `process`; secrets are not yet redacted."""
        from autotrack.environment.process import digest

        words = list(self.words)
        facts: dict[str, Any] = {"argv": words, "command": [self.program, *words[1:]]}
        if self.script is not None:
            facts["script"] = str(self.script)
            facts["script_digest"] = digest(self.script)
        return {name: value for name, value in facts.items() if value is not None}


def _found(word: str) -> str:
    path = shutil.which(word)
    if path is not None:
        return path
    if os.path.dirname(word) and os.path.exists(word):
        what = "it is a folder" if os.path.isdir(word) else "it may not be executed"
        raise CommandError(f"{word}: {what}", NOT_EXECUTABLE)
    raise CommandError(f"{word}: there is no such command", NOT_FOUND)


def _python(words: tuple[str, ...], program: str) -> Command:
    """Parse the options of a Python interpreter up to the script, module or code that it runs."""
    script = module = None
    blocking: list[str] = []
    following = iter(words[1:])
    for word in following:
        if word == "-":
            break
        if word == "--" or not word.startswith("-"):
            script = _existing(next(following, "") if word == "--" else word)
            break
        options, attached = _options(word)
        blocking += [option for option in options if option in _BLOCKING]
        last = options[-1]
        value = (attached or next(following, "")) if last in _WITH_VALUE else ""
        if last in _PROGRAM:
            module = value if last == "-m" else None
            break
    return Command(words, program, True, script, module, tuple(blocking))


def _options(word: str) -> tuple[list[str], str]:
    """The options in one word, and the value attached to the last of them: `-IWignore` is -I and -W with "ignore"."""
    if word.startswith("--"):
        return [word], ""
    options: list[str] = []
    for place, letter in enumerate(word[1:], start=2):
        options.append(f"-{letter}")
        if options[-1] in _WITH_VALUE:
            return options, word[place:]
    return options, ""


def _script_among(words: Sequence[str]) -> Path | None:
    """The first Python script among the words: `torchrun train.py`, `env A=1 python train.py`, `./train.py`."""
    return next((found for word in words if word.endswith(".py") and (found := _existing(word))), None)


def _existing(word: str) -> Path | None:
    if not word:
        return None
    path = Path(os.path.abspath(word))
    return path if path.is_file() else None
