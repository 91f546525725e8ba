"""Lightning."""

from __future__ import annotations

import os

try:
    from lightning.pytorch.loggers.logger import Logger as _Base
    from lightning.pytorch.utilities import rank_zero_only
except ImportError:
    from pytorch_lightning.loggers.logger import Logger as _Base
    from pytorch_lightning.utilities import rank_zero_only

from ._sink import Sink, numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Union

    from .._db import Database
    from .._logger import Logger
    from .._types import Path


class _Later:
    """Stands for the logger before there is one: Lightning asks for it before it says the hyperparameters."""

    def __init__(self, owner: LightningLogger) -> None:
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owner._begun(), name)


class LightningLogger(_Base):  # type: ignore[misc, unused-ignore]
    """A logger of Lightning: `Trainer(logger=LightningLogger("x.db"))`.

    The first process alone logs. Hyperparameters that are said before the first metrics are the config of the run it makes.

    Parameters
    ----------
    logger : mle.Logger, path or Database, optional
        Where to; see :class:`mle.integrations._sink.Sink`.
    checkpoints : bool
        Keep the checkpoints that Lightning writes as artifacts of the run: its best, and the last.
    """

    def __init__(self, logger: Union[Logger, Database, Path, None] = None, *, checkpoints: bool = False) -> None:
        super().__init__()
        self._sink = Sink(logger, None, "")
        self._checkpoints = checkpoints
        self._hyper: Dict[str, Any] = {}
        self._kept: Dict[str, float] = {}

    @property
    def name(self) -> Optional[str]:
        """Of the folders that Lightning makes."""
        return "mle"

    @property
    def version(self) -> Union[int, str, None]:
        """The number of the run, once there is one."""
        made = self._sink._logger
        return None if made is None else f"run_{made.run_id}"

    @property
    def experiment(self) -> Any:
        """The :class:`mle.Logger`: for figures, tables and texts. Its run is made with the first use."""
        return _Later(self)

    def _begun(self) -> Logger:
        return self._sink.begin(self._hyper)

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        values = params if hasattr(params, "items") else vars(params)
        self._hyper.update(values)
        if self._sink._logger is not None:
            # The run has its config already: what comes later is noted as texts.
            self._sink._logger.log({f"hyperparameter/{key}": str(value) for key, value in values.items()})

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None) -> None:
        found = numbers(metrics)
        if found:
            self._begun().log(found, step)

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def save(self) -> None:
        if self._sink._logger is not None:
            self._sink._logger.flush()

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        if not self._checkpoints:
            return
        for kind, path in (
            ("best", getattr(checkpoint_callback, "best_model_path", "")),
            ("last", getattr(checkpoint_callback, "last_model_path", "")),
        ):
            if path and os.path.isfile(path) and self._kept.get(path) != os.path.getmtime(path):
                self._kept[path] = os.path.getmtime(path)
                self._begun().checkpoint(path, name=f"{kind}.ckpt")

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def finalize(self, status: str) -> None:
        # A training that failed before it said anything is a run, too.
        self._begun()
        self._sink.end(None if status in ("success", "finished") else f"Lightning: {status}")
