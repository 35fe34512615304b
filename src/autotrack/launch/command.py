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
_WITH_VALUE = frozenset("WX")
_LAST = {"c": "a text", "m": "a module"}  # the last options: their value is the program
_BLOCKING = {"I": "-I", "E": "-E", "S": "-S"}


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
    blocking: list[str] = []
    position = 1
    while position < len(words) and words[position].startswith("-") and words[position] != "-":
        option = words[position]
        position += 1
        if option.startswith("--"):
            position += option == "--check-hash-based-pycs"
            continue
        for place, letter in enumerate(option[1:], start=1):
            if letter in _BLOCKING:
                blocking.append(_BLOCKING[letter])
            elif letter in _LAST or letter in _WITH_VALUE:
                attached = option[place + 1 :]
                value = attached or (words[position] if position < len(words) else "")
                position += not attached
                if letter in _LAST:
                    module = value if letter == "m" else None
                    return Command(words, program, True, module=module, blocking=tuple(blocking))
                break
    script = _existing(words[position]) if position < len(words) else None
    return Command(words, program, True, script=script, blocking=tuple(blocking))


def _script_among(words: Sequence[str]) -> Path | None:
    """The first Python script among the words: `torchrun train.py`, `env A=1 python train.py`, `./train.py`."""
    return next((found for word in words if word.endswith(".py") and (found := _existing(word))), None)


def _existing(word: str) -> Path | None:
    path = Path(os.path.abspath(word))
    return path if path.is_file() else None
