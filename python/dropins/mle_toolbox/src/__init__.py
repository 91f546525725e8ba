"""What the command line does: the functions `report` and `run`, whose modules have the same names."""

from . import report, run  # noqa: F401
from .report import report  # noqa: F811
from .run import run  # noqa: F811

__all__ = ["report", "run"]
