"""What a job was given: its config and its seed."""

from __future__ import annotations

import os

from ._errors import InvalidError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_NONE: Any = object()


def params() -> Dict[str, Any]:
    """Return the config of the run this job does; empty outside of a job."""
    text = os.environ.get("MLE_PARAMS")
    if not text:
        return {}
    import json

    found: Dict[str, Any] = json.loads(text)
    return found


def param(name: str, default: Any = _NONE) -> Any:
    """Return a parameter of the config of the run this job does.

    Parameters
    ----------
    name : str
        Nested names are joined by slashes.
    default : optional
        What it is outside of a job, or where the config has none of the name. A parameter of the same type as a default
        that is a number: whole numbers become floats where the default is one.

    Raises
    ------
    NotFoundError
        Without a default.

    Examples
    --------
    >>> mle.param("lr", default=0.1)
    0.1
    """
    found: Any = params()
    if isinstance(found, dict) and name in found:
        return _like(found[name], default)
    for part in name.split("/"):
        if not isinstance(found, dict) or part not in found:
            if default is _NONE:
                raise NotFoundError(f"there is no parameter {name!r}", "outside of a job give a default")
            return default
        found = found[part]
    return _like(found, default)


def _like(value: Any, default: Any) -> Any:
    return float(value) if type(default) is float and type(value) is int else value


def seed(default: int = 0) -> int:
    """Return the seed of the run this job does, or `default` outside of a job.

    >>> mle.seed(default=7)
    7
    """
    return _number("MLE_SEED", default)


def in_job() -> bool:
    """Return whether this process is a job of a worker.

    >>> mle.in_job()
    False
    """
    return bool(os.environ.get("MLE_JOB"))


def resume_path() -> Optional[str]:
    """Return the path of the checkpoint to go on from, or None at the beginning."""
    return os.environ.get("MLE_RESUME") or None


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable)
    try:
        return default if not text else int(text)
    except ValueError:
        raise InvalidError(f"{variable}: {text!r} is no number") from None
