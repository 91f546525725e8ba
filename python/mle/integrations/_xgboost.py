"""XGBoost."""

from __future__ import annotations

import xgboost

from ._sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Union

    from .._db import Database
    from .._logger import Logger
    from .._strategy import Trial
    from .._types import Path


class XGBoostCallback(xgboost.callback.TrainingCallback):
    """Logs what `xgboost.train(…, evals=…, callbacks=[XGBoostCallback(…)])` evaluates, as `DATA/METRIC`, each round a step.

    With `xgboost.cv` also the standard deviation over folds, as `DATA/METRIC/std`.

    Parameters
    ----------
    logger, trial, report
        Where to; see :class:`mle.integrations._sink.Sink`. `report` is such as "valid/rmse".
    model : bool
        Keep the model as the artifact `model.ubj` at the end.
    """

    def __init__(
        self,
        logger: Union[Logger, Database, Path, None] = None,
        *,
        trial: Optional[Trial] = None,
        report: str = "valid/rmse",
        model: bool = False,
    ) -> None:
        super().__init__()
        self._sink = Sink(logger, trial, report)
        self._model = model

    def before_training(self, model: Any) -> Any:
        import json

        config = {}
        if hasattr(model, "save_config"):
            config = json.loads(model.save_config()).get("learner", {})
        self._sink.begin(config)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        values = {}
        for data, metrics in evals_log.items():
            for metric, told in metrics.items():
                if isinstance(told[-1], tuple):
                    values[f"{data}/{metric}"], values[f"{data}/{metric}/std"] = told[-1]
                else:
                    values[f"{data}/{metric}"] = told[-1]
        self._sink.log(values, epoch)
        self._sink.epoch(values)
        return False

    def after_training(self, model: Any) -> Any:
        if self._model and hasattr(model, "save_raw"):
            self._sink.begin().artifact(bytes(model.save_raw("ubj")), "model.ubj")
        self._sink.end()
        return model
