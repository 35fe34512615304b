"""With autolog on, a scikit-learn program does exactly what it does without; after disabling, no trace is left."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import random
import subprocess
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, ClusterMixin, TransformerMixin, clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import autotrack
from autotrack.instrument import discovery

iris = load_iris(return_X_y=True)


def _sklearn_classes():
    """Every class that a loaded module of scikit-learn defines, mixins included."""
    found = set()
    for name, module in tuple(sys.modules.items()):
        if name.startswith("sklearn"):
            found.update(value for value in vars(module).values() if isinstance(value, type))
    return found


def test_disabling_removes_every_trace():
    """The dictionaries of all classes hold the very objects they held before, in the same order."""
    autotrack.autolog()
    autotrack.autolog(disable=True)  # whatever the first installation makes Python compute by itself is there now
    before = {kind: dict(vars(kind)) for kind in _sklearn_classes()}
    autotrack.autolog()
    changed = [kind for kind, values in before.items() if dict(vars(kind)) != values]
    assert len(changed) > 20
    assert {LogisticRegression, Pipeline, ClusterMixin, TransformerMixin} <= set(changed)
    autotrack.autolog(disable=True)
    for kind, values in before.items():
        now = dict(vars(kind))
        assert list(now) == list(values), kind
        assert all(now[name] is value for name, value in values.items()), kind


def test_classes_made_under_autolog_are_put_right_as_well():
    """A class that came into being while autolog was on has its own functions back, wrapped output included."""
    autotrack.autolog()

    class Mine(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

        def fit_transform(self, X, y=None):
            return X

    assert "__autotrack__" in vars(Mine)["fit"].__dict__
    autotrack.autolog(disable=True)
    for name in ("fit", "fit_transform", "transform"):
        function = vars(Mine)[name]
        while function is not None:
            assert "__autotrack__" not in function.__dict__
            function = getattr(function, "__wrapped__", None)


def test_after_disabling_nothing_is_recorded(seen):
    """Fits after `disable=True` leave no run, and switching on again records again."""
    autotrack.autolog("sklearn")
    autotrack.autolog(disable=True)
    Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
    assert seen() == []
    autotrack.autolog("sklearn")
    Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
    autotrack.autolog(disable=True)
    assert len(seen()) == 1


def test_switching_on_twice_is_switching_on_once(autolog, only):
    """A second `autolog()` changes nothing; one fit is one record."""
    autolog()
    autolog("sklearn")
    Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
    assert only().name == "ridge-1"


def _everything_about(estimator, X, y):
    """What a fit does to the estimator, the data, the random states, and what it returns."""
    np.random.seed(7)  # the program's own global state
    random.seed(7)
    data, labels = X.copy(), y.copy()
    result = estimator.fit(data, labels)
    state = np.random.get_state()
    return {
        "same object": result is estimator,
        "attributes": list(vars(estimator)),
        "bytes": pickle.dumps(estimator),
        "params": repr(estimator.get_params()),
        "repr": repr(estimator),
        "numpy": (state[1].tolist(), *state[2:]),
        "random": random.getstate(),
        "data": (data.tobytes(), labels.tobytes()),
        "predictions": estimator.predict(X).tobytes(),
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogisticRegression(max_iter=300),
        lambda: RandomForestClassifier(n_estimators=5),
        lambda: make_pipeline(StandardScaler(), KMeans(3, n_init=2)),
        GaussianNB,
    ],
)
def test_a_fit_does_the_same_with_autolog_on(make):
    """Fitted state, return value, pickle, random states and data are equal, also where the fit draws at random."""
    plain = _everything_about(make(), *iris)
    autotrack.autolog("sklearn")
    try:
        assert _everything_about(make(), *iris) == plain
    finally:
        autotrack.autolog(disable=True)


def test_what_can_be_asked_of_classes_is_answered_as_before():
    """Signatures, docs, argument lists, requests, tags and attributes of estimators are those without autolog."""
    kinds = [LogisticRegression, RandomForestClassifier, Pipeline, KMeans, DBSCAN, StandardScaler, GaussianNB]
    plain = [_description(kind) for kind in kinds]
    autotrack.autolog("sklearn")
    try:
        assert [_description(kind) for kind in kinds] == plain
    finally:
        autotrack.autolog(disable=True)


def _description(kind):
    instance = Pipeline([("nb", GaussianNB())]) if kind is Pipeline else kind()
    methods = [name for name in ("fit", "fit_predict", "fit_transform") if hasattr(kind, name)]
    return {
        "methods": [(name, hasattr(instance, name)) for name in methods],
        "signatures": [str(inspect.signature(getattr(kind, name))) for name in methods],
        "arguments": [inspect.getfullargspec(getattr(kind, name)) for name in methods],
        "docs": [getattr(kind, name).__doc__ for name in methods],
        "names": [(getattr(kind, name).__qualname__, getattr(kind, name).__module__) for name in methods],
        "functions": [inspect.isfunction(getattr(kind, name)) for name in methods],
        "bound": [inspect.ismethod(instance.fit)],
        "directory": dir(instance),
        "requests": hasattr(kind, "set_fit_request") and str(inspect.signature(instance.set_fit_request)),
        "tags": repr(instance.__sklearn_tags__()) if hasattr(instance, "__sklearn_tags__") else "",
        "abstract": getattr(kind, "__abstractmethods__", None),
        "parents": kind.__mro__,
    }


def test_metadata_routing_works_on_classes_made_under_autolog(autolog):
    """`set_fit_request` of a new class knows the metadata of its own fit, and routing delivers it."""

    class Weighted(ClassifierMixin, BaseEstimator):
        def fit(self, X, y, shade=None):
            self.shade_, self.classes_ = shade, np.unique(y)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(Weighted().set_fit_request(shade=True)).fit(*iris, shade="blue")
    assert pipeline[-1].shade_ == "blue"


def test_estimators_and_methods_travel(autolog):
    """Clones, copies and pickles of estimators, their methods and classes come back whole."""
    fitted = LogisticRegression(C=3.0, max_iter=300).fit(*iris)
    assert clone(fitted).get_params() == fitted.get_params()
    for module in (pickle, cloudpickle):
        again = module.loads(module.dumps(fitted))
        np.testing.assert_array_equal(again.coef_, fitted.coef_)
        assert module.loads(module.dumps(LogisticRegression.fit)) is LogisticRegression.fit
        bound = module.loads(module.dumps(LogisticRegression(max_iter=300).fit))
        assert bound(*iris).classes_.tolist() == [0, 1, 2]
    assert copy.deepcopy(fitted.fit)(*iris).C == 3.0
    assert joblib.hash(fitted) == joblib.hash(pickle.loads(pickle.dumps(fitted)))


def test_pickles_know_nothing_of_autolog():
    """What is pickled under autolog is byte for byte what is pickled without."""
    plain = LogisticRegression(max_iter=300).fit(*iris)
    autotrack.autolog("sklearn")
    try:
        logged = LogisticRegression(max_iter=300).fit(*iris)
        assert pickle.dumps(logged) == pickle.dumps(plain)
        assert b"autotrack" not in cloudpickle.dumps((logged, LogisticRegression.fit, logged.fit))
    finally:
        autotrack.autolog(disable=True)


@pytest.mark.parametrize("estimator", [GaussianNB(), StandardScaler(), KMeans(n_init=1)], ids=repr)
def test_scikit_learns_own_checks_agree(estimator):
    """`check_estimator` passes, skips and fails the same checks with autolog on."""
    plain = _checked(estimator)
    autotrack.autolog("sklearn")
    try:
        with autotrack.start_run("checks"):
            assert _checked(estimator) == plain
    finally:
        autotrack.autolog(disable=True)


def _checked(estimator):
    if "on_fail" not in inspect.signature(check_estimator).parameters:
        return check_estimator(estimator)  # before 1.6: raises at the first failure
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    return sorted((result["check_name"], result["status"]) for result in results)


SWITCH = """
import itertools
import os
from types import SimpleNamespace
def pytest_configure(config):
    from sklearn.model_selection import _validation
    _validation.time = SimpleNamespace(time=itertools.count(step=0.001).__next__)  # some tests want a fit to be quick
    if os.environ.get("RECORD"):
        import autotrack
        autotrack.autolog("sklearn")
