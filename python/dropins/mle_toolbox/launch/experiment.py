"""An experiment file, from its check to its report."""

from __future__ import annotations

import datetime
import logging
import os
import shutil
from typing import Any, Dict, Mapping, Optional, Tuple

from ..config import mle_config
from ..dot import DotMap, dotted, plain
from .multi_config import run_multiple_configs
from .processing_job import run_processing_job
from .search_experiment import run_hyperparameter_search
from .single_config import run_single_config

logger = logging.getLogger("mle_toolbox")

_BLOCKS = {
    "single-config": (),
    "multiple-configs": ("multi_config_args",),
    "hyperparameter-search": ("param_search_args",),
    "population-based-training": ("param_search_args",),
}
_NEEDED = {
    "meta_job_args": ("project_name", "experiment_type", "base_train_fname", "base_train_config", "experiment_dir"),
    "multi_config_args": ("config_fnames",),
    "param_search_args": ("search_logging", "search_resources", "search_config"),
}


def check_experiment_config(job_config: Mapping[str, Any]) -> DotMap:
    """Return an experiment file that has all it needs, with `random_seeds` None where they are not named.

    Raises
    ------
    ValueError
        Naming the block or the key that is missing, or the type that is unknown.
    FileNotFoundError
        For a base config that is not there.
    """
    found = plain(job_config)
    meta = found.get("meta_job_args") or {}
    for block in ("meta_job_args", "single_job_args"):
        if block not in found:
            raise ValueError(f"the block {block} is missing")
    kind = meta.get("experiment_type")
    if kind not in _BLOCKS:
        raise ValueError(f"meta_job_args.experiment_type {kind!r} is none of {', '.join(_BLOCKS)}")
    for block in ("meta_job_args", *_BLOCKS[kind]):
        if block not in found:
            raise ValueError(f"the block {block} is missing, which experiment_type {kind!r} needs")
        for key in _NEEDED[block]:
            if found[block].get(key) is None:
                raise ValueError(f"{block}.{key} is missing")
    if found["single_job_args"] is None:
        found["single_job_args"] = {}
    if kind == "population-based-training":
        # It is a search of that type.
        meta["experiment_type"] = "hyperparameter-search"
        found["param_search_args"]["search_config"].setdefault("search_type", "PBT")
    if kind == "multiple-configs":
        told = found["multi_config_args"]
        if told.get("num_seeds") is None and told.get("random_seeds") is None:
            raise ValueError("multi_config_args.num_seeds and .random_seeds are missing; one of them is needed")
        told.setdefault("random_seeds", None)
        told["num_seeds"] = told.get("num_seeds") or len(told["random_seeds"])
    elif _BLOCKS[kind]:
        found["param_search_args"]["search_resources"].setdefault("random_seeds", None)
    configs = meta["base_train_config"]
    for path in configs if isinstance(configs, list) else [configs]:
        _check_file(path)
    return dotted(found)


def _check_file(path: str) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path!r}, which meta_job_args names, is not there")


