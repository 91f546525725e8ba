"""LightGBM."""

from __future__ import annotations

from ._sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Union

    from .._db import Database
    from .._logger import Logger
    from .._strategy import Trial
    from .._types import Path


def lightgbm_callback(
    logger: Union[Logger, Database, Path, None] = None,
    *,
    trial: Optional[Trial] = None,
    report: str = "valid/l2",
    model: bool = False,
) -> Callable[[Any], None]:
    """Return a callback for `lightgbm.train(…, valid_sets=…, callbacks=[…])` that logs what is evaluated.

    Each round is a step, each metric `DATA/METRIC`; with `lightgbm.cv` also the standard deviation over folds, as
    `DATA/METRIC/std`.

    Parameters
    ----------
    logger, trial, report
        Where to; see :class:`mle.integrations._sink.Sink`. `report` is such as "valid/l2".
    model : bool
        Keep the model as the artifact `model.txt` after the last round.

    Notes
    -----
    LightGBM does not say when a training that stops early has ended: without a logger of your own its run ends with the
    program then.
    """
    return _Callback(Sink(logger, trial, report), model)


class _Callback:
    # After those that record, before those that stop.
    order = 25
    before_iteration = False

    def __init__(self, sink: Sink, model: bool) -> None:
        self.sink, self.model = sink, model

    def __call__(self, env: Any) -> None:
        self.sink.begin(env.params)
        values = {}
        for data, metric, value, _, *std in env.evaluation_result_list or ():
            values[f"{data}/{metric}"] = value
            if std:
                values[f"{data}/{metric}/std"] = std[0]
        self.sink.log(values, env.iteration)
        self.sink.epoch(values)
        if env.iteration + 1 == env.end_iteration:
            if self.model and hasattr(env.model, "model_to_string"):
                self.sink.begin().artifact(env.model.model_to_string().encode(), "model.txt")
            self.sink.end()
