"""Many jobs: each config with each seed."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

import mle

from ._words import arguments_of, check_resource, interpreter_of, no_backend
from .job import MLEJob
from .local.helpers_launch_local import (
    OVER,
    LocalProcess,
    Workers,
    command_of,
    database_path,
    in_environment,
    read_config,
)


class MLEQueue:
    """Jobs for each config and each seed.

    Parameters
    ----------
    resource_to_run, job_filename, job_arguments, experiment_dir, delete_config, debug_mode, cloud_settings, ssh_settings
        As of :class:`MLEJob`. Of `job_arguments`, `time_between_launch` [s] and `extra_cmd_line_input` are the queue's own.
    config_filenames : list of str
        Their names, up to the first dot, must differ: results are found under them.
    num_seeds, default_seed, random_seeds
        `random_seeds` when given; else `default_seed` when there is one; else so many drawn by NumPy's global generator.
    max_running_jobs : int or None
        Jobs at once; all when None.
    automerge_seeds, automerge_configs : bool
        Merge logs when all is over, and load them as `log`.
    protocol_db : optional
        Whose `update_progress_bar()` is called when a job has ended well.
    use_slack_bot, slack_message_id, slack_user_name, slack_auth_token
        Messages to Slack are not available.

    Attributes
    ----------
    queue : list of dict
        config_fname, seed_id, base_str, experiment_dir, log_dir, status (-1 waiting, 1 running, 0 over), job, job_id,
        merged_logs, and exit_code of a local job.
    log
        What was merged, after merging with `load`.
    failed_jobs : list of dict
        Those entries of the queue that failed, with `exit_code` and `error`.

    Notes
    -----
    Local jobs live in `mle.db` in `experiment_dir`, or in the file that `MLE_DB` names. When this process is killed, the
    jobs go on; a queue of the same jobs joins those that are still open.
    """

    def __init__(
        self,
        resource_to_run: str,
        job_filename: str,
        job_arguments: Dict[str, Any] = {},
        config_filenames: Optional[List[str]] = None,
        experiment_dir: Optional[str] = None,
        num_seeds: int = 1,
        default_seed: int = 0,
        random_seeds: Optional[List[int]] = None,
        max_running_jobs: Optional[int] = 10,
        automerge_seeds: bool = False,
        automerge_configs: bool = False,
        delete_config: bool = False,
        debug_mode: bool = False,
        cloud_settings: Optional[Dict[str, Any]] = None,
        ssh_settings: Optional[Dict[str, Any]] = None,
        use_slack_bot: bool = False,
        slack_message_id: Optional[str] = None,
        slack_user_name: Optional[str] = None,
        slack_auth_token: Optional[str] = None,
        protocol_db: Optional[Any] = None,
        logger_level: int = logging.WARNING,
    ) -> None:
        check_resource(resource_to_run)
        if config_filenames is None:
            raise TypeError("config_filenames is missing: a list of config files")
        if experiment_dir is None:
            raise TypeError("experiment_dir is missing: the folder for results")
        if isinstance(config_filenames, (str, os.PathLike)):
            config_filenames = [os.fspath(config_filenames)]
        self.resource_to_run = resource_to_run
        self.job_filename = job_filename
        self.job_arguments = dict(job_arguments)
        self.config_filenames = [os.fspath(name) for name in config_filenames]
        self.experiment_dir = os.fspath(experiment_dir)
        self.max_running_jobs = max_running_jobs
        self.automerge_seeds = automerge_seeds
        self.automerge_configs = automerge_configs
        self.delete_config = delete_config
        self.debug_mode = debug_mode
        self.cloud_settings = cloud_settings
        self.ssh_settings = ssh_settings
        self.protocol_db = protocol_db
        self.use_slack_bot = use_slack_bot
        self.slack_message_id = slack_message_id
        self.logger = logging.getLogger("mle_scheduler.queue")
        self.logger.setLevel(logger_level)
        if max_running_jobs is not None and max_running_jobs < 1:
            raise ValueError(f"max_running_jobs {max_running_jobs} is not positive")
        if use_slack_bot and slack_user_name and slack_auth_token:
            raise NotImplementedError("messages to Slack are not available; leave use_slack_bot off")
        if resource_to_run in ("ssh-node", "gcp-cloud"):
            settings = ssh_settings if resource_to_run == "ssh-node" else cloud_settings
            if settings is None:
                raise AssertionError(f"{resource_to_run} needs {'ssh' if resource_to_run == 'ssh-node' else 'cloud'}_settings")
            raise no_backend(f"running jobs on {resource_to_run!r}")

        self.random_seeds = self._seeds(num_seeds, default_seed, random_seeds)
        self.num_seeds = len(self.random_seeds)
        #: Seconds between launches of the first wave.
        self.time_between_launch: Optional[float] = self.job_arguments.pop("time_between_launch", None)
        self.extra_cmd_line_input: Optional[Dict[str, Any]] = self.job_arguments.pop("extra_cmd_line_input", None)

        by_name: Dict[str, str] = {}
        self.queue: List[Dict[str, Any]] = []
        self.mle_log_dirs: List[str] = []
        self.mle_run_ids: List[str] = []
        for config in self.config_filenames:
            base = os.path.basename(config).split(".")[0]
            if base in by_name:
                raise ValueError(f"configs {by_name[base]!r} and {config!r} would both log to {base!r}; rename one")
            by_name[base] = config
            log_dir = os.path.join(self.experiment_dir, base)
            self.mle_run_ids.append(base)
            self.mle_log_dirs.append(log_dir)
            for seed in self.random_seeds:
                self.queue.append(
                    {
                        "config_fname": config,
                        "seed_id": seed,
                        "base_str": base,
                        "experiment_dir": self.experiment_dir,
                        "log_dir": log_dir,
                        "status": -1,
                        "job": None,
                        "job_id": None,
                        "merged_logs": False,
                    }
                )
        self.queue_counter = 0
        self.num_completed_jobs = 0
        self.num_running_jobs = 0
        self.num_total_jobs = len(self.queue)
        self._environment: Optional[Dict[str, Optional[str]]] = None
        self._mirrors_later = False
        self.failed_jobs: List[Dict[str, Any]] = []

    @staticmethod
    def _seeds(num_seeds: int, default_seed: int, random_seeds: Optional[List[int]]) -> List[int]:
        if random_seeds is not None:
            if isinstance(random_seeds, int):
                random_seeds = [random_seeds]
            seeds = [int(seed) for seed in random_seeds]
            if not seeds or len(set(seeds)) != len(seeds):
                raise ValueError(f"random_seeds {seeds} must be distinct, and at least one")
            return seeds
        if num_seeds < 1:
            raise ValueError(f"num_seeds {num_seeds} is not positive")
        if num_seeds == 1:
            return [default_seed]
        import numpy

        # The global generator, so that numpy.random.seed makes them the same again.
        return [int(seed) for seed in numpy.random.choice(numpy.arange(100000, 999999), num_seeds, replace=False)]

    def run(self) -> None:
        """Run all jobs to their end, then merge where that was asked for.

        Jobs that failed are no exception: they are in `failed_jobs`, and a warning names them. Ctrl-C cancels the jobs.

        Raises
        ------
        mle.FailedError
            When merging was asked for and no job left a log.
        """
        with _Progress(self) as progress:
            if self.resource_to_run == "local":
                self._run_local(progress)
            else:
                self._run_cluster(progress)
        self._tell_of_failures()
        if self.automerge_configs:
            self.merge_configs(merge_seeds=True)
        elif self.automerge_seeds:
            for log_dir in self.mle_log_dirs:
                self.merge_seeds(log_dir)
        elif self._mirrors_later:
            from mle_logging.merge.merge_hdf5 import write_seed_logs

            for log_dir in self.mle_log_dirs:
                write_seed_logs(log_dir)

    # Local jobs: one transaction adds them, one worker runs them, one query says how all are.

    def _run_local(self, progress: "_Progress") -> None:
        db = mle.open(database_path(self.experiment_dir), create=True)
        experiment, is_own = self._experiment(db)
        self._add_local(db, experiment)
        if not self.queue:
            return
        slots = min(self.max_running_jobs or self.num_total_jobs, self.num_total_jobs)
        workers = Workers.of(db)
        try:
            workers.start(slots)
            if self._mirrors_later:
                # What the logs will be written with takes longer to load than many a job to run.
                threading.Thread(target=_load_hdf5, daemon=True).start()
            while not self._look(db, progress):
                workers.check()
                db.wait(0.5)
        except BaseException:
            db.native.cancel_jobs([entry["job_id"].job for entry in self.queue if entry["status"] != 0])
            workers.stop()
            if is_own:
                self._end(db, experiment, "cancelled", None)
            raise
        if is_own:
            failed = len(self.failed_jobs)
            error = f"{failed} of {self.num_total_jobs} jobs failed" if failed else None
            self._end(db, experiment, "failed" if failed else "complete", error)

    def _experiment(self, db: "mle.Database") -> Tuple[int, bool]:
        """Return the experiment the runs belong to, the protocol's where that is in the same file, and whether it is ours."""
        named = getattr(self.protocol_db, "added_experiment_id", None)
        path = getattr(getattr(self.protocol_db, "db", None), "path", None)
        if named is not None and path is not None and os.path.realpath(path) == os.path.realpath(db.path):
            return int(named), False
        open_jobs = db.sql(
            "SELECT experiment_id FROM jobs WHERE state IN ('queued', 'running') AND experiment_id IS NOT NULL"
            " AND unique_key IN (SELECT value FROM json_each(?)) LIMIT 1",
            [json.dumps([self._key(self._command(entry)) for entry in self.queue])],
        )["experiment_id"]
        if open_jobs:
            # A queue of the same jobs was killed: this one goes on with it.
            return int(open_jobs[0]), True
        name = os.path.basename(os.path.abspath(self.experiment_dir)) or "queue"
        experiment = db.native.add_experiment(name, script=self.job_filename, argv=list(sys.argv))
        db.native.set_state(experiment, "running")
        return experiment, True

    @staticmethod
    def _end(db: "mle.Database", experiment: int, state: str, error: Optional[str]) -> None:
        try:
            db.native.set_state(experiment, state, error)
        except mle.ConflictError:
            pass

    def _add_local(self, db: "mle.Database", experiment: int) -> None:
        if not self.job_filename.endswith((".py", ".sh")):
            interpreter_of(self.job_filename)
        where = self._where()
        contents = {config: read_config(config) for config in self.config_filenames}
        jobs, delays = [], []
        slots = self.max_running_jobs or self.num_total_jobs
        for place, entry in enumerate(self.queue):
            command = self._command(entry)
            jobs.append(
                {
                    "command": command,
                    # While such a job is open, adding it again joins it: a queue that was killed is gone on with.
                    "key": self._key(command),
                    "config": contents[entry["config_fname"]],
                    "seed": entry["seed_id"],
                    "name": entry["base_str"],
                }
            )
            first_wave = self.time_between_launch and place < slots
            delays.append(place * float(self.time_between_launch or 0) if first_wave else None)
        # What jobs log is in the file; the HDF5 files beside it are written here, once, when all is there.
        self._mirrors_later = "MLE_MIRROR" not in os.environ
        environment = {"MLE_MIRROR": "later"} if self._mirrors_later else {}
        waves: Dict[Optional[float], List[int]] = {}
        for place, delay in enumerate(delays):
            waves.setdefault(delay, []).append(place)
        for delay, places in waves.items():
            wishes = {
                "cwd": os.getcwd(), "env": environment, "conda": where["conda"], "venv": where["venv"], "exp_dir": None,
                "yaml": False, "grace_s": None, "retry_delay_s": None, "priority": 0, "cores": 1, "gpus": 0,
                "memory_mib": 0, "time_limit_s": None, "retries": 0, "delay_s": delay, "held": False, "after": [],
                "after_any": [],
            }  # fmt: skip
            added = db.native.add_jobs([jobs[place] for place in places], wishes, experiment, False)
            for place, (job, _) in zip(places, added):
                entry = self.queue[place]
                entry["job"] = self._job(entry)
                entry["job_id"] = LocalProcess(db, job, jobs[place]["command"])
        self.queue_counter = self.num_total_jobs

    def _where(self) -> Dict[str, Optional[str]]:
        # Asked once: an environment that is not here is told of once.
        if self._environment is None:
            self._environment = in_environment(self.job_arguments)
        return self._environment

    def _command(self, entry: Dict[str, Any]) -> List[str]:
        where = self._where()
        words = arguments_of(
            entry["experiment_dir"], entry["config_fname"], entry["seed_id"], self.extra_cmd_line_input
        )
        return command_of(self.job_filename, words, bool(where["conda"] or where["venv"]))

    def _key(self, command: List[str]) -> str:
        import hashlib

        words = "\0".join([os.getcwd(), *command])
        return "mle_scheduler:" + hashlib.sha256(words.encode()).hexdigest()

    def _look(self, db: "mle.Database", progress: "_Progress") -> bool:
        """Take over how the jobs are; return whether all are over."""
        open_entries = {entry["job_id"].job: entry for entry in self.queue if entry["status"] != 0}
        found = db.sql(
            "SELECT id, state, exit_code, signal, error FROM jobs WHERE id IN (SELECT value FROM json_each(?))",
            [str(list(open_entries))],
        )
        rows = zip(*(found[name] for name in ("id", "state", "exit_code", "signal", "error")))
        running = 0
        for job, state, exit_code, signal, error in rows:
            entry = open_entries[job]
            if state in OVER:
                entry["job_id"].note(state, exit_code, signal, error)
                self._over(entry, progress)
            elif state == "running":
                entry["status"] = 1
                running += 1
        self.num_running_jobs = running
        return self.num_completed_jobs == self.num_total_jobs

    # Jobs of a cluster: as many as may run are submitted, and asked for together.

    def _run_cluster(self, progress: "_Progress") -> None:
        limit = self.max_running_jobs or self.num_total_jobs
        while self.num_completed_jobs < self.num_total_jobs:
            while self.num_running_jobs < limit and self.queue_counter < self.num_total_jobs:
                entry = self.queue[self.queue_counter]
                entry["job"], entry["job_id"] = self.launch(self.queue_counter)
                self.queue_counter += 1
                self.num_running_jobs += 1
                entry["status"] = 1
                if entry["job_id"] == -1:
                    entry["error"] = "it was refused"
                    self.num_running_jobs -= 1
                    self._over(entry, progress)
                elif self.time_between_launch:
                    time.sleep(float(self.time_between_launch))
            running = [entry for entry in self.queue if entry["status"] == 1]
            listed = self._listed([entry["job_id"] for entry in running])
            for entry in running:
                if entry["job_id"] not in listed:
                    self.num_running_jobs -= 1
                    self._over(entry, progress)
            if self.num_completed_jobs < self.num_total_jobs:
                time.sleep(1)

    def _listed(self, job_ids: List[int]) -> set:
        from .cluster import sge, slurm

        one = slurm if self.resource_to_run == "slurm-cluster" else sge
        return one.listed_jobs(self.queue[0]["job"].user_name) & set(job_ids)

    def _job(self, entry: Dict[str, Any]) -> MLEJob:
        return MLEJob(
            resource_to_run=self.resource_to_run,
            job_filename=self.job_filename,
            job_arguments=self.job_arguments,
            config_filename=entry["config_fname"],
            experiment_dir=entry["experiment_dir"],
            seed_id=entry["seed_id"],
            extra_cmd_line_input=self.extra_cmd_line_input,
            # A config is needed until the last of its seeds is over, so the queue removes it.
            delete_config=False,
            debug_mode=self.debug_mode,
            cloud_settings=self.cloud_settings,
            ssh_settings=self.ssh_settings,
        )

    def launch(self, queue_counter: int) -> Tuple[MLEJob, Any]:
        """Start one job of the queue; return it and its handle."""
        job = self._job(self.queue[queue_counter])
        return job, job.schedule()

    def monitor(self, job: MLEJob, job_id: Any, continuous: bool = True) -> int:
        """Return the status of one job, as :meth:`MLEJob.monitor`."""
        return job.monitor(job_id, continuous)

    def _over(self, entry: Dict[str, Any], progress: "_Progress") -> None:
        entry["status"] = 0
        self.num_completed_jobs += 1
        handle = entry["job_id"]
        if isinstance(handle, LocalProcess):
            entry["exit_code"], entry["error"] = handle.returncode, handle.error
        failed = bool(entry.get("error")) or bool(entry.get("exit_code"))
        if failed:
            self.failed_jobs.append(entry)
        if entry["job"] is not None:
            entry["job"].job_status = 0
        same = [other for other in self.queue if other["config_fname"] == entry["config_fname"]]
        if self.delete_config and not self.debug_mode and all(other["status"] == 0 for other in same):
            try:
                os.remove(entry["config_fname"])
            except OSError:
                pass
        progress.advance()
        if self.protocol_db is not None and not failed:
            self.protocol_db.update_progress_bar()

    def _tell_of_failures(self) -> None:
        if not self.failed_jobs:
            return
        lines = [f"{len(self.failed_jobs)} of {self.num_total_jobs} jobs failed"]
        for entry in self.failed_jobs[:5]:
            handle = entry["job_id"]
            said = handle.output("stderr").strip().splitlines() if isinstance(handle, LocalProcess) else []
            error = str(entry.get("error"))
            more = f" ({said[-1]})" if said and said[-1] not in error else ""
            lines.append(f"  {entry['base_str']}, seed {entry['seed_id']}: {error}{more}")
        if len(self.failed_jobs) > 5:
            lines.append(f"  and {len(self.failed_jobs) - 5} more")
        self.logger.warning("%s", "\n".join(lines))

    # Merging.

    def _logs(self, log_dir: str) -> List[str]:
        folder = os.path.join(log_dir, "logs")
        if not os.path.isdir(folder):
            return []
        return sorted(name for name in os.listdir(folder) if name.endswith(".hdf5"))

    def _seeds_in_file(self, log_dir: str) -> int:
        """Return of how many seeds the database has logs in a config's folder."""
        from mle_logging import _store

        for path in _store.candidates(log_dir):
            with mle.open(path, create=False) as db:
                found = _store.runs_of(db, log_dir)
                if found:
                    return len(found)
        return 0

    def _merge_seeds(self, experiment_dir: str) -> bool:
        """Merge what seeds left in a config's folder; return whether there was any."""
        from mle_logging import merge_seed_logs

        logs = self._logs(experiment_dir)
        seeds = [name for name in logs if name != "log.hdf5"]
        # There may be no files beside the database yet; with MLE_MIRROR=0, or without h5py, there will be none.
        in_file = self._seeds_in_file(experiment_dir) if len(seeds) < self.num_seeds else 0
        merged = os.path.join(experiment_dir, "logs", "log.hdf5")
        if seeds and "log.hdf5" in logs and not in_file:
            # Of an earlier queue; its runs are still in the file.
            os.remove(merged)
        if seeds or in_file:
            merge_seed_logs(merged, experiment_dir, len(seeds))
            missing = self.num_seeds - max(len(seeds), in_file)
            if missing > 0:
                self.logger.warning("%s: logs of %d of %d seeds are missing", experiment_dir, missing, self.num_seeds)
        found = bool(seeds) or in_file > 0 or "log.hdf5" in logs
        for entry in self.queue:
            if entry["log_dir"] == experiment_dir:
                entry["merged_logs"] = found
        return found

    def merge_seeds(self, experiment_dir: str, load: bool = True) -> None:
        """Merge the logs of a config's seeds into `<experiment_dir>/logs/log.hdf5`; `load` them as `log`.

        Raises
        ------
        mle.FailedError
            When there are none.
        """
        from mle_logging import load_log

        if not self._merge_seeds(experiment_dir):
            raise self._no_logs(experiment_dir)
        if load:
            self.log = load_log(experiment_dir)

    def merge_configs(self, merge_seeds: bool = False, load: bool = True) -> None:
        """Merge the logs of all configs into `<experiment_dir>/meta_log.hdf5`; `load` them, aggregated over seeds, as `log`.

        Configs without a log are left out, with a warning.

        Raises
        ------
        mle.FailedError
            When no config has one.
        """
        from mle_logging import load_log, merge_config_logs

        run_ids = []
        for run_id, log_dir in zip(self.mle_run_ids, self.mle_log_dirs):
            has_log = self._merge_seeds(log_dir) if merge_seeds else bool(self._logs(log_dir)) or self._seeds_in_file(log_dir) > 0
            if has_log:
                run_ids.append(run_id)
            else:
                self.logger.warning("%s left no log", run_id)
        if not run_ids:
            raise self._no_logs(self.experiment_dir)
        merge_config_logs(experiment_dir=self.experiment_dir, all_run_ids=run_ids)
        if load:
            self.log = load_log(os.path.join(self.experiment_dir, "meta_log.hdf5"), aggregate_seeds=True)

    def _no_logs(self, folder: str) -> mle.FailedError:
        hint = None
        if self.failed_jobs:
            handle = self.failed_jobs[0]["job_id"]
            if isinstance(handle, LocalProcess):
                hint = f"the first job that failed says: {handle.output('stderr').strip()[-1000:] or handle.error}"
        return mle.FailedError(f"no job left a log in {folder!r}", hint)


def _load_hdf5() -> None:
    from mle_logging import _hdf5

    _hdf5.available()


class _Progress:
    """A line that says how far a queue is; plain text without rich, nothing where nobody looks."""

    def __init__(self, queue: MLEQueue) -> None:
        self.queue = queue
        self.bar: Optional[Any] = None

    def __enter__(self) -> "_Progress":
        try:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        except ImportError:
            return self
        title = f"[bold blue]MLEQueue - {self.queue.resource_to_run} •"
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn(title),
            TextColumn("{task.completed}/{task.total} Jobs"),
            BarColumn(bar_width=27, complete_style="magenta"),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("•"),
            TimeElapsedColumn(),
            TextColumn(":hourglass:"),
        )
        self.bar.start()
        self.task = self.bar.add_task("jobs", total=self.queue.num_total_jobs)
        return self

    def advance(self) -> None:
        if self.bar is not None:
            self.bar.advance(self.task)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
