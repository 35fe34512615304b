"""torch and Lightning modules are kept as safetensors and a reference to their class, and built again from these."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import autotrack
from autotrack.exceptions import IntegrityError, InvalidValueError, NotFoundError, UntrustedModelError
from autotrack.models import load_model, save_model
from autotrack.models.signature import read_example

torch = pytest.importorskip("torch")
nn = torch.nn

MINE = '''
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x).tanh()

class Sized(nn.Module):
    """Its embedding and its output share one weight, and a buffer is a view of a larger tensor."""

    def __init__(self, width, shape=(1, 1), *, scale=1.0):
        super().__init__()
        self.inner = nn.Linear(4, width)
        self.outer = nn.Linear(4, width)
        self.outer.weight = self.inner.weight
        self.register_buffer("part", torch.arange(10.0)[:width])
        self.shape, self.scale = shape, scale

    def forward(self, x):
        assert type(self.shape) is tuple
        return self.scale * (self.inner(x) * self.outer(x) + self.part)

class Stateful(Plain):
    """A module with state that is no tensor."""

    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        self.calls = state["calls"]
'''

LIT = """
import torch
import lightning.pytorch as pl
from torch import nn

class Lit(pl.LightningModule):
    def __init__(self, width, act="tanh", **more):
        super().__init__()
        self.save_hyperparameters()
        self.layer, self.act = nn.Linear(4, width), act

    def forward(self, x):
        return getattr(torch, self.act)(self.layer(x))

class Configured(pl.LightningModule):
    def __init__(self, config):
        super().__init__()
        self.save_hyperparameters(config)
        self.layer = nn.Linear(4, config["width"])

    def forward(self, x):
        return self.layer(x)

class Forgetful(pl.LightningModule):
    def __init__(self, width, head):
        super().__init__()
        self.save_hyperparameters(ignore=["head"])
        self.head = head

    def forward(self, x):
        return self.head(x)
"""

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
PREDICT = "model(torch.from_numpy(X)).detach().float().numpy()"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The user's own module with torch modules, importable here and in a fresh process."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mine

    yield mine
    del sys.modules["mine"]


def layers():
    """What torch alone can build: convolution, norm, dropout, a nested Sequential."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 3, padding=1, bias=False), nn.BatchNorm1d(2), nn.Flatten(),
        nn.Sequential(nn.Linear(8, 5), nn.LeakyReLU(0.3), nn.Dropout(0.4)), nn.LayerNorm(5), nn.Linear(5, 2),
    )  # fmt: skip


def predicted(model):
    with torch.no_grad():
        return model(torch.from_numpy(X)).float().numpy()


def test_modules_predict_the_same_in_a_fresh_process(mine, predict_elsewhere, tmp_path, monkeypatch):
    """torch's own layers, classes without arguments, with `init`; and Lightning by its hyperparameters."""
    pytest.importorskip("lightning")
    (tmp_path / "lit.py").write_text(LIT)
    import lit

    monkeypatch.delitem(sys.modules, "lit")
    stack = layers()
    stack(torch.from_numpy(X))  # the running statistics move
    models = {
        "layers": stack.eval(),
        "plain": mine.Plain(),
        "sized": mine.Sized(5, (2, 2), scale=0.5),
        "lit": lit.Lit(3, act="sigmoid", extra=(1, 2)),
        "configured": lit.Configured({"width": 2}),
    }
    with autotrack.start_run("study") as run:
        for name, model in models.items():
            init = {"args": [5, (2, 2)], "kwargs": {"scale": 0.5}} if name == "sized" else None
            run.log_model(model, name, input_example=X, init=init)
    found = predict_elsewhere(models, X, PREDICT, "import torch")
    for name, model in models.items():
        np.testing.assert_array_equal(found[name], predicted(model), err_msg=name)
    kept = {model.name: model for model in autotrack.get_run(run.id).models}
    assert {name: model.flavor for name, model in kept.items()} == {
        "layers": "torch", "plain": "torch", "sized": "torch",
        "lit": "lightning", "configured": "lightning",
    }  # fmt: skip
    meta = kept["lit"].meta
    assert (meta["run"], meta["training"], meta["format"], meta["runs_code"]) == (run.id, 0, "safetensors", False)
    assert meta["signature"]["inputs"] == {"kind": "array", "dtype": "float32", "shape": [None, 4]}
    assert any(line.startswith("torch==") for line in meta["requirements"])
    assert any(line.startswith("safetensors==") for line in meta["requirements"])


