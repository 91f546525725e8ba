"""Weights & Biases."""

from __future__ import annotations

import os

from .._logger import Logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


class WandbMirror:
    """Says to Weights & Biases what a logger is told, too.

    Parameters
    ----------
    logger : Logger
    **settings
        Of `wandb.init`: project, entity, group, mode="offline", …; `config` and `name` are those of our run unless given.

    Raises
    ------
    ImportError
        Without wandb.

    Examples
    --------
    >>> log = mle.Logger("lab.db", config={"lr": 0.1})
    >>> both = mle.integrations.WandbMirror(log, project="bowls", mode="offline")  # doctest: +SKIP
    >>> both.log({"loss": 0.5})  # doctest: +SKIP
    >>> both.close()  # doctest: +SKIP
    """

    def __init__(self, logger: Logger, **settings: Any) -> None:
        import wandb

        self.logger = logger
        settings.setdefault("config", logger.config)
        settings.setdefault("name", f"run_{logger.run_id}")
        settings.setdefault("dir", os.path.dirname(os.path.abspath(logger.path)))
        #: The run of wandb.
        self.run = wandb.init(**settings)
        self.run.config.update({"mle_run": logger.run_id, "mle_db": os.path.abspath(logger.path)}, allow_val_change=True)

    def log(self, values: Dict[str, Any], step: Optional[int] = None) -> None:
        """Log one update to both. Steps that go back are refused by Weights & Biases, with a warning of its own."""
        self.logger.log(values, step)
        self.run.log(values, step=step)

    def close(self) -> None:
        """End both."""
        self.logger.close()
        self.run.finish()

    def fail(self, why: str) -> None:
        """End both as failed."""
        self.logger.fail(why)
        self.run.finish(exit_code=1)

    def __enter__(self) -> WandbMirror:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.close()
        else:
            self.fail(f"{kind.__name__}: {error}")