"""


@pytest.mark.parametrize(
    "modules",
    [
        ["test_search", "test_successive_halving"],
        ["test_validation", "sklearn.callback", "sklearn.tests.test_pipeline"],
    ],
    ids=["searches", "validation and pipelines"],
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_scikit_learns_own_tests_agree(tmp_path, modules):
    """The tests that scikit-learn ships pass, fail and skip one by one as they do without autolog."""
    (tmp_path / "switch.py").write_text(SWITCH)
    names = [name if "." in name else f"sklearn.model_selection.tests.{name}" for name in modules]
    assert _outcomes(tmp_path, names, "1") == _outcomes(tmp_path, names, "")


def _outcomes(folder, modules, record):
    """How each of scikit-learn's tests ended, by its name."""
    command = [sys.executable, "-m", "pytest", "-p", "switch", "-p", "no:cacheprovider", "-n0", "-q", "-rA", "--tb=no"]
    done = subprocess.run(
        [*command, "--pyargs", *modules], capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "RECORD": record},
    )  # fmt: skip
    lines = [line.split(" - ")[0] for line in done.stdout.splitlines()]
    outcomes = sorted(line for line in lines if line.startswith(("PASSED", "FAILED", "ERROR", "XFAIL", "XPASS")))
    assert len(outcomes) > 5, done.stdout
    return outcomes


@pytest.mark.parametrize("order", ["before", "after"])
def test_autolog_before_and_after_the_import(script, order, recorded):
    """Both orders record the fit; autolog imports nothing of scikit-learn and nothing heavy."""
    switching_on = """
import sys
earlier = set(sys.modules)
autotrack.autolog()
new = {name.partition(".")[0] for name in set(sys.modules) - earlier}
assert not new & {"sklearn", "numpy", "pandas", "pyarrow", "sqlalchemy", "skops", "torch"}, new
"""
    importing = "from sklearn.linear_model import Ridge\n"
    first, second = (switching_on, importing) if order == "before" else (importing, switching_on)
    script(f"import autotrack\n{first}\n{second}\nRidge(alpha=2.0).fit([[1.0], [2.0]], [1.0, 2.0])\n")
    assert any(type(event).__name__ == "Model" for event in recorded())


