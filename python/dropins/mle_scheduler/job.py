"""One job: a script, with one config and one seed."""

from __future__ import annotations

import getpass
import logging
import os
import time
from typing import Any, Dict, List, Optional, Union

import mle

from ._words import (
    arguments_of,
    as_text,
    check_resource,
    interpreter_of,
    no_backend,
    warn_of_unknown,
)
from .local.helpers_launch_local import LocalProcess, add_job, command_of, database_path, in_environment, read_config


class MLEJob:
    """A script to run somewhere.

    Parameters
    ----------
    resource_to_run : str
        "local", "slurm-cluster" or "sge-cluster". "ssh-node" and "gcp-cloud" are known, but nothing runs there yet.
    job_filename : str
        The script: `.py` or `.sh`.
    job_arguments : dict
        What the job needs, such as `{"num_logical_cores": 2, "time_per_job": "00:01:00"}`; not changed.
    config_filename, experiment_dir, seed_id : optional
        Handed to the script as `-config`, `-exp_dir` and `-seed`.
    extra_cmd_line_input : dict, optional
        Handed to the script as `-key value`.
    delete_config : bool
        Remove the config's file when the job is over.
    debug_mode : bool
        Remove nothing when the job is over.
    cloud_settings, ssh_settings : dict, optional
        Needed for "gcp-cloud" and "ssh-node".
    logger_level : int
        Of the logger `mle_scheduler`.

    Notes
    -----
    A local job lives in `mle.db` in `experiment_dir`, or in the file that `MLE_DB` names: its output, its exit code, its
    use of the machine and what it logs are there.
    """

    def __init__(
        self,
        resource_to_run: str,
        job_filename: str,
        job_arguments: Dict[str, Any] = {},
        config_filename: Optional[str] = None,
        experiment_dir: Optional[str] = None,
        seed_id: Optional[int] = None,
        extra_cmd_line_input: Optional[Dict[str, Any]] = None,
        delete_config: bool = False,
        debug_mode: bool = False,
        cloud_settings: Optional[Dict[str, Any]] = None,
        ssh_settings: Optional[Dict[str, Any]] = None,
        logger_level: int = logging.WARNING,
    ) -> None:
        self.resource_to_run = resource_to_run
        self.job_filename = job_filename
        self.config_filename = config_filename
        self.experiment_dir = experiment_dir
        self.job_arguments = dict(job_arguments)
        self.seed_id = seed_id
        self.extra_cmd_line_input = extra_cmd_line_input
        self.delete_config = delete_config
        self.debug_mode = debug_mode
        self.cloud_settings = cloud_settings
        self.ssh_settings = ssh_settings
        self.logger = logging.getLogger("mle_scheduler.job")
        self.logger.setLevel(logger_level)
        if resource_to_run == "gcp-cloud" and cloud_settings is None:
            raise AssertionError("gcp-cloud needs cloud_settings")
        if resource_to_run == "ssh-node" and ssh_settings is None:
            raise AssertionError("ssh-node needs ssh_settings")
        if seed_id is not None:
            name = self.job_arguments.get("job_name")
            self.job_arguments["job_name"] = str(seed_id) if name is None else f"{name}-{seed_id}"
        try:
            self.user_name = getpass.getuser()
        except (KeyError, OSError):
            self.user_name = str(os.getuid())
        self.cmd_line_args = self.generate_cmd_line_args()
        if extra_cmd_line_input is not None:
            self.cmd_line_args = self.generate_extra_cmd_line_args(self.cmd_line_args, extra_cmd_line_input)
        #: The experiment of the file that a local job belongs to; a new one when None.
        self.experiment_id: Optional[int] = None
        warn_of_unknown(resource_to_run, self.job_arguments, self.logger)

    def generate_cmd_line_args(self) -> str:
        """Return `-exp_dir … -config … -seed …`, what is missing left out, quoted where a shell would need it."""
        return as_text(arguments_of(self.experiment_dir, self.config_filename, self.seed_id, None))

    def generate_extra_cmd_line_args(self, cmd_line_args: str, extra_cmd_line_input: Optional[Dict[str, Any]] = None) -> str:
        """Return arguments with `-key value` for each pair added."""
        return cmd_line_args + as_text(arguments_of(None, None, None, extra_cmd_line_input))

    def run(self) -> int:
        """Run it to its end; return its last status, as :meth:`monitor`."""
        job_id = self.schedule()
        if job_id == -1:
            return -1
        status = self.monitor(job_id, continuous=True)
        if not self.debug_mode:
            self.clean_up(job_id)
        return status

    def schedule(self) -> Any:
        """Start it; return its handle: a :class:`LocalProcess`, a cluster's number, or -1 when it was refused.

        Raises
        ------
        ValueError
            For an unknown resource, or a script that is neither `.py` nor `.sh`.
        NotImplementedError
            For a resource where nothing runs yet.
        """
        check_resource(self.resource_to_run)
        if self.resource_to_run == "local":
            job_id = self.schedule_local()
        elif self.resource_to_run == "ssh-node":
            job_id = self.schedule_ssh()
        elif self.resource_to_run == "gcp-cloud":
            job_id = self.schedule_cloud()
        else:
            job_id = self.schedule_cluster()
        self.job_status: int = 0 if job_id == -1 else 1
        self.logger.info("%s: job %s of %s", self.resource_to_run, job_id, self.job_filename)
        return job_id

    def monitor(self, job_id: Any, continuous: bool = True) -> int:
        """Return 1 while it runs and 0 when it is over; `continuous` waits for that, and is -1 for a job that failed."""
        check_resource(self.resource_to_run)
        if self.resource_to_run == "local":
            status = self.monitor_local(job_id, continuous)
        elif self.resource_to_run == "ssh-node":
            status = self.monitor_ssh(job_id, continuous)
        elif self.resource_to_run == "gcp-cloud":
            status = self.monitor_cloud(job_id, continuous)
        else:
            status = self.monitor_cluster(job_id, continuous)
        if status != 1:
            self.job_status = 0
            self.logger.info("%s: job %s is over", self.resource_to_run, job_id)
        return status

    def schedule_local(self) -> LocalProcess:
        """Put it into the queue, with a worker."""
        if not self.job_filename.endswith((".py", ".sh")):
            interpreter_of(self.job_filename)
        db = mle.open(database_path(self.experiment_dir), create=True)
        config = read_config(self.config_filename)
        if self.experiment_id is None:
            # The runs of one queue have one experiment; a job alone has its own.
            self.experiment_id = db.native.add_experiment(
                self.job_arguments.get("job_name") or os.path.basename(self.job_filename), script=self.job_filename
            )
            db.native.set_state(self.experiment_id, "running")
            self._ends_experiment = True
        name = "" if self.config_filename is None else os.path.basename(self.config_filename).split(".")[0]
        return add_job(
            self.command(),
            db=db,
            arguments=self.job_arguments,
            config=config,
            experiment=self.experiment_id,
            seed=self.seed_id,
            name=name,
        )

    def command(self) -> List[str]:
        """Return the command of a local job, word by word."""
        where = in_environment(self.job_arguments)
        words = arguments_of(self.experiment_dir, self.config_filename, self.seed_id, self.extra_cmd_line_input)
        return command_of(self.job_filename, words, bool(where["conda"] or where["venv"]))

    def monitor_local(self, proc: LocalProcess, continuous: bool = True) -> int:
        """As :meth:`monitor`."""
        if not continuous:
            over = proc.poll() is not None
        else:
            proc.wait()
            over = True
        if not over:
            return 1
        if getattr(self, "_ends_experiment", False) and self.experiment_id is not None:
            self._ends_experiment = False
            failed = proc.returncode != 0
            try:
                state, error = ("failed", f"the job failed: {proc.error}") if failed else ("complete", None)
                proc.db.native.set_state(self.experiment_id, state, error)
            except mle.ConflictError:
                pass
        if proc.returncode != 0:
            said = proc.output("stderr")[-2000:].strip()
            self.logger.warning("job %s failed: %s%s", proc.job, proc.error, "\n" + said if said else "")
            return -1 if continuous else 0
        return 0

    def schedule_cluster(self) -> int:
        """Submit it to Slurm or GridEngine; return its number there, or -1 when it was refused."""
        from .cluster import submit_sge, submit_slurm

        submit = submit_slurm if self.resource_to_run == "slurm-cluster" else submit_sge
        return submit(
            self.job_filename, self.cmd_line_args, self.job_arguments, self.user_name, self.debug_mode, not self.debug_mode
        )

    def monitor_cluster(self, job_id: int, continuous: bool = True) -> int:
        """As :meth:`monitor`; a cluster says that a job is no longer there, not how it ended."""
        from .cluster import monitor_sge, monitor_slurm

        look = monitor_slurm if self.resource_to_run == "slurm-cluster" else monitor_sge
        while look(job_id, self.user_name):
            if not continuous:
                return 1
            time.sleep(1)
        return 0

    def schedule_ssh(self) -> int:
        """Nothing runs on SSH nodes yet."""
        raise no_backend("running jobs on an SSH node ('ssh-node')")

    def monitor_ssh(self, proc: int, continuous: bool = True) -> int:
        """Nothing runs on SSH nodes yet."""
        raise no_backend("watching jobs on an SSH node ('ssh-node')")

    def schedule_cloud(self) -> str:
        """Nothing runs on GCP yet."""
        raise no_backend("running jobs on GCP ('gcp-cloud')")

    def monitor_cloud(self, job_id: str, continuous: bool = True) -> int:
        """Nothing runs on GCP yet."""
        raise no_backend("watching jobs on GCP ('gcp-cloud')")

    def clean_up(self, job_id: Union[LocalProcess, int, str]) -> None:
        """Remove the config's file when that was asked for. What jobs printed is kept."""
        if self.delete_config and self.config_filename is not None:
            try:
                os.remove(self.config_filename)
            except OSError:
                pass

