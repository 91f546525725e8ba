"""Where the original package has these names."""

from .helpers_launch_ssh import (
    SSH_Manager,
    copy_dir_ssh,
    delete_dir_ssh,
    monitor_ssh,
    send_dir_ssh,
    ssh_get_submission_cmd,
    submit_ssh,
)

__all__ = [
    "SSH_Manager",
    "copy_dir_ssh",
    "delete_dir_ssh",
    "monitor_ssh",
    "send_dir_ssh",
    "ssh_get_submission_cmd",
    "submit_ssh",
]
