"""What connects `mle` with other packages. Each is imported only when its name is used.

========================  ==============================================================================================
`OptunaStorage`           studies of Optuna in a file of ours, see :func:`mle.optuna_storage`
`OptunaStrategy`          a study of ours that a sampler of Optuna proposes points to
`NevergradStrategy`       a study of ours that an optimizer of Nevergrad proposes points to
`OutsideStrategy`         what both are; for one of your own
`KerasCallback`           logs what `model.fit` says after batches and epochs
`LightningLogger`         a logger of Lightning's `Trainer`
`TrainerCallback`         a callback of the `Trainer` of Hugging Face transformers
`XGBoostCallback`         logs what XGBoost's `train` evaluates
`lightgbm_callback`       logs what LightGBM's `train` evaluates
`WandbMirror`             says the same to Weights & Biases
========================  ==============================================================================================
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._keras import KerasCallback as KerasCallback
    from ._lightgbm import lightgbm_callback as lightgbm_callback
    from ._lightning import LightningLogger as LightningLogger
    from ._nevergrad import NevergradStrategy as NevergradStrategy
    from ._optuna import OptunaStorage as OptunaStorage
    from ._optuna_strategy import OptunaStrategy as OptunaStrategy
    from ._outside import OutsideStrategy as OutsideStrategy
    from ._transformers import TrainerCallback as TrainerCallback
    from ._wandb import WandbMirror as WandbMirror
    from ._xgboost import XGBoostCallback as XGBoostCallback

_WHERE = {
    "KerasCallback": "_keras",
    "LightningLogger": "_lightning",
    "NevergradStrategy": "_nevergrad",
    "OptunaStorage": "_optuna",
    "OptunaStrategy": "_optuna_strategy",
    "OutsideStrategy": "_outside",
    "TrainerCallback": "_transformers",
    "WandbMirror": "_wandb",
    "XGBoostCallback": "_xgboost",
    "lightgbm_callback": "_lightgbm",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{where}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
