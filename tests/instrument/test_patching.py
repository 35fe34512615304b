"""A patch observes calls of methods and functions, changes nothing else, and goes away completely."""

from __future__ import annotations

import abc
import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
import threading
import warnings

import cloudpickle
import pytest
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.utils.metaestimators import available_if

from autotrack.instrument import patching
from autotrack.instrument.patching import Patches

KEY = "test.call"


class Log:
    """An observer that keeps what it saw."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, tuple[object, ...], dict[str, object]]] = []
        self.ends: list[tuple[str, object]] = []

    def __call__(self, wrapped, instance, args, kwargs):
        self.calls.append((instance, args, dict(kwargs)))
        return self

    def returned(self, result):
        self.ends.append(("returned", result))

    def raised(self, error):
        self.ends.append(("raised", error))


class Model:
    """Something with the kinds of methods that estimators have."""

    def __init__(self, ready: bool = True) -> None:
        self.ready = ready

    def fit(self, X, y=None, *, weight: float = 1.0, **more):
        """Learn."""
        return self, X, y, weight, more

    def positional(self, a, b=2, /, c=3, *rest):
        return a, b, c, rest

    def bare(*args, **kwargs):
        return args[1:], kwargs

    def broken(self):
        raise ValueError("from the user")

    @classmethod
    def made(cls, n=1):
        return cls, n

    @available_if(lambda self: self.ready)
    def fit_predict(self, X):
        """Learn and tell."""
        return X

    def steps(self):
        yield 1

    async def later(self):
        return 1


NAMES = ("fit", "positional", "bare", "broken", "made", "fit_predict", "steps", "later")


@pytest.fixture
def log():
    """All methods of `Model`, observed; put back afterwards."""
    before = dict(vars(Model))
    patches, log = Patches(), Log()
    patches.observe(KEY, log)
    for name in NAMES:
        patches.method(Model, name, KEY)
    yield log
    patches.undo()
    assert all(vars(Model)[name] is value for name, value in before.items())
    assert [name for name in vars(Model) if name in before] == list(before)


def test_calls_are_seen_with_what_they_were_given_and_what_they_returned(log):
    """The observer hears instance, arguments and result; the caller gets the very object that was returned."""
    model, data = Model(), object()
    result = model.fit(data, weight=2.0, extra="x")
    assert result == (model, data, None, 2.0, {"extra": "x"})
    assert log.calls == [(model, (data, None), {"weight": 2.0, "extra": "x"})]
    assert log.ends == [("returned", result)]
    assert log.ends[0][1] is result


def test_every_way_of_calling_gives_what_it_gave_before(log):
    """Defaults, positional-only and star parameters, class methods and unbound calls work as without the patch."""
    model = Model()
    assert model.positional(1) == (1, 2, 3, ())
    assert model.positional(1, 4, 5, 6) == (1, 4, 5, (6,))
    assert model.bare(1, k=2) == ((1,), {"k": 2})
    assert Model.fit(model, 1) == (model, 1, None, 1.0, {})
    assert Model.made() == (Model, 1)
    assert [instance for instance, _, _ in log.calls] == [model, model, model, model, Model]


def test_wrong_arguments_raise_the_same_error(log):
    """A missing or unknown argument is the same TypeError with the same message."""
    patched = [_message(lambda: Model().fit()), _message(lambda: Model().positional(a=1))]
    log_free = Patches()
    log_free.observe(KEY, log)
    with _unpatched():
        assert patched == [_message(lambda: Model().fit()), _message(lambda: Model().positional(a=1))]
    assert log.calls == []


def test_the_users_exception_passes_through_as_it_is(log):
    """The caller sees the same exception object, without cause, context or notes of ours."""
    with pytest.raises(ValueError, match="from the user") as caught:
        Model().broken()
    assert log.ends == [("raised", caught.value)]
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert not getattr(caught.value, "__notes__", [])
    assert caught.traceback[-1].name == "broken"


def test_what_can_be_asked_of_a_method_is_answered_as_before(log):
    """Signature, names, docs, kind and defaults of patched methods are those of the original."""
    before = {name: _described(inspect.getattr_static(_Original, name)) for name in ("fit", "positional", "bare")}
    after = {name: _described(vars(Model)[name]) for name in ("fit", "positional", "bare")}
    assert {name: value[1:] for name, value in after.items()} == {name: value[1:] for name, value in before.items()}
    assert inspect.isfunction(Model.fit)
    assert inspect.ismethod(Model().fit)
    assert Model.fit is Model.fit
    assert "Learn." in inspect.getsource(Model.fit)


def test_methods_and_instances_pickle_and_copy(log):
    """Instances, bound methods and functions of a patched class travel by pickle, cloudpickle and deepcopy."""
    model = Model()
    for module in (pickle, cloudpickle):
        assert module.loads(module.dumps(model.fit))(5)[1] == 5
        assert module.loads(module.dumps(Model.fit)) is Model.fit
    assert copy.deepcopy(model.fit)(5)[1] == 5


def test_a_class_pickled_by_value_works_where_there_is_no_autotrack():
    """A patched class of `__main__` that cloudpickle ships whole needs nothing of ours at the other end."""
    script = """
