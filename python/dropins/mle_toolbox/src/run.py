"""`mle-toolbox run`."""

from ..launch.experiment import run

__all__ = ["run"]
