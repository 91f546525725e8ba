"""Machine-learning experiments in one SQLite file.

Log a run, search for good parameters, run jobs, and look at all of it, from one file that can be copied, queried with SQL and
gone on with.

>>> import mle
>>> path = "lab.db"
>>> with mle.Logger(path, config={"lr": 0.1}) as log:
...     for step in range(3):
...         log.log({"loss": 1 / (1 + step)}, step=step)
>>> mle.open(path).summary()["last"]
[0.3333333333333333]

Never open the file with Python's own `sqlite3` in the same process: see :func:`mle.open`.
"""

from __future__ import annotations

import os as _os

from . import _logger, _mle
from ._db import Database, open
from ._errors import (
    BusyError,
    ConflictError,
    Error,
    FailedError,
    FileError,
    InvalidError,
    NotFoundError,
    Pruned,
    SqlError,
    WrongFileError,
)
from ._events import autolog
from ._experiment import Experiment
from ._frame import Frame
from ._logger import Logger
from ._param import in_job, param, params, resume_path, seed
from ._programs import Running, program
from ._protocol import Protocol
from ._queue import Queue
from ._resource import Resource
from ._strategy import Exhausted, Stopper, Strategy, Trial, Waiting, choice, integer, real, stoppers, strategies
from ._study import Study

__version__: str = _mle.__version__

__all__ = [
    "BusyError",
    "ConflictError",
    "Database",
    "Error",
    "Exhausted",
    "Experiment",
    "FailedError",
    "FileError",
    "Frame",
    "InvalidError",
    "Logger",
    "NotFoundError",
    "Protocol",
    "Pruned",
    "Queue",
    "Resource",
    "Running",
    "SqlError",
    "Stopper",
    "Strategy",
    "Study",
    "Trial",
    "Waiting",
    "WrongFileError",
    "autolog",
    "choice",
    "in_job",
    "integer",
    "open",
    "param",
    "params",
    "program",
    "real",
    "resume_path",
    "seed",
    "stoppers",
    "strategies",
]


def _before_fork() -> None:
    _logger.watch_children()
    _mle._before_fork()


# SQLite's connections do not survive a fork: ours are closed before one and opened again after it.
_os.register_at_fork(
    before=_before_fork,
    after_in_parent=_mle._after_fork,
    after_in_child=_mle._after_fork,
)
