"""The command that makes a machine on GCP; all that needs an account says that it is not available."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NoReturn, Optional, Tuple

from ..._words import no_backend

valid_gpu_types = [
    "nvidia-tesla-p100", "nvidia-tesla-v100", "nvidia-tesla-t4", "nvidia-tesla-p4", "nvidia-tesla-k80",
]  # fmt: skip


def gcp_get_submission_cmd(
    vm_name: str, job_arguments: Mapping[str, Any], startup_fname: str
) -> Tuple[List[str], Dict[str, Any]]:
    """Return the words of the `gcloud` command that makes a preemptible machine, and the arguments that were used.

    Raises
    ------
    AssertionError
        For a type of GPU that is none of `valid_gpu_types`.
    """
    used: Dict[str, Any] = {"job_name": "job", "use_tpus": 0, "num_gpus": 0, **job_arguments}
    quiet = [f"--metadata-from-file=startup-script={startup_fname}"]
    end = ["--no-user-output-enabled", "--verbosity", "error"]
    if used["use_tpus"]:
        words = ["gcloud", "alpha", "compute", "tpus", "tpu-vm", "create", vm_name, "--preemptible"]
        words += ["--zone=europe-west4-a", "--accelerator-type=v3-8", "--version=v2-alpha"]
        return words + quiet + end, used
    cores = int(used["num_logical_cores"])
    words = [
        "gcloud", "compute", "instances", "create", vm_name, "--preemptible", "--zone=us-west1-a",
        f"--custom-cpu={2 * cores}", f"--custom-memory={4096 + 2048 * cores}MB", "--custom-vm-type=n1",
        "--image=c1-deeplearning-tf-2-4-cu110-v20210414-debian-10", "--image-project=ml-images",
        *quiet, "--scopes=cloud-platform,storage-full", "--boot-disk-size=128GB", "--boot-disk-type=pd-standard", *end,
    ]  # fmt: skip
    if used["num_gpus"]:
        if used.get("gpu_type") not in valid_gpu_types:
            raise AssertionError(f"gpu_type {used.get('gpu_type')!r} is none of {', '.join(valid_gpu_types)}")
        words += ["--metadata=install-nvidia-driver=True", "--maintenance-policy=TERMINATE"]
        words += [f"--accelerator=type={used['gpu_type']},count={used['num_gpus']}"]
    return words, used


def _refuse() -> NoReturn:
    raise no_backend("GCP ('gcp-cloud')")


def submit_gcp(
    filename: str,
    cmd_line_arguments: str,
    experiment_dir: str,
    job_arguments: Mapping[str, Any],
    debug_mode: bool,
    cloud_settings: Mapping[str, Any],
) -> str:
    """Not available."""
    _refuse()


def monitor_gcp(vm_name: str, job_arguments: Mapping[str, Any]) -> bool:
    """Not available."""
    _refuse()


def clean_up_gcp(
    vm_name: str, job_arguments: Mapping[str, Any], experiment_dir: str, cloud_settings: Mapping[str, Any]
) -> None:
    """Not available."""
    _refuse()


def gcp_delete_vm_instance(vm_name: str, use_tpus: bool = False) -> None:
    """Not available."""
    _refuse()


def send_dir_gcp(
    cloud_settings: Mapping[str, Any], local_dir: Optional[str] = None, number_of_connect_tries: int = 5
) -> None:
    """Not available."""
    _refuse()


def copy_dir_gcp(
    cloud_settings: Mapping[str, Any],
    remote_dir: str,
    local_dir: Optional[str] = None,
    number_of_connect_tries: int = 5,
) -> None:
    """Not available."""
    _refuse()


def delete_dir_gcp(cloud_settings: Mapping[str, Any], number_of_connect_tries: int = 5) -> None:
    """Not available."""
    _refuse()
