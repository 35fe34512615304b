"""Stand-ins for functions of frameworks and users: same name and parameters; they observe the call and make it.

A stand-in is a plain function made from a few lines of source. Its parameters are those of the original function, so
`inspect.signature`, `getfullargspec` and keyword errors are the same. It looks up `autotrack.instrument.patching` in
`sys.modules` when it is called, and holds no object of ours: pickled by value (cloudpickle, dill) and loaded in a
program without autotrack, it just calls the original.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

MARK = "__autotrack__"
_KEY = "the key that a stand-in reports under"

# Frames of files whose name contains "importlib" and "_bootstrap" are not counted by `warnings.warn(stacklevel=…)`: a
# warning from inside the user's function still points at the user's line.
FILENAME = "<autotrack, not counted, as importlib._bootstrap is not>"

_METHOD = """\
def {factory}({original}{free}):
    def {name}({parameters}):
        {uses_free}
        {ours} = __import__("sys").modules.get("autotrack.instrument.patching")
        if {ours} is None:
            return {original}({call})
        with {ours}.Observation({key!r}, {original}, {instance}, {args}, {kwargs}) as {ours}:
            {ours}.result = {original}({call})
            return {ours}.result
    return {name}
"""

_SWAPPED = """\
def {factory}({free}):
    def {name}({parameters}):
        {uses_free}
        {ours} = __import__("sys").modules["autotrack.instrument.patching"]
        {original} = {ours}.original_of({key!r})
        with {ours}.Observation({key!r}, {original}, None, {args}, {kwargs}) as {ours}:
            {ours}.result = {original}({call})
            return {ours}.result
    return {name}
"""


@dataclass(frozen=True)
class Shape:
    """The parameters of a function as its code object has them, without their defaults."""

    positional_only: tuple[str, ...]
    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    rest: str | None
    keywords: str | None

    @classmethod
    def of(cls, code: CodeType) -> Shape:
        """The shape of the function that has this code."""
        names, count, keywords = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
        more = iter(names[count + keywords :])
        return cls(
            names[: code.co_posonlyargcount],
            names[:count],
            names[count : count + keywords],
            next(more) if code.co_flags & inspect.CO_VARARGS else None,
            next(more) if code.co_flags & inspect.CO_VARKEYWORDS else None,
        )

    @property
    def names(self) -> set[str]:
        """All parameter names."""
        return {*self.positional, *self.keyword_only, *filter(None, (self.rest, self.keywords))}

    def declared(self) -> str:
        """The parameter list as source."""
        parts = list(self.positional)
        if self.positional_only:
            parts.insert(len(self.positional_only), "/")
        if self.rest:
            parts.append(f"*{self.rest}")
        elif self.keyword_only:
            parts.append("*")
        parts += self.keyword_only
        if self.keywords:
            parts.append(f"**{self.keywords}")
        return ", ".join(parts)

    def passed(self) -> str:
        """The arguments of a call that passes all parameters on, as source."""
        parts = [*self.positional, *([f"*{self.rest}"] if self.rest else [])]
        parts += [f"{name}={name}" for name in self.keyword_only]
        return ", ".join([*parts, *([f"**{self.keywords}"] if self.keywords else [])])

    def split(self, *, method: bool) -> tuple[str, str, str]:
        """Source of the instance, of the positional arguments after it, and of the keyword arguments."""
        positional = list(self.positional)
        instance = "None"
        if method:
            instance = positional.pop(0) if positional else f"({self.rest} or (None,))[0]"
        star = [f"*{self.rest}"] if self.rest else []
        if method and not self.positional:
            star = [f"*{self.rest}[1:]"]
        args = ", ".join([*positional, *star])
        kwargs = [f"{name!r}: {name}" for name in self.keyword_only]
        kwargs += [f"**{self.keywords}"] if self.keywords else []
        return instance, f"({args},)" if args else "()", "{" + ", ".join(kwargs) + "}"


def stand_in_for(function: FunctionType, key: str) -> FunctionType:
    """A method that reports its calls under `key` and calls `function`; keeps name, parameters, docs and attributes."""
    code = function.__code__
    made: FunctionType = _compiled(_METHOD, Shape.of(code), ())(function)
    made.__code__ = _named(made.__code__, key, code.co_name, getattr(code, "co_qualname", code.co_name))
    functools.update_wrapper(made, function)
    made.__defaults__ = function.__defaults__
    made.__kwdefaults__ = None if function.__kwdefaults__ is None else dict(function.__kwdefaults__)
    setattr(made, MARK, key)
    return made


def swapped_code(function: FunctionType, key: str) -> CodeType:
    """Code to put into `function` in place of its own: reports calls under `key` and calls the original."""
    code = function.__code__
    made: FunctionType = _compiled(_SWAPPED, Shape.of(code), code.co_freevars)(*code.co_freevars)
    return _named(made.__code__, key, code.co_name, getattr(code, "co_qualname", code.co_name))


def _named(code: CodeType, key: str, name: str, qualified: str) -> CodeType:
    """A copy of `code` with other names, reporting under `key`: far cheaper than compiling it for each function."""
    changes: dict[str, Any] = {
        "co_name": name,
        "co_consts": tuple(key if constant == _KEY else constant for constant in code.co_consts),
    }
    if hasattr(code, "co_qualname"):
        changes["co_qualname"] = qualified
    return code.replace(**changes)


@functools.lru_cache(maxsize=1024)
def _compiled(template: str, shape: Shape, free: tuple[str, ...]) -> Any:
    taken = shape.names | set(free)
    own = {word: _unused(word, taken) for word in ("original", "ours", "factory", "call")}
    instance, args, kwargs = shape.split(method=template is _METHOD)
    source = template.format(
        original=own["original"], ours=own["ours"], factory=own["factory"], name=own["call"], key=_KEY,
        parameters=shape.declared(), call=shape.passed(), instance=instance, args=args, kwargs=kwargs,
        free=", ".join(free), uses_free=f"if 0: {', '.join(free)}" if free else "pass",
    )  # fmt: skip
    space: dict[str, Any] = {}
    exec(compile(source, FILENAME, "exec"), space)  # made of identifiers of an existing function
    return space.pop(own["factory"])


def _unused(word: str, taken: set[str]) -> str:
    name = f"_autotrack_{word}"
    while name in taken:
        name += "_"
    return name
