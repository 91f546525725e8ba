"""States as bytes: arrays as safetensors, torch's as torch saves them, Keras models as archives, else pickles."""

from __future__ import annotations

import os
import sys

from ._errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

_FORMATS = ("auto", "pickle", "safetensors", "torch", "keras")


def dump(state: Any, format: str = "auto") -> Tuple[bytes, str]:
    """Return a state as bytes, and the suffix that says how.

    >>> mle._checkpoint.dump({"step": 3})[1]
    '.pkl'
    """
    if format not in _FORMATS:
        raise InvalidError(f"format {format!r} is not known", f"formats are {', '.join(_FORMATS)}")
    if format == "auto":
        format = _format_of(state)
    if format == "torch":
        import io

        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue(), ".pt"
    if format == "keras":
        import tempfile

        with tempfile.TemporaryDirectory(prefix="mle-") as folder:
            path = os.path.join(folder, "model.keras")
            state.save(path)
            with open(path, "rb") as file:
                return file.read(), ".keras"
    if format == "safetensors":
        from safetensors.numpy import save

        arrays = _arrays(state)
        if arrays is None:
            raise InvalidError("safetensors keeps dicts of arrays alone", 'checkpoint(state, format="pickle")')
        return save(arrays), ".safetensors"
    import pickle

    return pickle.dumps(state), ".pkl"


def load(data: bytes, name: str) -> Any:
    """Return the state that :func:`dump` made bytes of."""
    suffix = os.path.splitext(name)[1]
    if suffix == ".pkl":
        import pickle

        return pickle.loads(data)
    if suffix == ".pt":
        import io

        torch = _needed("torch", name)
        return torch.load(io.BytesIO(data), weights_only=False)
    if suffix == ".safetensors":
        _needed("safetensors", name)
        from safetensors.numpy import load as load_arrays

        return _nested(load_arrays(data))
    if suffix == ".keras":
        import tempfile

        keras = _needed("keras", name)
        with tempfile.TemporaryDirectory(prefix="mle-") as folder:
            path = os.path.join(folder, "model.keras")
            with open(path, "wb") as file:
                file.write(data)
            return keras.saving.load_model(path)
    return data


def _needed(library: str, name: str) -> Any:
    """Import what reads a checkpoint."""
    import importlib

    try:
        return importlib.import_module(library)
    except ImportError as error:
        steps = f"pip install {library}, or take its bytes: latest_checkpoint()"
        raise InvalidError(f"checkpoint {name!r} needs {library}, which cannot be imported: {error}", steps) from None


def _format_of(state: Any) -> str:
    torch = sys.modules.get("torch")
    if torch is not None:
        values = state.values() if isinstance(state, dict) else [state]
        if any(isinstance(value, (torch.Tensor, torch.nn.Module)) or hasattr(value, "state_dict") for value in values):
            return "torch"
    if "keras" in sys.modules and isinstance(state, sys.modules["keras"].Model):
        return "keras"
    # Parameters of flax and haiku are nested dicts of arrays of JAX; to numpy they are a copy away.
    if "jax" in sys.modules and isinstance(state, dict) and _arrays(state) is not None:
        import importlib.util

        if importlib.util.find_spec("safetensors") is not None:
            return "safetensors"
    return "pickle"


def _arrays(state: Any, prefix: str = "") -> Optional[Dict[str, Any]]:
    """Return nested dicts of arrays as one, `a/b` for `["a"]["b"]`; None when there is anything else."""
    if not hasattr(state, "items"):
        return None
    import numpy

    found: Dict[str, Any] = {}
    for name, value in state.items():
        if not isinstance(name, str) or not name or "/" in name:
            return None
        if hasattr(value, "items"):
            inner = _arrays(value, f"{prefix}{name}/")
            if not inner:
                return None
            found.update(inner)
        elif hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
            array = numpy.ascontiguousarray(value)
            if array.dtype == object:
                return None
            found[prefix + name] = array.reshape(value.shape)
        else:
            return None
    return found


def _nested(arrays: Dict[str, Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for name, value in arrays.items():
        *folders, last = name.split("/")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return found
