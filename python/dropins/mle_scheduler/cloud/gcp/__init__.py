"""GCP: the command that makes a machine for a job. Nothing is copied or run there yet."""

from .helpers_launch_gcp import (
    clean_up_gcp,
    copy_dir_gcp,
    delete_dir_gcp,
    gcp_delete_vm_instance,
    gcp_get_submission_cmd,
    monitor_gcp,
    send_dir_gcp,
    submit_gcp,
)

__all__ = [
    "clean_up_gcp", "copy_dir_gcp", "delete_dir_gcp", "gcp_delete_vm_instance", "gcp_get_submission_cmd", "monitor_gcp",
    "send_dir_gcp", "submit_gcp",
]  # fmt: skip
