"""Local jobs. The handle of one looks like a `subprocess.Popen`, but the job lives in the file and outlives this process."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import threading
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import mle

from .._words import environment_of, interpreter_of

logger = logging.getLogger(__name__)
OVER = ("succeeded", "failed", "cancelled")


def database_path(experiment_dir: Optional[str] = None) -> str:
    """Return the file of an experiment: that of `MLE_DB`, else `mle.db` in its folder, which is made."""
    named = os.environ.get("MLE_DB")
    if named:
        return named
    folder = os.path.abspath(os.fspath(experiment_dir) if experiment_dir else os.curdir)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "mle.db")


def read_config(path: Optional[str]) -> Dict[str, Any]:
    """Return a config file's content as a document; {} when there is none or it is no mapping."""
    if path is None:
        return {}
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        found = mle._mle.Db.parse_text(text, os.fspath(path))
    except mle.Error as error:
        # The script may read a format of its own, so the job is run all the same.
        logger.warning("%s is kept as text: %s", path, error)
        return {"config_text": text}
    return found if isinstance(found, dict) else {"config": found}


def _which(program: str) -> Optional[str]:
    import shutil

    return shutil.which(program)


def in_environment(arguments: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """Return `conda` and `venv` of a job as :meth:`mle.Queue.add` takes them.

    An environment is left out, with a warning, where there is no conda or WORKON_HOME is not set: files written for a
    cluster run here too.
    """
    wanted = environment_of(arguments)
    if wanted["conda"] and not (_which("conda") or os.environ.get("CONDA_EXE") or os.environ.get("CONDA_PREFIX")):
        logger.warning("conda environment %r is not activated: there is no conda here", wanted["conda"])
        return {"conda": None, "venv": None}
    if wanted["venv"]:
        home = os.environ.get("WORKON_HOME")
        if not home:
            logger.warning("environment %r is not activated: WORKON_HOME is not set", wanted["venv"])
            return {"conda": None, "venv": None}
        wanted["venv"] = os.path.join(home, wanted["venv"])
    return wanted


def command_of(filename: str, words: Sequence[str], activated: bool) -> List[str]:
    """Return the command of a local job: this interpreter's, or the environment's own where one is activated."""
    if filename.endswith(".sh"):
        return ["bash", filename, *words]
    if activated:
        interpreter_of(filename)
        return ["python", filename, *words]
    return [sys.executable, filename, *words]


class LocalProcess:
    """A job of the queue that looks like a `subprocess.Popen`.

    Attributes
    ----------
    job : int
        Its id in the file.
    returncode : int or None
        The exit code, minus the signal that ended it, or 1 when it could not be started; None while it is not over.
    """

    def __init__(self, db: "mle.Database", job: int, args: Sequence[str]) -> None:
        self.db = db
        self.job = job
        self.args = list(args)
        self.returncode: Optional[int] = None
        self.error: Optional[str] = None

    def __repr__(self) -> str:
        return f"<local job {self.job} of {self.db.path!r}>"

    def poll(self) -> Optional[int]:
        """Return the exit code, or None while the job is not over."""
        if self.returncode is None:
            found = self.db.sql("SELECT state, exit_code, signal, error FROM jobs WHERE id = ?", [self.job])
            if not len(found["state"]):
                self.returncode, self.error = 1, "the job is no longer in the file"
            else:
                self.note(found["state"][0], found["exit_code"][0], found["signal"][0], found["error"][0])
        return self.returncode

    def note(self, state: str, exit_code: Optional[int], signal: Optional[int], error: Optional[str]) -> None:
        """Take over what a row of the view `jobs` says."""
        if state not in OVER:
            return
        self.error = error
        if state == "succeeded":
            self.returncode = 0
        elif signal is not None:
            self.returncode = -int(signal)
        else:
            self.returncode = int(exit_code) if exit_code else 1

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait for the end of the job; return its exit code.

        Raises
        ------
        TimeoutError
            When it is not over in time. It goes on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = 0.5 if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {self.job} goes on after {timeout} s")
            Workers.of(self.db).check()
            self.db.wait(min(left, 0.5))
        return int(self.returncode or 0)

    def output(self, stream: str = "stdout") -> str:
        """Return what the job printed; `stream` is "stdout" or "stderr"."""
        return mle.Queue(self.db).output(self.job, stream)

    def communicate(self, input: None = None, timeout: Optional[float] = None) -> Tuple[bytes, bytes]:
        """Wait for the end of the job; return what it printed to stdout and to stderr."""
        self.wait(timeout)
        return self.output("stdout").encode(), self.output("stderr").encode()

    def terminate(self) -> None:
        """Ask the job to stop; it is killed when it does not."""
        if self.poll() is None:
            self.db.native.cancel_jobs([self.job])

    kill = terminate


class Workers:
    """The worker programs that this process started for a file."""

    _kept: Dict[str, "Workers"] = {}
    _lock = threading.Lock()

    def __init__(self, db: "mle.Database") -> None:
        self.db = db
        self.running: List["mle.Running"] = []

    @classmethod
    def of(cls, db: "mle.Database") -> "Workers":
        with cls._lock:
            path = os.path.realpath(db.path)
            found = cls._kept.get(path)
            if found is None:
                found = cls._kept[path] = cls(db)
            return found

    def start(self, slots: int) -> None:
        """Start one more worker with so many slots. It leaves when nothing is left to do."""
        # Slots alone bound how many jobs run at once: a queue of ten may be meant to share two cores.
        words = [mle.program("mle-worker"), "--db", self.db.path, "--when-dry"]
        words += ["--slots", str(slots), "--cores", str(max(slots, mle.Resource().cores))]
        self.running = [one for one in self.running if not one.is_over]
        self.running.append(mle.Running(words))

    def check(self) -> None:
        """See that somebody works on the open jobs.

        Raises
        ------
        mle.FailedError
            When all workers that were started here are gone, and no other has come.
        """
        if not self.running or not all(one.is_over for one in self.running):
            return
        open_jobs = "SELECT count(*) FROM jobs WHERE state = 'queued' OR state = 'running'"
        if not self.db.sql(open_jobs).one():
            return
        said = "; ".join(one.said() or f"status {one.wait()}" for one in self.running)
        failed = any(one.wait() != 0 for one in self.running)
        if failed:
            raise mle.FailedError(f"the workers of {self.db.path} are gone, and jobs are left: {said}")
        # It left just before these jobs were added.
        self.start(1)

    def stop(self) -> None:
        """Ask the workers to leave: their jobs are given back."""
        for one in self.running:
            if not one.is_over:
                one.stop()
        self.running = []


def add_job(
    command: Sequence[str],
    *,
    db: Optional["mle.Database"] = None,
    arguments: Optional[Mapping[str, Any]] = None,
    config: Optional[Mapping[str, Any]] = None,
    experiment: Optional[int] = None,
    seed: Optional[int] = None,
    name: str = "",
) -> LocalProcess:
    """Put one job into the queue of a file, with a worker of its own."""
    db = db if db is not None else mle.open(database_path(), create=True)
    where = in_environment(arguments or {})
    queue = mle.Queue(db, experiment)
    more: Dict[str, Any] = {}
    if experiment is not None and config is not None:
        more = {"configs": [config], "seeds": [seed or 0], "names": [name]}
    (job,) = queue.add([list(command)], conda=where["conda"], venv=where["venv"], **more)
    Workers.of(db).start(1)
    return LocalProcess(db, job, command)


def submit_subprocess(cmd: str, debug: bool = True) -> LocalProcess:
    """Run a command line; it is split as a shell would, but no shell runs it."""
    return add_job(shlex.split(cmd))


def submit_local(filename: str, cmd_line_arguments: str, debug: bool = True) -> LocalProcess:
    """Run a script with this interpreter, or with bash."""
    return add_job(command_of(filename, shlex.split(cmd_line_arguments), False))


def submit_conda(
    filename: str, cmd_line_arguments: str, job_arguments: Mapping[str, Any], debug: bool = True
) -> LocalProcess:
    """Run a script in a conda environment, with its interpreter."""
    interpreter_of(filename)
    arguments = dict(job_arguments, use_conda_venv=bool(job_arguments.get("env_name")))
    activated = in_environment(arguments)["conda"] is not None
    return add_job(command_of(filename, shlex.split(cmd_line_arguments), activated), arguments=arguments)


def submit_venv(
    filename: str, cmd_line_arguments: str, job_arguments: Mapping[str, Any], debug: bool = True
) -> LocalProcess:
    """Run a script in the environment `$WORKON_HOME/<env_name>`, with its interpreter."""
    arguments = dict(job_arguments, use_conda_venv=False, use_venv_venv=True)
    activated = in_environment(arguments)["venv"] is not None
    return add_job(command_of(filename, shlex.split(cmd_line_arguments), activated), arguments=arguments)


def monitor_local(process: LocalProcess) -> bool:
    """Return whether a job is not over; returns at once."""
    return process.poll() is None


def random_id(length: int = 8) -> str:
    """Return `length` distinct letters and digits."""
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    if not 0 <= length <= len(letters):
        raise ValueError(f"length {length} is not within 0 and {len(letters)}")
    import secrets

    return "".join(secrets.SystemRandom().sample(letters, length))
