"""Where the original package has these names."""

from .helpers_launch_local import random_id, submit_conda, submit_local, submit_subprocess, submit_venv

__all__ = ["random_id", "submit_conda", "submit_local", "submit_subprocess", "submit_venv"]
