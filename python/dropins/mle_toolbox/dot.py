"""Dictionaries with attributes: those of dotmap where it is installed."""

from __future__ import annotations

from typing import Any, Mapping

try:
    from dotmap import DotMap
except ImportError:

    class DotMap(dict):  # type: ignore[no-redef]
        """A dictionary whose keys are attributes; a missing one is an empty dictionary, as in dotmap."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self[name] if name in self else DotMap()

        __setattr__ = dict.__setitem__

        def toDict(self) -> dict:
            """Return plain dictionaries."""
            return {key: value.toDict() if isinstance(value, DotMap) else value for key, value in self.items()}


def dotted(value: Any) -> Any:
    """Return a document with attributes, all the way down."""
    if isinstance(value, DotMap):
        return value
    if isinstance(value, Mapping):
        found = DotMap()
        for key, one in value.items():
            found[key] = dotted(one)
        return found
    return [dotted(one) for one in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return a document without attributes."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value
