"""Jobs and queues of jobs with the interface of mle-scheduler; local ones are run by workers on one SQLite file."""

from .job import MLEJob
from .queue import MLEQueue

#: The release whose interface this is.
__version__ = "0.0.8"

__all__ = ["MLEJob", "MLEQueue", "__version__"]
