"""Jobs: commands that workers run."""

from __future__ import annotations

import os
import sys
import time

from ._db import as_database
from ._errors import ConflictError, FailedError, InvalidError
from ._logger import aims, as_config
from ._programs import Running, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

    from ._db import Database
    from ._frame import Frame
    from ._types import Command, Objectives, Path

_OVER = ("succeeded", "failed", "cancelled")


def words_of(command: Command) -> List[str]:
    """Return the words of a command; a text is split as a shell would, but no shell runs it.

    >>> mle._queue.words_of("python train.py --note 'a b'")
    ['python', 'train.py', '--note', 'a b']
    """
    if isinstance(command, str):
        import shlex

        words = shlex.split(command)
    else:
        words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in command]
    if not words:
        raise InvalidError("the command is empty")
    return words


def commands_of(commands: Iterable[Command]) -> List[List[str]]:
    """Return the words of several commands; what is one command is refused.

    >>> mle._queue.commands_of([["python", "train.py"], "sleep 1"])
    [['python', 'train.py'], ['sleep', '1']]
    """
    if isinstance(commands, (str, bytes, os.PathLike)):
        raise InvalidError(f"commands: {commands!r} is one command, not a list of them", f"add([{commands!r}])")
    listed = list(commands)
    if _is_one_command(listed):
        shown = repr(listed) if len(repr(listed)) < 100 else "[…]"
        raise InvalidError(f"commands: {shown} is one command, not a list of them", f"add([{shown}])")
    return [words_of(command) for command in listed]


def _is_one_command(words: List[Any]) -> bool:
    """Say whether a list is plainly the words of one command.

    >>> mle._queue._is_one_command(["sh", "train.sh"]), mle._queue._is_one_command(["sh a.sh", "sh b.sh"])
    (True, False)
    >>> mle._queue._is_one_command(["true", "sleep"])
    False
    """
    import shutil

    if len(words) < 2 or not isinstance(words[0], (str, os.PathLike)):
        return False
    # No program's name begins with a dash, and none is a number or a path by itself.
    if any(isinstance(word, (int, float, os.PathLike)) or (isinstance(word, str) and word[:1] == "-") for word in words[1:]):
        return True
    if not all(isinstance(word, str) and len(word.split()) == 1 for word in words):
        return False
    return shutil.which(words[0]) is not None and not any(shutil.which(word) for word in words[1:])


