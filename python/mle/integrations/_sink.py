"""What all callbacks do with what they are told."""

from __future__ import annotations

import os

from .._logger import Logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Union

    from .._db import Database
    from .._strategy import Trial
    from .._types import Path


class Sink:
    """Where a callback logs to, and whom it reports to.

    Parameters
    ----------
    logger : Logger, path or Database, optional
        A logger, which its owner ends; or the file to make one for when training begins, which is ended with the training.
        Left out: the run of the job, or the file that `MLE_DB` names.
    trial : mle.Trial, optional
        Of `study.optimize(…)`: is told `report` after each epoch, so that a stopper can end it.
    report : str
        The metric it is told.
    """

    def __init__(self, logger: Union[Logger, Database, Path, None], trial: Optional[Trial], report: str) -> None:
        self._given, self.trial, self.report = logger, trial, report
        self._logger = logger if isinstance(logger, Logger) else None

    def begin(self, config: Optional[Mapping[str, Any]] = None) -> Logger:
        """Return the logger; make it where there is none."""
        if self._logger is None:
            assert not isinstance(self._given, Logger)
            self._logger = Logger(self._given, config=_plain(config or {}))
        return self._logger

    def log(self, values: Mapping[str, Any], step: Optional[int] = None) -> None:
        """Log the numbers among some values."""
        found = numbers(values)
        if found:
            self.begin().log(found, step)

    def epoch(self, values: Mapping[str, Any]) -> None:
        """Tell the trial of an epoch.

        Raises
        ------
        Pruned
            When the trial is to end.
        """
        if self.trial is not None and self.report in values:
            self.trial.report(float(values[self.report]))

    def end(self, error: Optional[str] = None) -> None:
        """End the run, if its logger was made here; else write what waits."""
        if self._logger is None:
            return
        if isinstance(self._given, Logger):
            self._logger.flush()
            return
        if error is None:
            self._logger.close()
        else:
            self._logger.fail(error)
        self._logger = None


def numbers(values: Mapping[str, Any]) -> Dict[str, float]:
    """Return the values that are one number: also those of tensors."""
    found: Dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, (str, bytes)) or value is None:
            continue
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def _plain(config: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a config that the file can hold; what it cannot is its text."""
    from .. import _mle

    made: Dict[str, Any] = {}
    for key, value in config.items():
        try:
            made[str(key)] = _mle.Db.as_document(value)
        except (TypeError, ValueError):
            made[str(key)] = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return made
