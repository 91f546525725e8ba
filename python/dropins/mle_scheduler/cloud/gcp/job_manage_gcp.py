"""Where the original package has these names."""

from .helpers_launch_gcp import clean_up_gcp, gcp_delete_vm_instance, gcp_get_submission_cmd, monitor_gcp, submit_gcp

__all__ = ["clean_up_gcp", "gcp_delete_vm_instance", "gcp_get_submission_cmd", "monitor_gcp", "submit_gcp"]