def test_recording_imports_no_further_part_of_scikit_learn(script):
    """A recorded fit loads no module of scikit-learn, skops or the store that the program did not load itself."""
    script(
        """
        import sys
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        make_pipeline(StandardScaler(), Ridge()).fit([[1.0], [2.0]], [1.0, 2.0]).predict([[1.0]])
        import autotrack
        autotrack.autolog()
        from autotrack.recording.collector import collector
        earlier = set(sys.modules)
        make_pipeline(StandardScaler(), Ridge()).fit([[1.0], [2.0]], [1.0, 2.0])
        assert collector().background.wait(170) == []
        new = set(sys.modules) - earlier
        avoided = ("sklearn", "skops", "scipy", "pandas", "sqlalchemy", "pyarrow")
        assert not [name for name in new if name.startswith(avoided)]
        """
    )


def test_import_hooks_are_inert_after_disabling(script, recorded):
    """Autolog on and off before the import: scikit-learn arrives untouched, by its own loader."""
    script(
        """
        import autotrack
        autotrack.autolog()
        autotrack.autolog(disable=True)
        import sklearn.base
        from sklearn.linear_model import Ridge
        assert "__autotrack__" not in Ridge.fit.__dict__
        assert type(sklearn.base.__spec__.loader).__name__ == "SourceFileLoader", sklearn.base.__spec__.loader
        Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
        """
    )
    assert recorded() == []


def test_classes_of_the_main_program_travel_to_loky_workers(script, recorded):
    """An estimator class of the script itself goes to worker processes by value, works there and records nothing."""
    script(
        """
        import autotrack
        autotrack.autolog()
        from joblib import Parallel, delayed
        from sklearn.base import BaseEstimator, clone
        class Mine(BaseEstimator):
            def __init__(self, a=1):
                self.a = a
            def fit(self, X, y=None):
                self.sum_ = sum(X) * self.a
                return self
            def predict(self, X):
                return X
        def work(a):
            return clone(Mine(a)).fit([1, 2]).sum_
        assert Parallel(n_jobs=2, backend="loky")(delayed(work)(a) for a in (1, 2)) == [3, 6]
        fits = Parallel(n_jobs=2, backend="loky")(delayed(Mine(a).fit)([1, 2]) for a in (1, 2))
        assert [fit.sum_ for fit in fits] == [3, 6]
        """
    )
    assert [event for event in recorded() if type(event).__name__ == "RunStarted"] == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_the_program_record_nothing(script, recorded, method):
    """Fits in forked and spawned children work and open no run; the parent's is recorded."""
    script(
        f"""
        import multiprocessing
        import autotrack
        autotrack.autolog()
        from sklearn.linear_model import Ridge
        def work(alpha):
            return Ridge(alpha=alpha).fit([[1.0], [2.0]], [1.0, 2.0]).alpha
        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                assert pool.map(work, [1.0, 2.0]) == [1.0, 2.0]
            work(3.0)
        """
    )
    assert len([event for event in recorded() if type(event).__name__ == "RunStarted"]) == 1


def test_uncaught_errors_print_what_they_print_without(script):
    """The traceback that the user sees names the same error, and the exit code is the same."""
    source = """
from sklearn.linear_model import Ridge
Ridge().fit([[1.0], [2.0]], [1.0])
"""
    plain = script(source, check=False)
    logged = script(f"import autotrack\nautotrack.autolog()\n{source}", check=False)
    assert logged.returncode == plain.returncode == 1
    lines = [line for line in logged.stderr.splitlines() if not line.startswith("autotrack: waiting for ")]
    assert lines[-1] == plain.stderr.splitlines()[-1]


def test_numbers_drawn_on_our_behalf_are_given_back(script):
    """While the threads of a recording run, too: only those of the program could have drawn numbers meanwhile."""
    script(
        """
        import random, threading
        import numpy as np
        import autotrack
        from autotrack.integrations.sklearn.metrics import unchanged_random_state
        with autotrack.start_run("r") as run:
            assert run.collector.background.wait(170) == []
            assert {"autotrack", "autotrack-monitor"} <= {thread.name for thread in threading.enumerate()}
            before = random.getstate(), np.random.get_state()[1].tolist()
            with unchanged_random_state():
                random.random(), np.random.rand(700)
            assert (random.getstate(), np.random.get_state()[1].tolist()) == before
        """
    )


def test_discovery_knows_that_it_is_on(autolog):
    """`autotrack doctor` sees the integration as active, with the version that is installed."""
    (state,) = [state for state in discovery.states() if state.name == "sklearn"]
    assert (state.state, state.version) == ("active", sklearn.__version__)