import cloudpickle, sys
from autotrack.instrument.patching import Patches
class Mine:
    def fit(self, X, scale=2):
        return X * scale
patches = Patches()
patches.observe("k", lambda *call: None)
assert patches.method(Mine, "fit", "k")
sys.stdout.buffer.write(cloudpickle.dumps((Mine, Mine())))
"""
    shipped = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout
    reader = """
import pickle, sys
sys.modules["autotrack"] = None  # an import of autotrack fails
cls, instance = pickle.loads(sys.stdin.buffer.read())
print(instance.fit(4), cls().fit(1, scale=3))
"""
    done = subprocess.run([sys.executable, "-c", reader], input=shipped, stdout=subprocess.PIPE, check=True)
    assert done.stdout.split() == [b"8", b"3"]


def test_conditional_methods_stay_conditional(log):
    """An `available_if` method exists when its condition holds, and not otherwise."""
    assert Model().fit_predict([1]) == [1]
    assert len(log.calls) == 1
    assert not hasattr(Model(ready=False), "fit_predict")
    assert Model.fit_predict.__doc__ == "Learn and tell."


def test_generators_and_coroutines_are_left_alone(log):
    """What runs later than its call is not patched."""
    assert inspect.isgeneratorfunction(Model.steps)
    assert list(Model().steps()) == [1]
    assert asyncio.run(Model().later()) == 1
    assert log.calls == []


def test_warnings_of_the_users_function_point_where_they_pointed():
    """`warnings.warn(stacklevel=2)` inside a patched method blames the caller's line."""

    class Old:
        def fit(self):
            warnings.warn("use new", DeprecationWarning, stacklevel=2)

    patches = Patches()
    patches.method(Old, "fit", KEY)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Old().fit()
        line = inspect.currentframe().f_lineno - 1
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)
    patches.undo()


def test_abstract_methods_stay_abstract():
    """A class with a patched abstract method still cannot be made, and its children can."""

    class Base(abc.ABC):
        @abc.abstractmethod
        def fit(self): ...

    patches = Patches()
    assert patches.method(Base, "fit", KEY)
    with pytest.raises(TypeError):
        Base()
    assert type("Child", (Base,), {"fit": lambda self: 1})().fit() == 1
    with pytest.raises(TypeError):
        type("Other", (Base,), {})()
    patches.undo()


@pytest.mark.swallows
def test_a_failing_observer_is_a_warning_and_the_call_goes_on(monkeypatch):
    """Exceptions of ours before and after the call reach nobody; the user's function runs exactly once."""
    runs = []

    class Counted:
        def fit(self):
            runs.append(1)
            return "done"

    class Bad:
        def __init__(self, when):
            self.when = when

        def __call__(self, *call):
            if self.when == "before":
                raise RuntimeError("ours")
            return self

        def returned(self, result):
            raise RuntimeError("ours")

    for when in ("before", "after"):
        patches = Patches()
        patches.observe(f"bad.{when}", Bad(when))
        patches.method(Counted, "fit", f"bad.{when}")
        with pytest.warns(UserWarning, match=r"bad\..* failed \(RuntimeError: ours\)"):
            assert Counted().fit() == "done"
        patches.undo()
    assert runs == [1, 1]


def test_interrupts_in_an_observer_belong_to_the_user():
    """Ctrl-C while we look is not swallowed."""

    class Quiet:
        def fit(self):
            raise AssertionError("not reached")

    def interrupted(*call):
        raise KeyboardInterrupt

    patches = Patches()
    patches.observe(KEY, interrupted)
    patches.method(Quiet, "fit", KEY)
    with pytest.raises(KeyboardInterrupt):
        Quiet().fit()
    patches.undo()


def test_patching_twice_is_patching_once(log):
    """A method that is patched already is left as it is, and a call is seen once."""
    again = Patches()
    assert not again.method(Model, "fit", KEY)
    Model().fit(1)
    assert len(log.calls) == 1