class Queue:
    """Jobs of a file.

    Parameters
    ----------
    db : path or Database, optional
        The file; that of `MLE_DB` when left out.
    experiment : str or int, optional
        The experiment that jobs belong to: an id of one that is there, or the name of a new one. Needed for jobs with
        configs, whose metrics belong to runs.
    objective : str, dict or list
        What runs of a new experiment are valued by.
    purpose : str
        Why a new experiment is done.

    Examples
    --------
    >>> queue = mle.Queue("lab.db")
    >>> jobs = queue.add([["true"], ["sh", "-c", "echo hello"]])
    >>> queue.run(workers=2)["state"]
    ['succeeded', 'succeeded']
    >>> queue.output(jobs[1])
    'hello\\n'
    """

    def __init__(
        self,
        db: Union[Database, Path, None] = None,
        experiment: Union[str, int, None] = None,
        *,
        objective: Objectives = (),
        purpose: str = "",
    ) -> None:
        self.db = as_database(db)
        #: The ids of the jobs that were added here.
        self.jobs: List[int] = []
        #: The ids of their runs, None for a job without a config.
        self.runs: List[Optional[int]] = []
        self._workers: List[Tuple[Running, bool]] = []
        self.experiment: Optional[int] = experiment if isinstance(experiment, int) else None
        if isinstance(experiment, str):
            self.experiment = self.db.native.add_experiment(
                experiment,
                purpose=purpose,
                objectives=[(metric, goal, "last", "mean") for metric, goal in aims(objective)],
                argv=list(sys.argv),
            )
            self.db.native.set_state(self.experiment, "running")

    def __repr__(self) -> str:
        return f"<mle.Queue of {len(self.jobs)} jobs in {self.db.path!r}>"

    def _repr_html_(self) -> str:
        return self.results()._repr_html_()

    def add(
        self,
        commands: Iterable[Command],
        *,
        configs: Optional[Sequence[Mapping[str, Any]]] = None,
        seeds: Optional[Sequence[int]] = None,
        names: Optional[Sequence[str]] = None,
        keys: Optional[Sequence[Optional[str]]] = None,
        fill: bool = False,
        cwd: Optional[Path] = None,
        env: Optional[Mapping[str, str]] = None,
        conda: Optional[str] = None,
        venv: Optional[str] = None,
        exp_dir: Optional[Path] = None,
        priority: int = 0,
        cores: int = 1,
        gpus: int = 0,
        memory_mib: int = 0,
        time_limit_s: Optional[float] = None,
        grace_s: Optional[float] = None,
        retries: int = 0,
        retry_delay_s: Optional[float] = None,
        delay_s: Optional[float] = None,
        after: Sequence[int] = (),
        after_any: Sequence[int] = (),
        held: bool = False,
        yaml: bool = False,
    ) -> List[int]:
        """Add jobs in one transaction.

        Parameters
        ----------
        commands : iterable of commands
            Each a list of words, or a text that is split as a shell would. No shell runs them. One command alone is a list
            of one: `add([["python", "train.py"]])`.
        configs, seeds, names : sequences as long as `commands`, optional
            The config, the seed and the name of the run that each job does. With a config the job's metrics, its value and
            its end belong to that run.
        keys : sequence of str or None, optional
            While a job with this key is open, another add returns that one.
        fill : bool
            Put parameters of the config into holes such as `{lr}`, the seed into `{seed}`, and have the worker put
            paths of its own into `{config}` and `{exp_dir}`.
        cwd, env, conda, venv, exp_dir
            Where it starts [default: here], variables set for it, what is activated, and the folder for `{exp_dir}`.
        priority : int
            Larger goes first.
        cores, gpus, memory_mib : int
            What each takes. It is killed when it uses more memory.
        time_limit_s, grace_s : float, optional
            When it is stopped after its start [s]; time between asking it to and killing it [s].
        retries, retry_delay_s
            How often it is tried again when it fails; time before the first, each further one waits twice as long [s].
        delay_s : float, optional
            Not before so many seconds.
        after, after_any : sequence of int
            Jobs that must have succeeded, or ended, before.
        held : bool
            Wait until the experiment is resumed.
        yaml : bool
            Write `{config}` as YAML instead of JSON.

        Returns
        -------
        list of int
            The jobs' ids.
        """
        words = commands_of(commands)
        for name, given in (("configs", configs), ("seeds", seeds), ("names", names), ("keys", keys)):
            if given is not None and len(given) != len(words):
                raise InvalidError(f"{name}: there are {len(given)} for {len(words)} commands")
        wishes = {
            "cwd": os.path.abspath(os.fspath(cwd)) if cwd is not None else os.getcwd(),
            "env": dict(env or {}),
            "conda": conda,
            "venv": venv,
            "exp_dir": None if exp_dir is None else os.path.abspath(os.fspath(exp_dir)),
            "yaml": yaml,
            "grace_s": grace_s,
            "retry_delay_s": retry_delay_s,
            "priority": priority,
            "cores": cores,
            "gpus": gpus,
            "memory_mib": memory_mib,
            "time_limit_s": time_limit_s,
            "retries": retries,
            "delay_s": delay_s,
            "held": held,
            "after": list(after),
            "after_any": list(after_any),
        }
        jobs = [
            {
                "command": command,
                "key": keys[at] if keys is not None else None,
                "config": as_config(configs[at]) if configs is not None else None,
                "seed": int(seeds[at]) if seeds is not None else 0,
                "name": names[at] if names is not None else "",
            }
            for at, command in enumerate(words)
        ]
        added = self.db.native.add_jobs(jobs, wishes, self.experiment, fill)
        self.jobs += [job for job, _ in added]
        self.runs += [run for _, run in added]
        return [job for job, _ in added]

    def add_script(
        self,
        script: Path,
        configs: Sequence[Path],
        seeds: Sequence[int],
        exp_dir: Path,
        *,
        extra: Optional[Mapping[str, Any]] = None,
        python: Optional[str] = None,
        **wishes: Any,
    ) -> List[int]:
        """Add a job for each config file and seed: `python SCRIPT -exp_dir D -config F -seed N -key value …`.

        The runs' configs are the files' contents, their names the files' stems. `wishes` are those of :meth:`add`.
        """
        commands, params, all_seeds, names = [], [], [], []
        rest = [str(word) for key, value in (extra or {}).items() for word in (f"-{key}", value)]
        start = ["bash"] if os.fspath(script).endswith(".sh") else [python or sys.executable]
        for config in configs:
            path = os.fspath(config)
            with open(path, encoding="utf-8") as file:
                content = self.db.native.parse_text(file.read(), path)
            for seed in seeds:
                line = [os.fspath(script), "-exp_dir", os.fspath(exp_dir), "-config", path, "-seed", str(seed)]
                commands.append(start + line + rest)
                params.append(content)
                all_seeds.append(seed)
                names.append(os.path.basename(path).split(".")[0])
        return self.add(commands, configs=params, seeds=all_seeds, names=names, **wishes)

    def start_workers(self, workers: Optional[int] = None, *, stay: bool = False) -> Running:
        """Start `mle-worker` with so many slots [default: the cores]; it leaves when nothing is left, unless it is to stay.

        Returns
        -------
        Running
            `.stop()` ends it: its jobs are given back. `.process` is the `subprocess.Popen`.
        """
        words = [program("mle-worker"), "--db", self.db.path]
        if workers is not None:
            words += ["--slots", str(workers)]
        running = Running(words if stay else [*words, "--when-dry"])
        self._workers.append((running, stay))
        return running

    def run(self, workers: Optional[int] = None, timeout_s: Optional[float] = None) -> Frame:
        """Run the jobs on this machine, `workers` at once, until they are over; return :meth:`results`.

        Raises
        ------
        FailedError
            When the worker cannot work.
        TimeoutError
            When they are not over in time. They go on.
        """
        if any(state not in _OVER for state in self.results()["state"]):
            self.start_workers(workers)
        return self.wait(timeout_s)

    def wait(self, timeout_s: Optional[float] = None) -> Frame:
        """Wait until the jobs that were added here are over, whoever runs them; return :meth:`results`.

        An experiment that this queue made ends with the last of its runs.

        Raises
        ------
        FailedError
            When the workers that were started here are gone and jobs are left.
        TimeoutError
            When they are not over in time. They go on.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self.open_jobs():
            self._check_workers()
            left = 0.5 if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.open_jobs()} jobs are not over after {timeout_s} s")
            self.db.wait(min(left, 0.5))
        for running, stays in self._workers:
            if not stays:
                running.wait()
        self._workers = [(running, stays) for running, stays in self._workers if not running.is_over]
        self._settle()
        return self.results()

    def open_jobs(self) -> int:
        """Return how many of the jobs added here are not over."""
        if not self.jobs:
            return 0
        return int(
            self.db.sql(
                "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')"
                " AND id IN (SELECT value FROM json_each(?))",
                [str(self.jobs)],
            ).one()
        )

    def _check_workers(self) -> None:
        if not self._workers or not all(running.is_over for running, _ in self._workers):
            return
        said = "; ".join(running.said() or f"status {running.wait()}" for running, _ in self._workers)
        self._workers = []
        if self.open_jobs():
            raise FailedError(f"the workers are gone, and jobs are left: {said}")

    def _settle(self) -> None:
        """End the experiment with the last of its runs."""
        if self.experiment is None:
            return
        found = self.db.sql(
            "SELECT e.state, e.kind, count(r.id), sum(r.state IN ('waiting', 'running')), sum(r.state = 'failed')"
            " FROM experiments e LEFT JOIN runs r ON r.experiment_id = e.id WHERE e.id = ?",
            [self.experiment],
        )
        state, kind, runs, still, failed = (found[name][0] for name in found.columns)
        if kind == "log" and state == "running" and not still:
            error = f"{failed} of {runs} runs failed" if failed else None
            try:
                self.db.native.set_state(self.experiment, "failed" if failed else "complete", error)
            except ConflictError:
                pass

    def results(self) -> Frame:
        """Return the jobs that were added here: id, state, exit_code, error, duration_s, run_id, value and more."""
        return self.db._view(
            "SELECT j.*, r.value, r.seed, r.name, r.params FROM jobs j LEFT JOIN runs r ON r.id = j.run_id"
            " WHERE j.id IN (SELECT value FROM json_each(?)) ORDER BY j.id",
            [str(self.jobs)],
        )

    def output(self, job: int, stream: str = "stdout") -> str:
        """Return what the last attempt of a job printed; `stream` is "stdout" or "stderr"."""
        found = self.db.sql(
            "SELECT o.text FROM outputs o JOIN jobs j ON j.id = o.job_id AND j.attempt = o.attempt"
            " WHERE o.job_id = ? AND o.stream = ? ORDER BY o.offset",
            [job, stream],
        )
        return "".join(found["text"])

    def cancel(self, jobs: Optional[Sequence[int]] = None) -> None:
        """Cancel jobs, or all that were added here; those that run are asked to stop. What is over stays as it is."""
        self.db.native.cancel_jobs(list(self.jobs if jobs is None else jobs))

    def retry(self, job: int) -> None:
        """Queue a failed or cancelled job again, with all its tries."""
        self.db.native.retry_job(job)

    def explain(self, job: int) -> List[Tuple[str, Optional[str]]]:
        """Return why a job is not running, or how it stands: pairs of a reason and what to do about it."""
        return self.db.native.explain_job(job)

