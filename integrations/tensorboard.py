"""TensorBoard: records also what the program writes with a `SummaryWriter`, whose files stay unchanged."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar

from autotrack.integrations.base import Integration, Options
from autotrack.recording.run import Run
from autotrack.training import other_trackers
from autotrack.training.other_trackers import Heard, bound

WRITERS = ("torch.utils.tensorboard.writer", "tensorboardX.writer")
OWN = ("torch", "tensorboardX")
SOURCE = "tensorboard"
_AXES = {"CHW": (1, 2, 0), "HWC": (0, 1, 2), "HW": (0, 1), "WH": (1, 0)}

_inside: ContextVar[bool] = ContextVar("autotrack_tensorboard_call", default=False)


class TensorboardIntegration(Integration):
    """Records scalars, hyperparameters, texts, figures and images of PyTorch's and tensorboardX's `SummaryWriter`."""

    watches: ClassVar[tuple[str, ...]] = WRITERS
    distribution: ClassVar[str] = "tensorboard"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._heard = Heard(SOURCE)
        self._prefixes: weakref.WeakKeyDictionary[Run, dict[str, str]] = weakref.WeakKeyDictionary()

    def install(self) -> None:
        """Patch the `SummaryWriter` classes of the modules imported so far."""
        for module in WRITERS:
            writer: Any = getattr(sys.modules.get(module), "SummaryWriter", None)
            for name in () if writer is None else _CALLS:
                key = f"{module}.{name}"
                if self.patches.method(writer, name, key):
                    self.patches.observe(key, self._on_call)

    def _on_call(
        self, wrapped: Callable[..., Any], writer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Inside | None:
        if _inside.get() or other_trackers.is_forwarded(*OWN):
            return None
        given = bound(wrapped, writer, args, kwargs)
        given["prefix"] = self._prefix(writer)
        _CALLS[wrapped.__name__](self._heard, given)
        return _Inside()

    def _prefix(self, writer: Any) -> str:
        """The prefix for a writer's tags: empty for a run's first log folder, else the folder's name and a slash."""
        folder = os.path.normpath(str(getattr(writer, "logdir", None) or getattr(writer, "log_dir", None) or ""))
        run = self._heard.target()
        if run is None:
            return ""
        known = self._prefixes.setdefault(run, {})
        if folder not in known:
            known[folder] = "" if not known else _unused(f"{os.path.basename(folder)}/", known.values())
        return known[folder]


class _Inside:
    """Watch of a writer's call; the writer's methods that are called inside it are not recorded again."""

    def __init__(self) -> None:
        self._token = _inside.set(True)

    def returned(self, result: Any) -> None:
        _inside.reset(self._token)

    def raised(self, error: BaseException) -> None:
        _inside.reset(self._token)


def _unused(prefix: str, taken: Any) -> str:
    number, found = 2, prefix
    while found in taken:
        found, number = f"{prefix[:-1]}-{number}/", number + 1
    return found


def _step(given: Mapping[str, Any]) -> int | None:
    step = given.get("global_step")
    return None if step is None else int(step)


def _scalar(heard: Heard, given: Mapping[str, Any]) -> None:
    value = given["scalar_value"]
    if not isinstance(value, str):
        heard.metrics({given["prefix"] + given["tag"]: value}, _step(given), given.get("walltime"))


def _scalars(heard: Heard, given: Mapping[str, Any]) -> None:
    name = given["prefix"] + given["main_tag"]
    values = {f"{name}/{tag}": value for tag, value in given["tag_scalar_dict"].items()}
    heard.metrics(values, _step(given), given.get("walltime"))


def _hparams(heard: Heard, given: Mapping[str, Any]) -> None:
    if not isinstance(given["hparam_dict"], Mapping) or not isinstance(given["metric_dict"], Mapping):
        return  # SummaryWriter raises an error for this
    heard.params({given["prefix"] + str(key): value for key, value in given["hparam_dict"].items()})
    values = {given["prefix"] + key: value for key, value in given["metric_dict"].items()}
    heard.metrics(values, _step(given))


def _text(heard: Heard, given: Mapping[str, Any]) -> None:
    heard.shown(given["prefix"] + given["tag"], str(given["text_string"]), _step(given))


def _figure(heard: Heard, given: Mapping[str, Any]) -> None:
    figures = given["figure"] if isinstance(given["figure"], list) else [given["figure"]]
    for number, figure in enumerate(figures):
        name = given["prefix"] + given["tag"] + (f"/{number}" if number else "")
        heard.shown(name, figure, _step(given))


def _image(heard: Heard, given: Mapping[str, Any]) -> None:
    name, pixels = given["prefix"] + given["tag"], given["img_tensor"]
    picture = None if isinstance(pixels, str) else _picture(pixels, str(given.get("dataformats", "CHW")).upper())
    if picture is None:
        heard.missed(f"image {name} was not taken: neither numbers from 0 to 1 nor bytes in a layout that is known")
    else:
        heard.shown(name, picture, _step(given))


def _picture(pixels: Any, layout: str) -> Any:
    """The pixels as a PIL image, converted as TensorBoard does; None for unsupported layouts or shapes."""
    import numpy
    from PIL import Image

    values = numpy.asarray(pixels.detach().cpu() if hasattr(pixels, "detach") else pixels)
    axes = _AXES.get(layout)
    if axes is None or values.ndim != len(axes):
        return None
    values = values.transpose(axes)
    if values.dtype != numpy.uint8:
        values = (values.astype(numpy.float32) * 255).clip(0, 255).astype(numpy.uint8)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    return Image.fromarray(values) if values.ndim == 2 or values.shape[2] in (3, 4) else None


_CALLS: dict[str, Callable[[Heard, Mapping[str, Any]], None]] = {
    "add_scalar": _scalar, "add_scalars": _scalars, "add_hparams": _hparams, "add_text": _text, "add_figure": _figure,
    "add_image": _image,
}  # fmt: skip
