"""Jobs on this machine: rows of the queue, run by workers."""

from .helpers_launch_local import (
    LocalProcess,
    monitor_local,
    random_id,
    submit_conda,
    submit_local,
    submit_subprocess,
    submit_venv,
)

__all__ = [
    "LocalProcess", "monitor_local", "random_id", "submit_conda", "submit_local", "submit_subprocess", "submit_venv",
]  # fmt: skip
