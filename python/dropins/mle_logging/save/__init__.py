"""What a logger keeps, one class for each kind."""

from .extra_log import ExtraLog
from .figure_log import FigureLog
from .model_log import ModelLog
from .stats_log import StatsLog
from .tboard_log import TboardLog
from .wandb_log import WandbLog

__all__ = ["ExtraLog", "FigureLog", "ModelLog", "StatsLog", "TboardLog", "WandbLog"]
