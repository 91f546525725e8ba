"""What resources are called, and the words of a job's command line."""

from __future__ import annotations

import logging
import os
import shlex
from typing import Any, Dict, List, Mapping, Optional

RESOURCES = ("local", "slurm-cluster", "sge-cluster", "ssh-node", "gcp-cloud")
#: Arguments that mean something, by resource; others are told of rather than ignored in silence.
COMMON = {
    "job_name", "env_name", "use_conda_venv", "use_venv_venv", "extra_cmd_line_input", "time_between_launch", "script",
    "num_logical_cores", "num_gpus", "gpu_type", "memory_per_job", "time_per_job", "log_file", "err_file", "debug_mode",
}  # fmt: skip
KNOWN = {
    # A file that was written for a cluster also runs here; what a cluster needs means nothing then.
    "local": COMMON | {
        "partition", "queue", "gpu_prefix", "memory_per_cpu", "exclude_nodes", "include_nodes", "modules_to_load",
        "use_tpus", "extra_install_fname",
    },
    "slurm-cluster": COMMON | {"partition", "memory_per_cpu", "modules_to_load", "work_on_dir"},
    "sge-cluster": COMMON | {"queue", "gpu_prefix", "exclude_nodes", "include_nodes", "work_on_dir"},
    "ssh-node": COMMON,
    "gcp-cloud": COMMON | {"use_tpus", "extra_install_fname"},
}  # fmt: skip


class NotAvailableError(NotImplementedError):
    """What was asked for needs a backend that is not here."""


def no_backend(what: str) -> NotAvailableError:
    return NotAvailableError(
        f"{what} is not available: this package runs jobs on this machine ('local'), and submits to 'slurm-cluster' and"
        " 'sge-cluster' where sbatch or qsub are on the PATH; use resource_to_run='local'"
    )


def check_resource(resource: str) -> None:
    if resource not in RESOURCES:
        raise ValueError(f"resource_to_run {resource!r} is none of {', '.join(RESOURCES)}")


def warn_of_unknown(resource: str, arguments: Mapping[str, Any], logger: logging.Logger) -> None:
    unknown = sorted(set(arguments) - KNOWN.get(resource, COMMON))
    if unknown:
        logger.warning("job_arguments %s mean nothing for %s", ", ".join(map(repr, unknown)), resource)


def arguments_of(
    experiment_dir: Optional[str], config: Optional[str], seed: Optional[int], extra: Optional[Mapping[str, Any]]
) -> List[str]:
    """Return the arguments every training script is given, word by word."""
    words: List[str] = []
    for flag, value in (("-exp_dir", experiment_dir), ("-config", config), ("-seed", seed)):
        if value is not None:
            words += [flag, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    for key, value in (extra or {}).items():
        words += [f"-{key}", str(value)]
    return words


def as_text(words: List[str]) -> str:
    """Return words as a shell reads them, with a blank before each; a word without special characters stands as it is."""
    return "".join(" " + shlex.quote(word) for word in words)


def interpreter_of(filename: str, python: str = "python") -> List[str]:
    """Return what runs a script.

    Raises
    ------
    ValueError
        When it is neither `.py` nor `.sh`.
    """
    if filename.endswith(".py"):
        return [python]
    if filename.endswith(".sh"):
        return ["bash"]
    raise ValueError(f"job_filename {filename!r} ends neither in .py nor in .sh")


def environment_of(arguments: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """Return which environment a job wants: `conda` or `venv` by name, or neither."""
    name = arguments.get("env_name")
    wants_conda, wants_venv = bool(arguments.get("use_conda_venv")), bool(arguments.get("use_venv_venv"))
    if (wants_conda or wants_venv) and not name:
        raise ValueError("use_conda_venv and use_venv_venv need env_name, the environment's name")
    return {"conda": name if wants_conda else None, "venv": name if wants_venv and not wants_conda else None}
