"""What a logger keeps, one class for each kind."""

from .extra_log import ExtraLog
from .figure_log import FigureLog
from .model_log import ModelLog
from .stats_log import StatsLog

# Few loggers have these: they are loaded with their first use.
_WHERE = {"TboardLog": "tboard_log", "WandbLog": "wandb_log"}

__all__ = ["ExtraLog", "FigureLog", "ModelLog", "StatsLog", "TboardLog", "WandbLog"]


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