def test_saving_leaves_the_module_and_the_random_numbers_alone():
    """Neither the generator's state nor the module's state, modes or attributes change."""
    model = layers()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = {name: set(vars(part)) for name, part in model.named_modules()}
    numbers = torch.get_rng_state()
    save_model(model)
    assert torch.equal(numbers, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert attributes == {name: set(vars(part)) for name, part in model.named_modules()}
    assert model.training


def test_tied_weights_dtypes_and_modes_come_back(mine):
    """A tensor under two names is stored once; dtypes and the modes of the parts are as they were."""
    model = mine.Sized(5).to(torch.float64).eval()
    model.outer.train()
    saved = save_model(model, init={"args": [5]})
    size = len(saved.files["model.safetensors"])
    assert saved.meta["details"]["shared"] == {"outer.weight": "inner.weight"}
    assert size < 8 * (4 * 5 + 5 * 3) + 500
    back = load_model(saved.files)
    assert back.inner.weight.dtype == torch.float64
    assert back.inner.weight is back.outer.weight
    assert (back.training, back.inner.training, back.outer.training) == (False, False, True)


def test_layers_that_a_recipe_would_change_are_loaded_into_a_module(mine):
    """Hooks, changed forwards and parametrized weights are not rebuilt as if they were plain layers."""
    hooked = layers()
    hooked[1].register_forward_hook(lambda *_: None)
    patched = nn.Linear(4, 2)
    patched.forward = lambda x: x
    scaled = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    for model in (hooked, patched, scaled, nn.TransformerEncoderLayer(4, 2, 8)):
        saved = save_model(model)
        with pytest.raises(InvalidValueError, match="into=module"):
            load_model(saved.files)
    fresh = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    saved = save_model(scaled)
    np.testing.assert_array_equal(predicted(load_model(saved.files, into=fresh)), predicted(scaled))


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(4, 3, 2, batch_first=True), nn.GRU(4, 3, bidirectional=True), nn.RNN(4, 3, nonlinearity="relu"),
        nn.Embedding(7, 3, padding_idx=2), nn.Conv2d(2, 4, (3, 1), stride=2, groups=2, padding_mode="reflect"),
        nn.ConvTranspose1d(2, 2, 3), nn.MaxPool2d(2, ceil_mode=True), nn.GELU("tanh"), nn.PReLU(3),
        nn.GroupNorm(2, 4), nn.Linear(2, 2, bias=False), nn.Softmax(dim=1), nn.BatchNorm2d(3, affine=False),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_layers_of_torch_are_built_again_with_their_arguments(layer):
    """They look the same and hold the same tensors."""
    back = load_model(save_model(layer).files)
    assert repr(back) == repr(layer)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)


def test_unknown_arguments_ask_for_a_module(mine):
    """The message says what to do; `into` takes a module, or a dict for the bare state."""
    model = mine.Sized(5)
    saved = save_model(model)
    with pytest.raises(InvalidValueError, match=r"arguments of its class Sized are not known.*into=module.*init="):
        load_model(saved.files)
    np.testing.assert_array_equal(predicted(load_model(saved.files, into=mine.Sized(5))), predicted(model))
    state = load_model(saved.files, into={})
    assert state.keys() == model.state_dict().keys()
    with pytest.raises(InvalidValueError, match=r"does not fit a mine\.Plain"):
        load_model(saved.files, into=mine.Plain())
    for init, problem in (
        ({"kwargs": {"height": 5}}, "no arguments of Sized"),
        ({"width": 5}, "'args'"),
        ({"args": [object()]}, "no plain value"),
    ):
        with pytest.raises(InvalidValueError, match=problem):
            save_model(model, init=init)


def test_hyperparameters_that_were_not_kept_ask_for_a_module(tmp_path, monkeypatch):
    """A Lightning module with an argument that `save_hyperparameters` left out is not built with a guess."""
    pytest.importorskip("lightning")
    (tmp_path / "lit.py").write_text(LIT)
    monkeypatch.syspath_prepend(str(tmp_path))
    import lit

    monkeypatch.delitem(sys.modules, "lit")
    model = lit.Forgetful(3, nn.Linear(4, 3))
    saved = save_model(model)
    with pytest.raises(InvalidValueError, match=r"did not keep head of its class Forgetful.*into=module"):
        load_model(saved.files)
    back = load_model(saved.files, into=lit.Forgetful(3, nn.Linear(4, 3)))
    np.testing.assert_array_equal(predicted(back), predicted(model))


