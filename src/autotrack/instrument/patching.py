"""Observes calls of methods and functions of frameworks and users; every patch is made here.

A patch observes a call and never makes it: the stand-in calls the user's function itself, exactly once, outside
any code of ours that could catch or repeat the call. The observer is looked up by its key when the call happens, so
that a patch holds no lock, run or file and can be pickled to workers:

    def on_fit(wrapped, instance, args, kwargs):     # before the call
        return Watch()                               # or None, if the rest of the call does not matter

    class Watch:
        def returned(self, result): ...              # after it, with what it returned
        def raised(self, error): ...                 # or with the exception that is passing through

Each of these runs under the guard: an exception in it is one warning and a line in the capture report.
"""

from __future__ import annotations

import copy
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, TracebackType
from typing import Any, Protocol

from autotrack._guard import guarded
from autotrack.instrument.trampolines import FILENAME, MARK, stand_in_for, swapped_code

_UNOBSERVABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Watch(Protocol):
    """Returned by an observer that needs the outcome of the call: one of the two methods is called, once.

    A class that needs only one of them inherits the other, which does nothing.
    """

    def returned(self, result: Any) -> None:
        """The call returned `result`."""
        return

    def raised(self, error: BaseException) -> None:
        """The call raised `error`, which propagates to the caller unchanged."""
        return


Observer = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], "Watch | None"]

_observers: dict[str, Observer] = {}
_originals: dict[str, FunctionType] = {}
_changing = threading.RLock()


class Observation:
    """The context in which a stand-in makes one call: runs the observer before it, the observer's watch after it."""

    __slots__ = ("_call", "_key", "_watch", "result")

    def __init__(
        self, key: str, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self._key = key
        self._call: Any = (wrapped, instance, args, kwargs)
        self._watch: Watch | None = None
        self.result: Any = None

    def __enter__(self) -> Observation:
        observer = _observers.get(self._key)
        if observer is not None:
            with guarded(f"observing {self._key}"):
                self._watch = observer(*self._call)
        self._call = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            with guarded(f"recording {self._key}"):
                if error is None:
                    watch.returned(self.result)
                else:
                    watch.raised(error)


def original_of(key: str) -> FunctionType:
    """A copy, with the original code, of the function that was swapped under `key`; kept for calls under way."""
    return _originals[key]


class Patches:
    """A set of patches that are undone together.

    Classes are held weakly. `undo` restores the original objects, so that the dictionaries of the classes are as
    before. A patch that another library has wrapped meanwhile stays, and passes calls on unobserved.
    """

    def __init__(self) -> None:
        self._attributes: list[tuple[weakref.ref[type], str, Any, Any]] = []
        self._functions: list[tuple[FunctionType, CodeType, CodeType]] = []
        self._keys: set[str] = set()

    def observe(self, key: str, observer: Observer) -> None:
        """Send the calls of everything patched under `key` to `observer`."""
        _observers[key] = observer
        self._keys.add(key)

    def method(self, owner: type, name: str, key: str) -> bool:
        """Observe calls of the method `name` that `owner` itself defines; returns whether it is now patched.

        Functions, class methods and `available_if` methods can be patched; generators, coroutines and other
        descriptors cannot. A method that is patched already stays as it is.
        """
        with _changing:
            present = vars(owner).get(name)
            if present is None or is_patched(present):
                return False
            patched = _patched(present, key)
            if patched is None:
                return False
            setattr(owner, name, patched)
            self._attributes.append((weakref.ref(owner), name, present, patched))
        return True

    def function(self, function: FunctionType, key: str) -> bool:
        """Observe calls of a module-level function without replacing the object: its code is swapped.

        References to it, its identity, its signature and its pickles stay valid. No other function may have `key`.
        Returns False for generators, coroutines, functions of `__main__` (they may be pickled with their code) and
        functions that are swapped already.
        """
        with _changing:
            code = function.__code__
            if function.__module__ == "__main__" or code.co_flags & _UNOBSERVABLE or code.co_filename == FILENAME:
                return False
            original = FunctionType(
                code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
            )
            original.__kwdefaults__ = function.__kwdefaults__
            original.__qualname__ = function.__qualname__
            fresh = swapped_code(function, key)
            _originals[key] = original
            self._functions.append((function, code, fresh))
            function.__code__ = fresh
        return True

    def undo(self) -> None:
        """Remove all patches of this set."""
        with _changing:
            for key in self._keys:
                _observers.pop(key, None)
            for reference, name, present, patched in reversed(self._attributes):
                owner = reference()
                if owner is not None and vars(owner).get(name) is patched:
                    setattr(owner, name, present)
            for function, code, fresh in reversed(self._functions):
                if function.__code__ is fresh:
                    function.__code__ = code
            self._attributes.clear()
            self._functions.clear()
            self._keys.clear()


def is_patched(attribute: Any) -> bool:
    """Whether a value from a class's dictionary is, or wraps, a stand-in of ours."""
    for inner in (attribute, getattr(attribute, "__func__", None), getattr(attribute, "fn", None)):
        if MARK in getattr(inner, "__dict__", ()):
            return True
    return False


def _patched(present: Any, key: str) -> Any:
    if type(present) is FunctionType:
        return None if present.__code__.co_flags & _UNOBSERVABLE else stand_in_for(present, key)
    if type(present) is classmethod:
        inner = _patched(present.__func__, key)
        return None if inner is None else classmethod(inner)
    if type(getattr(present, "fn", None)) is FunctionType and hasattr(type(present), "__get__"):
        inner = _patched(present.fn, key)  # sklearn's available_if
        if inner is None:
            return None
        replica = copy.copy(present)
        replica.fn = inner
        return replica
    return None


def _renew_lock() -> None:
    global _changing  # noqa: PLW0603 - a forked child needs a lock that no thread holds
    _changing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