def test_threads_that_patch_at_the_same_time_patch_once():
    """Eight threads race to patch one class; one patch is made and one is removed."""

    class Shared:
        def fit(self):
            return 1

    original, patches, log = vars(Shared)["fit"], Patches(), Log()
    patches.observe(KEY, log)
    start = threading.Barrier(8)
    made = []

    def patch():
        start.wait()
        made.append(patches.method(Shared, "fit", KEY))

    threads = [threading.Thread(target=patch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) == 1
    Shared().fit()
    assert len(log.calls) == 1
    patches.undo()
    assert vars(Shared)["fit"] is original


def test_what_others_wrapped_meanwhile_is_left_and_goes_quiet():
    """A later wrapper of somebody else survives `undo`; the patch under it passes calls on unobserved."""

    class Wrapped:
        def fit(self):
            return 1

    patches, log = Patches(), Log()
    patches.observe(KEY, log)
    patches.method(Wrapped, "fit", KEY)
    ours = Wrapped.fit
    theirs = Wrapped.fit = lambda self: ours(self) + 1
    patches.undo()
    assert Wrapped.fit is theirs
    assert Wrapped().fit() == 2
    assert log.calls == []


def test_a_function_is_observed_without_being_replaced():
    """Names imported before, identity, signature, scorers and pickles of a swapped function stay good."""
    before = accuracy_score
    code, signature = accuracy_score.__code__, inspect.signature(accuracy_score)
    pickled, scorer = pickle.dumps(accuracy_score), make_scorer(accuracy_score)
    patches, log = Patches(), Log()
    patches.observe("metric.accuracy", log)
    assert patches.function(accuracy_score, "metric.accuracy")
    assert not patches.function(accuracy_score, "metric.accuracy")
    try:
        assert before([1, 0], [1, 1]) == 0.5
        assert pickle.loads(pickled) is before
        assert pickle.dumps(accuracy_score) == pickled
        assert inspect.signature(accuracy_score) == signature
        assert pickle.loads(pickle.dumps(scorer))._score_func is before
        assert inspect.getclosurevars(accuracy_score).nonlocals
        with pytest.raises(ValueError, match="inconsistent"):
            accuracy_score([1], [1, 2])
    finally:
        patches.undo()
    assert [args for _, args, _ in log.calls] == [([1, 0], [1, 1]), ([1], [1, 2])]
    assert [kind for kind, _ in log.ends] == ["returned", "raised"]
    assert accuracy_score.__code__ is code
    assert accuracy_score([1, 0], [1, 1]) == 0.5
    assert len(log.calls) == 2


def test_plain_functions_with_defaults_and_closures_are_observed():
    """Swapping keeps defaults, keyword-only defaults and closed-over values."""
    factor = 3

    def scaled(x, by=2, *, plus=0):
        return x * by * factor + plus

    patches, log = Patches(), Log()
    patches.observe("fn", log)
    assert patches.function(scaled, "fn")
    assert (scaled(1), scaled(1, 1, plus=1)) == (6, 4)
    patches.undo()
    assert (scaled(1), scaled(1, 1, plus=1)) == (6, 4)
    assert [(args, kwargs) for _, args, kwargs in log.calls] == [((1, 2), {"plus": 0}), ((1, 1), {"plus": 1})]


def test_stand_ins_hold_nothing_of_ours():
    """No lock, file or collector hides in a patched method: its closure is the original and nothing else."""

    class Plain:
        def fit(self, X):
            return X

    original, patches = Plain.fit, Patches()
    patches.method(Plain, "fit", KEY)
    held = [cell.cell_contents for cell in Plain.fit.__closure__]
    assert held == [original]
    assert set(Plain.fit.__globals__) == {"__builtins__"}
    patches.undo()


class _Original:
    """The same methods as `Model`, never patched."""

    fit, positional, bare = Model.fit, Model.positional, Model.bare


class _unpatched:  # noqa: N801 - reads as a statement
    """The methods of `Model` as they were, for the time of a block."""

    def __enter__(self):
        self.kept = {name: vars(Model)[name] for name in ("fit", "positional")}
        for name in self.kept:
            setattr(Model, name, vars(_Original)[name])

    def __exit__(self, *_):
        for name, value in self.kept.items():
            setattr(Model, name, value)


def _message(call):
    with pytest.raises(TypeError) as caught:
        call()
    return str(caught.value)


def _described(function):
    spec = inspect.getfullargspec(function)
    return (
        function, inspect.signature(function), spec, function.__name__, function.__qualname__, function.__doc__,
        function.__module__, function.__defaults__, function.__kwdefaults__, function.__annotations__,
        type(function), function.__code__.co_varnames[: function.__code__.co_argcount],
    )  # fmt: skip


def test_the_module_is_what_stand_ins_look_for():
    """Stand-ins find us by this name; renaming the module would silence all of them."""
    assert sys.modules["autotrack.instrument.patching"] is patching
