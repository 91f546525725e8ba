"""Where the original package has these names."""

from .job import MLEJob
from .queue import MLEQueue

__all__ = ["MLEJob", "MLEQueue"]
