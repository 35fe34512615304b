"""Models are saved in the safest format that holds them, and loaded only as they were saved."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import autotrack
from autotrack.exceptions import IntegrityError, InvalidValueError, NotFoundError, UntrustedModelError
from autotrack.models import load_model, save_model
from autotrack.models.signature import example_bytes, read_example, schema_of
from autotrack.models.skops_file import TooLarge

iris, species = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def linear():
    """A fitted model that the safe format holds."""
    return LogisticRegression(max_iter=300).fit(iris, species)


@pytest.fixture(scope="module")
def forest():
    """A fitted model that needs a pickle, or trust."""
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(iris, species)


class Threshold(ClassifierMixin, BaseEstimator):
    """The user's own model."""

    def fit(self, X, y=None):
        self.at_ = float(np.mean(X))
        return self

    def predict(self, X):
        return np.asarray(X) > self.at_


def test_a_model_and_all_about_it(linear):
    """Files and meta of a saved model: format, class, signature, example, requirements, digests."""
    saved = save_model(linear, input_example=iris)
    assert sorted(saved.files) == ["input_example.json", "model.json", "model.skops", "requirements.txt"]
    assert saved.flavor == "sklearn"
    assert saved.meta["class"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert saved.meta["runs_code"] is False
    assert saved.meta["signature"] == {
        "inputs": {"kind": "array", "dtype": "float64", "shape": [None, 4]}, "outputs": None,
    }  # fmt: skip
    assert f"numpy=={np.__version__}" in saved.files["requirements.txt"].decode().split()
    assert json.loads(saved.files["model.json"])["digest"] == saved.meta["digest"]
    np.testing.assert_array_equal(load_model(saved.files).predict_proba(iris), linear.predict_proba(iris))


def test_a_folder_can_be_loaded(linear, tmp_path):
    """The files are all there is: written to a folder, they load from there."""
    for name, data in save_model(linear).files.items():
        (tmp_path / name).write_bytes(data)
    assert load_model(tmp_path).classes_.tolist() == [0, 1, 2]
    assert load_model(str(tmp_path)).classes_.tolist() == [0, 1, 2]


def test_changed_files_are_refused(linear):
    """One flipped byte, or a missing file, is an IntegrityError that names the file."""
    files = dict(save_model(linear, input_example=iris).files)
    damaged = bytearray(files["model.skops"])
    damaged[-100] ^= 1
    with pytest.raises(IntegrityError, match=r"model\.skops"):
        load_model({**files, "model.skops": bytes(damaged)})
    del files["input_example.json"]
    with pytest.raises(IntegrityError, match="lacks its file input_example"):
        load_model(files)


def test_pickles_are_kept_only_when_allowed_and_loaded_only_when_trusted(forest):
    """Without `allow_pickle` a forest goes through skops, which asks for trust in its trees; so does the pickle."""
    by_skops = save_model(forest)
    assert (by_skops.meta["format"], by_skops.meta["runs_code"]) == ("skops", True)
    assert by_skops.meta["untrusted"] == ("sklearn.tree._tree.Tree",)
    pickled = save_model(forest, allow_pickle=True)
    assert (pickled.meta["format"], pickled.meta["runs_code"]) == ("pickle", True)
    for saved in (by_skops, pickled):
        with pytest.raises(UntrustedModelError, match="trust=True"):
            load_model(saved.files)
        assert (load_model(saved.files, trust=True).predict(iris) == forest.predict(iris)).all()


def test_a_malicious_pickle_does_not_run(tmp_path):
    """A file that claims to be a model runs nothing unless it is trusted."""

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    saved = save_model({"weights": 1}, allow_pickle=True)
    data = pickle.dumps(Evil())
    from autotrack.journal.blobs import bytes_digest

    meta = {**saved.meta, "files": {"model.pkl": bytes_digest(data)}}
    with pytest.raises(UntrustedModelError):
        load_model({"model.pkl": data}, meta)
    assert not (tmp_path / "ran").exists()


def test_what_nothing_can_hold_says_so():
    """A model with a lambda needs `allow_pickle`; an unknown flavor is an error that lists the known ones."""
    model = make_pipeline(FunctionTransformer(lambda X: X * 2))
    with pytest.raises(InvalidValueError, match="allow_pickle=True"):
        save_model(model)
    with pytest.raises(InvalidValueError, match="allow_pickle=True"):
        save_model(object())
    with pytest.raises(InvalidValueError, match=r"no model flavor 'onnx'; there are: .*, python, sklearn, "):
        save_model(model, flavor="onnx")
    saved = save_model(model, allow_pickle=True)
    assert saved.meta["format"] == "cloudpickle"
    assert load_model(saved.files, trust=True).transform(np.ones((1, 1))) == 2


def test_a_model_of_the_main_program_loads_in_another():
    """A class defined in a script travels with the model."""
    script = """
import sys, pickle
from sklearn.base import BaseEstimator
from autotrack.models import save_model
class Mine(BaseEstimator):
    def predict(self, X):
        return [x + 1 for x in X]
sys.stdout.buffer.write(pickle.dumps(save_model(Mine(), allow_pickle=True).files))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert load_model(pickle.loads(done.stdout), trust=True).predict([1]) == [2]


def test_limits_stop_the_saving(forest, linear):
    """A model that would grow beyond the limit is given up, whichever format."""
    for model in (forest, linear):
        with pytest.raises(TooLarge, match="more than 100 bytes"):
            save_model(model, allow_pickle=True, limit=100)


def test_models_of_runs_load_by_name(linear, forest):
    """`log_model` and `load_model` with a run, a record and an address; wrong names list the right ones."""
    with autotrack.start_run("study") as run:
        run.log_model(linear, "linear", input_example=iris)
        run.log_model(forest, "forest", allow_pickle=True)
    assert autotrack.load_model(f"runs:/{run.id}/linear").classes_.tolist() == [0, 1, 2]
    assert autotrack.load_model("runs:/study/forest", trust=True).n_estimators == 3
    with pytest.raises(UntrustedModelError):
        autotrack.load_model("runs:/study/forest")
    with pytest.raises(NotFoundError, match="no model 'tree', only: linear, forest"):
        autotrack.load_model("runs:/study/tree")
    with pytest.raises(NotFoundError, match="2 models; name one of: linear, forest"):
        autotrack.load_model(autotrack.get_run(run.id))


def test_a_run_with_one_model_needs_no_name(linear):
    """The run itself, its record and its bare address are enough when there is one model."""
    with autotrack.start_run("single") as run:
        run.log_model(linear)
    for source in (run, autotrack.get_run(run.id), f"runs:/{run.id}"):
        np.testing.assert_array_equal(autotrack.load_model(source).coef_, linear.coef_)


def test_there_is_no_such_folder(tmp_path):
    """A path that is none, or an empty folder, is a clear error."""
    with pytest.raises(NotFoundError, match="runs:/<run>/<name>"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"no model\.json"):
        load_model(tmp_path)


FRAME = pd.DataFrame(
    {
        "age": [1.5, np.nan, 3.0], "kind": ["a", "b", None], "when": pd.to_datetime(["2024-01-01"] * 3),
        "n": [1, 2, 3], "group": pd.Categorical(["x", "y", "x"]),
    }
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [iris, iris.astype(np.float32), np.array([["a", None]], dtype=object), np.arange(10), np.zeros((9, 2, 3))],
    ids=["float64", "float32", "object", "1d", "3d"],
)
def test_examples_of_arrays_come_back(data):
    """The first five rows, with their dtype and shape."""
    content, why_not = example_bytes(data)
    back = read_example(content)
    assert (why_not, back.dtype) == ("", data.dtype)
    np.testing.assert_array_equal(back, data[:5])


def test_examples_of_frames_come_back():
    """Columns, dtypes and missing values of a DataFrame; polars frames come back as pandas ones."""
    content, _ = example_bytes(FRAME)
    pd.testing.assert_frame_equal(read_example(content), FRAME)
    content, _ = example_bytes(pl.DataFrame({"a": [1, 2], "b": ["x", None]}))
    assert json.loads(content)["data"] == [[1, "x"], [2, None]]


def test_examples_of_sparse_matrices_and_texts_come_back():
    """Sparse rows stay sparse; lists of texts are lists of texts."""
    matrix = scipy.sparse.random(100, 5000, density=0.001, format="csr", random_state=0)
    back = read_example(example_bytes(matrix)[0])
    assert scipy.sparse.issparse(back)
    assert (back != matrix[:5]).nnz == 0
    texts = ["one", "twö", "three", "four", "five", "six"]
    assert read_example(example_bytes(texts)[0]) == texts[:5]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((5, 10_000)), "50,000 values"),
        ((row for row in [1, 2]), "generator cannot be read without an effect"),
        (scipy.sparse.eye(10, format="coo"), "format coo"),
        ([object()], "list of object"),
        (["x" * 1_000_000], "too long"),
    ],
    ids=["wide", "generator", "coo", "objects", "long"],
)
def test_examples_that_are_not_kept_say_why(data, reason):
    """Nothing is cut or consumed to make an example."""
    content, why_not = example_bytes(data)
    assert content is None
    assert reason in why_not


def test_signatures_describe_the_data():
    """Frames by column, arrays by dtype and shape, series by name, lists by their items."""
    assert schema_of(FRAME)["columns"][0] == {"name": "age", "dtype": "float64"}
    assert schema_of(iris[:, 0]) == {"kind": "array", "dtype": "float64", "shape": [None]}
    assert schema_of(pd.Series([1], name="y"))["name"] == "y"
    assert schema_of(["a"]) == {"kind": "list", "type": "str"}
    assert schema_of(scipy.sparse.eye(3, format="csr"))["shape"] == [None, 3]
    assert schema_of(None) is None
    assert schema_of(iter([]))["kind"] == "other"
