"""Jobs and queues with what the configuration says of their resource."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional

from ..config import mle_config
from ..dot import plain


def check_single_job_args(resource_to_run: str, job_arguments: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a job's arguments with what the configuration says for those that are missing."""
    general = plain(mle_config.general)
    section = {"slurm-cluster": "slurm", "sge-cluster": "sge", "gcp-cloud": "gcp"}.get(resource_to_run)
    found: Dict[str, Any] = {}
    if section is not None:
        found.update(plain(mle_config[section]).get("default_job_arguments") or {})
    if resource_to_run != "gcp-cloud":
        found.setdefault("env_name", general.get("remote_env_name"))
        for kind in ("use_conda_venv", "use_venv_venv"):
            found.setdefault(kind, bool(general.get(kind)))
    found.update(plain(job_arguments or {}))
    return found


def spawn_single_job(
    resource_to_run: str,
    job_filename: str,
    config_filename: Optional[str],
    job_arguments: Mapping[str, Any],
    experiment_dir: str,
    debug_mode: bool = False,
) -> int:
    """Run one job to its end; return its status: 0, or -1 when it failed."""
    from mle_scheduler import MLEJob

    arguments = check_single_job_args(resource_to_run, job_arguments)
    extra = arguments.pop("extra_cmd_line_input", None)
    return MLEJob(
        resource_to_run,
        job_filename,
        arguments,
        config_filename,
        experiment_dir,
        extra_cmd_line_input=extra,
        debug_mode=debug_mode,
        cloud_settings=plain(mle_config.gcp),
    ).run()


def spawn_processing_job(
    resource_to_run: str,
    job_filename: str,
    job_arguments: Mapping[str, Any],
    experiment_dir: str,
    extra_cmd_line_input: Optional[Mapping[str, Any]] = None,
    debug_mode: bool = False,
) -> int:
    """Run a script before or after the others; return its status: 0, or -1 when it failed."""
    from mle_scheduler import MLEJob

    return MLEJob(
        resource_to_run,
        job_filename,
        check_single_job_args(resource_to_run, job_arguments),
        experiment_dir=experiment_dir,
        extra_cmd_line_input=dict(extra_cmd_line_input or {}),
        debug_mode=debug_mode,
        cloud_settings=plain(mle_config.gcp),
    ).run()


def spawn_multiple_configs(
    resource_to_run: str,
    job_filename: str,
    config_filenames: List[str],
    job_arguments: Mapping[str, Any],
    experiment_dir: str,
    num_seeds: Optional[int] = None,
    random_seeds: Optional[List[int]] = None,
    max_running_jobs: Optional[int] = None,
    protocol_db: Optional[Any] = None,
    debug_mode: bool = False,
    automerge_configs: bool = True,
) -> Any:
    """Run each config with each seed; return the queue."""
    from mle_scheduler import MLEQueue

    queue = MLEQueue(
        resource_to_run,
        job_filename,
        check_single_job_args(resource_to_run, job_arguments),
        [os.fspath(name) for name in config_filenames],
        experiment_dir,
        num_seeds or 1,
        random_seeds=list(random_seeds) if random_seeds is not None else None,
        max_running_jobs=max_running_jobs,
        automerge_configs=automerge_configs,
        protocol_db=protocol_db,
        debug_mode=debug_mode,
        cloud_settings=plain(mle_config.gcp),
    )
    queue.run()
    return queue


def spawn_multiple_seeds(
    resource_to_run: str,
    job_filename: str,
    config_filename: str,
    job_arguments: Mapping[str, Any],
    experiment_dir: str,
    num_seeds: Optional[int] = None,
    random_seeds: Optional[List[int]] = None,
    **more: Any,
) -> Any:
    """Run one config with each seed; return the queue."""
    return spawn_multiple_configs(
        resource_to_run, job_filename, [config_filename], job_arguments, experiment_dir, num_seeds, random_seeds, **more
    )
