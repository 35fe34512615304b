"""transformers models, with their tokenizer or processor and PEFT adapters, as written by `save_pretrained`.

A pipeline is loaded as a pipeline; a dict of a `"model"` and further parts (`"tokenizer"`, `"processor"`, …) as such a
dict. The classes are recorded; nothing is downloaded, no code from the files is run, no pickled weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.models.files import Asked, Saved, Written, below
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import class_name, is_a
from autotrack.models.references import reference_to, resolve
from autotrack.models.torch import unwrapped

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
BASE = "base"
_INSTEAD = "load the files with from_pretrained yourself"


def is_set_of_parts(model: Any) -> bool:
    """Whether `model` is a dict of a transformers model and its tokenizer, processor, …."""
    if not isinstance(model, Mapping) or "model" not in model:
        return False
    return _is_model(model["model"]) or _is_adapted(model["model"])


def write(asked: Asked) -> Written:
    """Write the model's folder. `InvalidValueError` for an object without transformers' `save_pretrained`."""
    parts, task = _parts(asked.model)
    model = unwrapped(parts["model"])
    details: dict[str, Any] = {"task": task, "alone": not is_set_of_parts(asked.model) and not task, "parts": {}}
    for name, part in parts.items():
        if name != "model":
            part.save_pretrained(asked.folder)
            details["parts"][name] = reference_to(type(part))
    if _is_adapted(model):
        details.update(_write_adapted(model, asked.folder))
    elif _is_model(model):
        model.save_pretrained(asked.folder)
        details["class"] = reference_to(type(model))
    else:
        raise InvalidValueError(f"a {class_name(model)} is no model of transformers")
    details["training"] = model.training
    file = ADAPTER if "adapters" in details else CONFIG
    return Written(below(asked.folder), file, "transformers", runs_code=False, details=details)


def _parts(model: Any) -> tuple[dict[str, Any], str | None]:
    """The model and its tokenizer, processor, …, by their names in a pipeline; and the task if it is a pipeline."""
    if is_set_of_parts(model):
        return dict(model), None
    if not _is_pipeline(model):
        return {"model": model}, None
    names = ("model", "tokenizer", "feature_extractor", "image_processor", "processor")
    found = {name: part for name in names if (part := getattr(model, name, None)) is not None}
    return found, str(model.task)


def _write_adapted(model: Any, folder: Path) -> dict[str, Any]:
    """Write the adapters, and the base model unless it can be loaded by its name; returns the details."""
    model.save_pretrained(folder)
    base = model.get_base_model()
    details: dict[str, Any] = {
        "adapters": list(model.peft_config), "active": model.active_adapter, "class": reference_to(type(base)),
        "base": getattr(base.config, "_name_or_path", "") or None,
    }  # fmt: skip
    if details["base"] is None or Path(details["base"]).exists():
        base.save_pretrained(folder / BASE, state_dict=_without_adapters(model, base))
        details["base"] = None
    return details


def _without_adapters(model: Any, base: Any) -> dict[str, Any]:
    """The base model's own state, under the names that it has without adapters."""
    marks = [part for layer in base.modules() for part in getattr(layer, "adapter_layer_names", ())]
    own = {}
    for name, tensor in base.state_dict().items():
        words = name.split(".")
        if not any(mark in words for mark in marks) and "modules_to_save" not in words:
            own[".".join(word for word in words if word not in ("base_layer", "original_module"))] = tensor
    return own


def read(saved: Saved) -> Any:
    """Load a model, a set of parts or a pipeline; adapters are put on `saved.into` if that is a base model."""
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError("transformers", "transformers", "loading a transformers model") from error
    details = saved.details
    with saved.on_disk() as folder:
        model = _adapted(saved, folder) if "adapters" in details else _pretrained(saved, folder)
        model.train(details["training"])
        if details["alone"]:
            return model
        parts = {"model": model}
        for name, reference in details["parts"].items():
            parts[name] = _part_class(reference, saved).from_pretrained(str(folder), local_files_only=True)
    if details["task"] is None:
        return parts
    return transformers.pipeline(details["task"], **parts)


def _pretrained(saved: Saved, folder: Path | str) -> Any:
    from transformers import PreTrainedModel

    kind: Any = resolve(saved.details["class"], PreTrainedModel, saved.shown, _INSTEAD)
    return kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True, **_own_dtype())


def _adapted(saved: Saved, folder: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingDependencyError("peft", "transformers", "loading adapters") from error
    base = saved.into
    if base is None:
        base = _pretrained(saved, saved.details["base"] or folder / BASE)
    first, *others = saved.details["adapters"]

    def place(name: str) -> str:
        return str(folder if name == "default" else folder / name)

    model = PeftModel.from_pretrained(base, place(first), adapter_name=first)
    for name in others:
        model.load_adapter(place(name), adapter_name=name)
    model.set_adapter(saved.details["active"])
    return model


def _part_class(reference: Mapping[str, str], saved: Saved) -> Any:
    from transformers.feature_extraction_utils import FeatureExtractionMixin
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.processing_utils import ProcessorMixin
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    found = resolve(reference, object, saved.shown, _INSTEAD)
    if not issubclass(found, (PreTrainedTokenizerBase, ProcessorMixin, FeatureExtractionMixin, ImageProcessingMixin)):
        raise InvalidValueError(f"{saved.shown} names {found.__module__}.{found.__qualname__}, which is no processor")
    return found


def _own_dtype() -> dict[str, str]:
    """The argument that loads weights in the dtype they were saved in."""
    import transformers

    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return {"dtype" if (major, minor) >= (4, 56) else "torch_dtype": "auto"}


def is_transformers(model: Any) -> bool:
    """Whether `model` is a transformers model or pipeline, a set of parts, or adapters on a model."""
    return _is_model(model) or _is_adapted(model) or _is_pipeline(model) or is_set_of_parts(model)


def _is_model(model: Any) -> bool:
    return is_a(model, "transformers.modeling_utils", "PreTrainedModel")


def _is_adapted(model: Any) -> bool:
    return is_a(model, "peft.peft_model", "PeftModel") and _is_model(model.get_base_model())


def _is_pipeline(model: Any) -> bool:
    return is_a(model, "transformers.pipelines.base", "Pipeline")


FLAVOR = Flavor(
    write=write,
    recognises=is_transformers,
    before=("sklearn", "keras", "lightning", "torch"),
    formats={"transformers": Format(read)},
    needs=("transformers", "torch", "safetensors"),
    shown=("transformers",),
)
