"""The `Trainer` of Hugging Face transformers."""

from __future__ import annotations

import transformers

from ._sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Union

    from .._db import Database
    from .._logger import Logger
    from .._strategy import Trial
    from .._types import Path


class TrainerCallback(transformers.TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Logs what `Trainer(…, callbacks=[TrainerCallback(…)])` logs, with the global step; arguments and model are its config.

    In distributed training the first process alone logs.

    Parameters
    ----------
    logger, trial, report
        Where to; see :class:`mle.integrations._sink.Sink`. `report` is "eval_loss" unless you say otherwise.
    """

    def __init__(
        self,
        logger: Union[Logger, Database, Path, None] = None,
        *,
        trial: Optional[Trial] = None,
        report: str = "eval_loss",
    ) -> None:
        self._sink = Sink(logger, trial, report)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            config: Dict[str, Any] = dict(args.to_sanitized_dict())
            if hasattr(getattr(model, "config", None), "to_dict"):
                config["model"] = model.config.to_dict()
            self._sink.begin(config)

    def on_log(self, args: Any, state: Any, control: Any, logs: Optional[Dict[str, Any]] = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._sink.log(logs or {}, state.global_step)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Optional[Dict[str, Any]] = None, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self._sink.epoch(metrics or {})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._sink.end()
