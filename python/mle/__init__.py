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

from . import _logger, _mle, integrations
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
    "integrations",
    "open",
    "optuna_storage",
    "param",
    "params",
    "program",
    "real",
    "resume_path",
    "seed",
    "stoppers",
    "strategies",
]


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any
    from typing import Union as _Union

    from ._types import Path as _Path


def optuna_storage(path: _Union[Database, _Path, None] = None, **settings: _Any) -> integrations.OptunaStorage:
    """Return a storage for Optuna's studies: `optuna.create_study(storage=mle.optuna_storage("x.db"))`.

    Any number of processes and threads may use the file at once. `mle study` shows the studies as any other, and studies of
    other strategies can be read by Optuna. `help(mle.integrations._optuna)` says what is where.

    Parameters
    ----------
    path : str, path or Database, optional
        The file; that of `MLE_DB` when left out.
    heartbeat_interval, grace_period : int, optional
        As of `optuna.storages.RDBStorage`, in seconds: trials at work say so this often, and those that were silent for so
        long [default: twice as long] have failed.
    failed_trial_callback : callable, optional
        Called with the study and such a trial.

    Raises
    ------
    ImportError
        Without optuna.

    Examples
    --------
    >>> import optuna
    >>> study = optuna.create_study(storage=mle.optuna_storage("lab.db"), study_name="parabola")
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
    >>> len(mle.open("lab.db").trials("parabola"))
    5
    """
    return integrations.OptunaStorage(path, **settings)


def _before_fork() -> None:
    _logger.watch_children()
    _mle._before_fork()


# SQLite's connections do not survive a fork: ours are closed before one and opened again after it.
_os.register_at_fork(
    before=_before_fork,
    after_in_parent=_mle._after_fork,
    after_in_child=_mle._after_fork,
)
