"""Submission scripts for Slurm, and their submission."""

from __future__ import annotations

from typing import Any, Mapping

from ...local.helpers_launch_local import random_id
from .._submit import ACTIVATED, RULE, days_hours_minutes, job_block, literal, logger, number_of, prepared, submit


def slurm_generate_startup_file(job_arguments: Mapping[str, Any]) -> str:
    """Return a submission script with holes such as `{job_name}`, which `.format(**job_arguments)` fills.

    Raises
    ------
    KeyError
        For GPUs without the key `gpu_type`, which may be None.
    """
    text = (
        "#!/bin/bash\n"
        "#SBATCH --job-name={job_name}\n"
        "#SBATCH --output=log.txt\n"
        "#SBATCH --error=err.err\n"
        "#SBATCH --partition={partition}\n"
        "#SBATCH --cpus-per-task={num_logical_cores}\n"
    )
    if job_arguments.get("num_gpus", 0) > 0:
        if "gpu_type" not in job_arguments:
            raise KeyError("gpu_type: num_gpus needs it; None is any type")
        kind = "" if job_arguments["gpu_type"] is None else "{gpu_type}:"
        text += "#SBATCH --gres=gpu:" + kind + "{num_gpus}\n"
    for key, flag in (("memory_per_cpu", "mem-per-cpu"), ("time_per_job", "time"), ("memory_per_job", "mem")):
        if key in job_arguments:
            text += f"#SBATCH --{flag}={{{key}}}\n"
    if job_arguments.get("use_conda_venv"):
        text += (
            "\n"
            + RULE
            + "source ~/miniconda3/etc/profile.d/conda.sh\n"
            + RULE
            + ". ~/.bashrc && conda activate {env_name}\n"
            + ACTIVATED
        )
    elif job_arguments.get("use_venv_venv"):
        text += "\n" + RULE + ". ~/.bashrc && source {work_on_dir}/{env_name}/bin/activate\n" + ACTIVATED
    modules = job_arguments.get("modules_to_load") or []
    for module in [modules] if isinstance(modules, str) else modules:
        text += f"\nmodule load {literal(module)}"
    return text + job_block() + "conda deactivate\n"


def submit_slurm(
    filename: str,
    cmd_line_arguments: str,
    job_arguments: Mapping[str, Any],
    user_name: str,
    debug_mode: bool = False,
    clean_up: bool = True,
) -> int:
    """Submit a job; return its number, or -1 when Slurm refused it three times.

    Its output goes to `log-<number>.txt` and `err-<number>.err`, so that jobs do not share a file.
    """
    arguments = prepared(filename, cmd_line_arguments, job_arguments, "partition", "slurm-cluster")
    if "time_per_job" in arguments:
        days, hours, minutes = days_hours_minutes(arguments["time_per_job"])
        arguments["time_per_job"] = f"{days}-{hours:02}:{minutes:02}"
    if "memory_per_job" in arguments and "memory_per_cpu" in arguments:
        raise ValueError("memory_per_job and memory_per_cpu exclude each other on Slurm")
    text = slurm_generate_startup_file(arguments).format(**arguments)
    words = ["sbatch", "--output=log-%j.txt", "--error=err-%j.err"]
    said = submit(words, f"submit_{random_id()}.sh", text, clean_up)
    found = number_of(said.split()[-1]) if said and said.split() else None
    if found is None:
        logger.error("sbatch named no job: %r", said)
        return -1
    return found