def compose_protocol_data(
    job_config: Mapping[str, Any], resource_to_run: str, purpose: Optional[str]
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return what :meth:`mle_monitor.MLEProtocol.add` takes: standard keys, and the blocks of the file."""
    found = plain(job_config)
    meta, job = found["meta_job_args"], found.get("single_job_args") or {}
    kind = meta["experiment_type"]
    seeds, batches, per_batch = 1, 1, 1
    if kind == "multiple-configs":
        told = found["multi_config_args"]
        seeds = len(told["random_seeds"]) if told.get("random_seeds") else int(told["num_seeds"])
        per_batch = len(told["config_fnames"]) * seeds
    elif kind == "hyperparameter-search":
        told = found["param_search_args"]["search_resources"]
        seeds = len(told["random_seeds"]) if told.get("random_seeds") else int(told.get("num_seeds_per_eval") or 1)
        if found["param_search_args"]["search_config"].get("search_schedule", "sync") == "sync":
            batches = int(told["num_search_batches"])
            size = told.get("num_evals_per_batch") or 1
            sizes = size if isinstance(size, list) else [size] * batches
            per_batch = max(sizes, default=1) * seeds
            total = sum(sizes) * seeds
        else:
            total = int(told["num_total_evals"]) * seeds
            per_batch = int(told.get("max_running_jobs") or total)
    if kind != "hyperparameter-search":
        total = per_batch
    standard = {
        "purpose": purpose or "None provided",
        "project_name": meta["project_name"],
        "exec_resource": resource_to_run,
        "experiment_dir": meta["experiment_dir"],
        "experiment_type": kind,
        "base_fname": meta["base_train_fname"],
        "config_fname": meta["base_train_config"],
        "num_seeds": seeds,
        "num_total_jobs": total,
        "num_job_batches": batches,
        "num_jobs_per_batch": per_batch,
        "time_per_job": job.get("time_per_job") or "00:01:00",
        "num_cpus": job.get("num_logical_cores") or 1,
        "num_gpus": job.get("num_gpus") or 0,
    }
    extra = {"single_job_args": job, "meta_job_args": meta}
    if kind == "hyperparameter-search":
        extra["job_spec_args"] = found["param_search_args"]
    return standard, extra


def launch_experiment(
    resource_to_run: str,
    job_config: Mapping[str, Any],
    config_fname: Optional[str] = None,
    protocol_db: Optional[Any] = None,
    message_id: Optional[str] = None,
    debug_mode: bool = False,
) -> int:
    """Run what an experiment file says: before, the jobs, after; return how many jobs failed."""
    meta = plain(job_config["meta_job_args"])
    single = plain(job_config["single_job_args"])
    folder = meta["experiment_dir"]
    os.makedirs(folder, exist_ok=True)
    copy = os.path.join(folder, "experiment_config.yaml")
    if config_fname is not None and not os.path.exists(copy):
        shutil.copyfile(config_fname, copy)
    failed = 0
    if "pre_processing_args" in job_config:
        if run_processing_job(resource_to_run, plain(job_config["pre_processing_args"]), folder, debug_mode) != 0:
            raise RuntimeError("the script of pre_processing_args failed; nothing else was run")
    kind = meta["experiment_type"]
    if kind == "single-config":
        failed += run_single_config(resource_to_run, meta, single, debug_mode) != 0
    elif kind == "multiple-configs":
        queue = run_multiple_configs(
            resource_to_run, meta, single, job_config["multi_config_args"], message_id, protocol_db, debug_mode
        )
        failed += len(queue.failed_jobs)
    else:
        run_hyperparameter_search(
            resource_to_run, meta, single, job_config["param_search_args"], message_id, protocol_db, debug_mode
        )
    if "post_processing_args" in job_config:
        failed += run_processing_job(resource_to_run, plain(job_config["post_processing_args"]), folder, debug_mode) != 0
    return failed


def prepare_logger(level: int = logging.INFO) -> logging.Logger:
    """Return the logger of the package, which says things on the terminal."""
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(level)
    return logger


def welcome_to_mle_toolbox() -> None:
    """Say what runs, and when."""
    from ..utils import print_framed

    print_framed(f"mle-toolbox · {datetime.datetime.now():%d/%m/%y %H:%M:%S}")


def run(cmd_args: Any) -> int:
    """Do what `mle-toolbox run` does; return its exit code: 1 when jobs failed."""
    from mle_monitor import MLEProtocol

    from ..utils import determine_resource, load_experiment_config, print_framed, set_random_seeds, setup_proxy_server

    setup_proxy_server()
    set_random_seeds(int(mle_config.general.random_seed))
    if not cmd_args.no_welcome:
        welcome_to_mle_toolbox()
    job_config = load_experiment_config(cmd_args)
    resource = cmd_args.resource_to_run or determine_resource()
    prepare_logger()
    meta = job_config["meta_job_args"]
    _check_file(meta["base_train_fname"])
    protocol, added = None, None
    if not cmd_args.no_protocol:
        protocol = MLEProtocol(mle_config.general.local_protocol_fname, plain(mle_config.gcp))
        protocol.summary(tail=10)
        purpose = " ".join(cmd_args.purpose) if cmd_args.purpose else protocol.ask_for_purpose()
        added = protocol.add(*compose_protocol_data(job_config, resource, purpose))
    try:
        failed = launch_experiment(resource, job_config, cmd_args.config_fname, protocol, None, bool(cmd_args.debug))
        wants_report = bool(plain(meta).get("report_generation"))
        if wants_report:
            from ..src.report import ReportGenerator

            data = protocol.get(added) if protocol is not None else compose_protocol_data(job_config, resource, None)[0]
            ReportGenerator(str(added or 0), data, logger, pdf_gen=True).generate_reports()
    except BaseException as error:
        if protocol is not None:
            protocol.update(added, "job_status", "aborted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    if protocol is not None:
        if failed:
            protocol.update(added, ["job_status", "report_generated"], ["failed", wants_report])
        else:
            protocol.complete(added, report=wants_report)
    print_framed(f"{failed} jobs failed" if failed else "finished")
    return 1 if failed else 0
