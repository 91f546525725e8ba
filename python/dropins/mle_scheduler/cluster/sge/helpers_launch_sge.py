"""Submission scripts for GridEngine, and their submission."""

from __future__ import annotations

from typing import Any, Mapping

from ...local.helpers_launch_local import random_id
from .._submit import ACTIVATED, RULE, days_hours_minutes, job_block, literal, logger, number_of, prepared, submit

_HASHES = 37 * "#" + "\n"


def sge_generate_startup_file(job_arguments: Mapping[str, Any]) -> str:
    """Return a submission script with holes such as `{job_name}`, which `.format(**job_arguments)` fills."""
    text = (
        "\n"
        + _HASHES
        + "#!/bin/sh\n"
        + "#$ -binding linear:{num_logical_cores}\n"
        + "#$ -q {queue}\n"
        + "#$ -cwd\n"
        + "#$ -V\n"
        + "#$ -N {job_name}\n"
        + "#$ -e err.err\n"
        + "#$ -o log.txt\n"
    )
    if job_arguments.get("num_gpus", 0) > 0:
        text += '#$ -l {gpu_prefix}="{num_gpus}"'
        text += ',gputype="{gpu_type}"\n' if job_arguments.get("gpu_type") else "\n"
    if job_arguments.get("exclude_nodes"):
        text += "#$ -l hostname=" + "&".join("!" + literal(node) for node in job_arguments["exclude_nodes"]) + "\n"
    if job_arguments.get("include_nodes"):
        # One of them: a host that is all of them at once is none.
        text += "#$ -l hostname=" + "|".join(literal(node) for node in job_arguments["include_nodes"]) + "\n"
    if "memory_per_job" in job_arguments:
        text += "#$ -l h_vmem={memory_per_job}M\n#$ -l mem_free={memory_per_job}M\n"
    if "time_per_job" in job_arguments:
        text += "#$ -l h_rt={time_per_job}\n"
    text += "#$ -terse\n"
    if job_arguments.get("use_conda_venv"):
        text += "\n" + _HASHES + RULE + ". ~/.bashrc && conda activate {env_name}\n" + ACTIVATED
    elif job_arguments.get("use_venv_venv"):
        text += "\n" + _HASHES + RULE + ". ~/.bashrc && source {work_on_dir}/{env_name}/bin/activate\n" + ACTIVATED
    return text + job_block()


def submit_sge(
    filename: str,
    cmd_line_arguments: str,
    job_arguments: Mapping[str, Any],
    user_name: str,
    debug_mode: bool = False,
    clean_up: bool = True,
) -> int:
    """Submit a job; return its number, or -1 when GridEngine refused it three times.

    Its output goes to `log-<number>.txt` and `err-<number>.err`, so that jobs do not share a file.
    """
    arguments = prepared(filename, cmd_line_arguments, job_arguments, "queue", "sge-cluster")
    if "time_per_job" in arguments:
        days, hours, minutes = days_hours_minutes(arguments["time_per_job"])
        arguments["time_per_job"] = f"{24 * days + hours}:{minutes:02}:00"
    text = sge_generate_startup_file(arguments).format(**arguments)
    words = ["qsub", "-o", "log-$JOB_ID.txt", "-e", "err-$JOB_ID.err"]
    said = submit(words, f"submit_{random_id()}.qsub", text, clean_up)
    found = number_of(said.split()[0]) if said and said.split() else None
    if found is None:
        logger.error("qsub named no job: %r", said)
        return -1
    return found
