"""Keras."""

from __future__ import annotations

import keras

from ._sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Union

    from .._db import Database
    from .._logger import Logger
    from .._strategy import Trial
    from .._types import Path


class KerasCallback(keras.callbacks.Callback):
    """Logs what `model.fit(…, callbacks=[KerasCallback(…)])` says: metrics, those of validation and the learning rate.

    Parameters
    ----------
    logger, trial, report
        Where to; see :class:`mle.integrations._sink.Sink`. `report` is "val_loss" unless you say otherwise.
    every : int
        Log each so many batches too, as `batch/NAME` with the number of the batch in all as step; 0: epochs only.
    weights : bool
        Keep the weights as a checkpoint `weights.h5` after each epoch: the latest.
    """

    def __init__(
        self,
        logger: Union[Logger, Database, Path, None] = None,
        *,
        trial: Optional[Trial] = None,
        report: str = "val_loss",
        every: int = 0,
        weights: bool = False,
    ) -> None:
        super().__init__()
        self._sink = Sink(logger, trial, report)
        self._every, self._weights, self._batches = every, weights, 0

    def on_train_begin(self, logs: Optional[Dict[str, Any]] = None) -> None:
        config = {"optimizer": type(self.model.optimizer).__name__, **(self.params or {})}
        rate = self._learning_rate()
        if rate is not None:
            config["learning_rate"] = rate
        self._sink.begin(config)

    def _learning_rate(self) -> Optional[float]:
        try:
            return float(self.model.optimizer.learning_rate)
        except (AttributeError, TypeError, ValueError):
            return None

    def on_train_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        self._batches += 1
        if self._every and self._batches % self._every == 0:
            self._sink.log({f"batch/{name}": value for name, value in (logs or {}).items()}, self._batches)

    def on_epoch_end(self, epoch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        values = dict(logs or {})
        rate = self._learning_rate()
        if rate is not None:
            values.setdefault("learning_rate", rate)
        # Batches and epochs have one axis.
        self._sink.log(values, self._batches if self._every else epoch)
        if self._weights:
            self._keep(epoch)
        self._sink.epoch(values)

    def _keep(self, epoch: int) -> None:
        import os
        import tempfile

        with tempfile.TemporaryDirectory(prefix="mle-") as folder:
            path = os.path.join(folder, "weights.weights.h5")
            self.model.save_weights(path)
            with open(path, "rb") as file:
                self._sink.begin().checkpoint(file.read(), name="weights.h5", step=epoch)

    def on_train_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
        self._sink.end()