def test_state_that_is_no_tensor_needs_a_pickle(mine):
    """It is refused with its name, or the whole module is pickled and asks for trust."""
    with pytest.raises(InvalidValueError, match=r"_extra_state \(a dict\).*allow_pickle=True"):
        save_model(mine.Stateful())
    with pytest.raises(InvalidValueError, match="not initialised yet"):
        save_model(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(InvalidValueError, match="meta device"):
        save_model(nn.Linear(2, 2, device="meta"))
    model = mine.Stateful()
    saved = save_model(model, allow_pickle=True)
    assert (saved.meta["format"], saved.meta["runs_code"]) == ("pickle", True)
    with pytest.raises(UntrustedModelError, match="trust=True"):
        load_model(saved.files)
    np.testing.assert_array_equal(predicted(load_model(saved.files, trust=True)), predicted(model))


def test_pickles_are_only_made_where_nothing_else_holds_the_module(mine):
    """`allow_pickle` does not make a module unsafe that can be kept safely."""
    assert save_model(mine.Plain(), allow_pickle=True).meta["format"] == "safetensors"
    assert save_model(mine.Sized(5), allow_pickle=True).meta["format"] == "pickle"


def test_a_class_of_the_script_is_missed_with_a_hint(script, mine):
    """Saved in `__main__`, loaded elsewhere: one error that says what to do, and `into` works."""
    script("""
    import torch, autotrack
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)
        def forward(self, x):
            return self.layer(x).tanh()
    with autotrack.start_run("study") as run:
        run.log_model(Net(), "net")
        run.log_model(Net(), "pickled", allow_pickle=True)
    assert type(autotrack.load_model("runs:/study/net")) is Net  # here it is known
    """)
    with pytest.raises(NotFoundError, match=r"class __main__\.Net.*move the class Net into a module.*into=module"):
        autotrack.load_model("runs:/study/net")
    back = autotrack.load_model("runs:/study/net", into=mine.Plain())
    pickled = autotrack.load_model("runs:/study/pickled", trust=True)
    assert predicted(back).shape == predicted(pickled).shape == (6, 3)


def test_a_missing_module_is_named(mine, monkeypatch):
    """A class whose module cannot be imported any more."""
    files = save_model(mine.Plain()).files
    monkeypatch.setitem(sys.modules, "mine", None)
    with pytest.raises(NotFoundError, match=r"class mine\.Plain, which is not here.*make the module mine importable"):
        load_model(files)


def test_a_reference_cannot_call_anything_but_a_module(mine, tmp_path):
    """Files that name a function or another class than a module's are refused before anything is called."""
    saved = save_model(mine.Plain())
    target = tmp_path / "ran"
    for module, qualname in (("os", "mkdir"), ("pathlib", "Path"), ("mine", "torch.nn.Linear.__init__")):
        plan = {"class": {"module": module, "qualname": qualname}, "args": [str(target)], "kwargs": {}}
        meta = {**saved.meta, "details": {**saved.meta["details"], "plan": plan}}
        with pytest.raises(InvalidValueError, match=r"no torch\.nn\.modules\.module\.Module"):
            load_model(saved.files, meta)
    assert not target.exists()


def test_wrappers_are_taken_off(mine):
    """A compiled or data-parallel module is kept as the module inside."""
    model = mine.Plain()
    for wrapped in (torch.compile(model), nn.DataParallel(model)):
        np.testing.assert_array_equal(predicted(load_model(save_model(wrapped).files)), predicted(model))


def test_tensors_and_batches_are_examples(mine):
    """The first rows of a tensor, or of each tensor in a batch, come back as arrays; the signature names them."""
    batch = {"ids": torch.arange(14).reshape(7, 2), "mask": torch.ones(7, 2, dtype=torch.bool)}
    saved = save_model(mine.Plain(), input_example=batch)
    assert saved.meta["signature"]["inputs"]["items"]["ids"] == {"kind": "array", "dtype": "int64", "shape": [None, 2]}
    back = read_example(saved.files["input_example.json"])
    assert back["ids"].tolist() == batch["ids"][:5].tolist()
    assert back["mask"].dtype == bool
    saved = save_model(mine.Plain(), input_example=torch.ones(9, 4, requires_grad=True))
    assert read_example(saved.files["input_example.json"]).shape == (5, 4)
    saved = save_model(mine.Plain(), input_example=torch.ones(9, 4, dtype=torch.bfloat16))
    assert saved.meta["input_example"] is None
    assert "bfloat16" in saved.meta["no_input_example"]


def test_a_changed_file_is_refused(mine, tmp_path):
    """One byte of the weights, in a folder."""
    for name, data in save_model(mine.Plain()).files.items():
        (tmp_path / "kept" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "kept" / name).write_bytes(data)
    assert type(load_model(tmp_path / "kept")) is mine.Plain
    path = tmp_path / "kept" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load_model(tmp_path / "kept")


def test_large_files_are_stored_from_where_they_were_written(mine, place):
    """Nothing is left behind in the folder they passed through; beyond the limit they are known by digest only."""
    with autotrack.start_run("study") as run:
        run.log_model(mine.Plain(), "small")
        autotrack.configure(model_limit=100)
        run.log_model(mine.Plain(), "large")
    kept = {model.name: model for model in autotrack.get_run(run.id).models}
    assert (kept["small"].stored, kept["large"].stored) == (True, False)
    assert {len(file.digest) for file in kept["large"].files} == {64}
    assert list(place.glob("**/model-*")) == []
