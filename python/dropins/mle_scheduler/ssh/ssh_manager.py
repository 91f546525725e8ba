"""Where the original package has these names."""

from .helpers_launch_ssh import SSH_Manager

__all__ = ["SSH_Manager"]
