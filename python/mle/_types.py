"""Types of arguments, for type checkers only: nothing imports this when a program runs."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Union

Path = Union[str, "os.PathLike[str]"]
Word = Union[int, str]
Objectives = Union[str, Mapping[str, str], Sequence[Union[str, tuple[str, str]]]]
Values = Union[float, Sequence[float], Mapping[str, float], None]
Command = Union[str, Sequence[Any]]
Function = Callable[[Any], Values]


class Dataclass(Protocol):
    """An instance of one."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Config = Union[Mapping[str, Any], Path, Namespace, Dataclass]
