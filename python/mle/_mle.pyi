"""The native part of the package: converts and calls. See API.md; columns are bytearrays in the machine's byte order."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

__version__: str
VIEWS: str

def _before_fork() -> None: ...
def _after_fork() -> None: ...
def cores() -> int: ...
def memory_mib() -> int: ...
def gpus() -> List[str]: ...
def strategies() -> List[str]: ...
def describe_space(space: Any, constraints: Sequence[str] = ...) -> List[Tuple[str, str, str]]: ...

_Why = Optional[str]
_Values = Optional[Sequence[float]]

class Logger:
    def __new__(
        cls,
        path: str,
        *,
        name: str = "",
        purpose: str = "",
        project: str = "",
        tags: Sequence[str] = ...,
        objectives: Sequence[Tuple[str, str, str, str]] = ...,
        config: Optional[Mapping[str, Any]] = None,
        config_name: str = "",
        seed: int = 0,
        experiment: Optional[int] = None,
        join: Optional[str] = None,
        run: Optional[int] = None,
        from_environment: bool = True,
        keep_open: bool = False,
        script: Optional[str] = None,
        sync: bool = False,
    ) -> Any: ...
    def log(self, values: Optional[Dict[str, Any]] = None, step: Optional[int] = None, **more: Any) -> None:
        """Log one update.

        Parameters
        ----------
        values : dict, optional
            Metrics by name, and more of them as keywords. Numbers, also those of numpy and torch, are points of a series; a
            text is one of a series of texts; an array or list is one of a series of vectors; a dict is more metrics, their
            names joined by slashes.
        step : int, optional
            Its place on the step axis; one more than the one before when left out.

        Raises
        ------
        TypeError
            For a value that is none of these.
        InvalidError
            For a name that is none. The update is not logged then.
        ConflictError
            Once the job's lease is lost.
        FailedError
            Once nothing can be written any more.
        """

    def update(self, clock: Dict[str, Any], stats: Optional[Dict[str, Any]] = None, step: Optional[int] = None) -> None:
        """Log one update of `stats` at places on axes: environment steps, epochs.

        The first clock is the step as long as it is whole; else updates are counted.
        """

    def flush(self) -> None: ...
    def take_refused(self) -> List[str]: ...
    def end(self, error: Optional[str] = None) -> None: ...
    @property
    def run_id(self) -> int: ...
    @property
    def attempt(self) -> Optional[int]: ...
    @property
    def path(self) -> str: ...
    @property
    def sync(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def is_own(self) -> bool: ...

def stoppers() -> List[str]: ...
def event_head(seconds: float) -> bytes: ...
def event_records(
    tag: str, steps: bytearray, values: bytearray, seconds: bytearray, origin: float
) -> bytes: ...
def event_scalars(bytes: bytes) -> Tuple[List[Tuple[float, int, str, float]], int]: ...

class Stopper:
    def __new__(cls, name: str, settings: Optional[Mapping[str, Any]] = None) -> Stopper: ...
    def stops(
        self, curve: Sequence[float], others: Sequence[Tuple[str, Optional[float], Sequence[float]]]
    ) -> Optional[str]: ...

class Strategy:
    def __new__(
        cls,
        name: str,
        space: Any,
        *,
        seed: int = 0,
        settings: Optional[Mapping[str, Any]] = None,
        directions: Sequence[str] = ...,
        constraints: Sequence[str] = ...,
        trials: Optional[int] = None,
        workers: int = 1,
        epochs: Optional[int] = None,
        epoch_budget: Optional[int] = None,
    ) -> Strategy: ...
    @property
    def name(self) -> str: ...
    def ask(self, n: int = 1) -> Tuple[List[Dict[str, Any]], _Why]: ...
    def tell(
        self, number: int, values: _Values = None, status: str = "complete", curve: Sequence[float] = ...
    ) -> None: ...
    def put(
        self,
        params: Mapping[str, Any],
        values: _Values = None,
        status: str = "complete",
        epochs: Optional[int] = None,
        curve: Sequence[float] = ...,
    ) -> int: ...
    def restart(
        self,
        name: str,
        space: Any,
        *,
        seed: int = 0,
        settings: Optional[Mapping[str, Any]] = None,
        constraints: Sequence[str] = ...,
        trials: Optional[int] = None,
        workers: int = 1,
        epochs: Optional[int] = None,
        epoch_budget: Optional[int] = None,
    ) -> None: ...
    def trials(self) -> List[Dict[str, Any]]: ...
    def space(self) -> Any: ...
    def contains(self, params: Mapping[str, Any]) -> bool: ...
    @staticmethod
    def nest(params: Mapping[str, Any]) -> Dict[str, Any]: ...

class Db:
    def __new__(cls, path: str, mode: str) -> Db: ...
    @property
    def path(self) -> str: ...
    @property
    def read_only(self) -> bool: ...
    def close(self) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def sql(self, statement: str, params: Any = None) -> Tuple[List[str], List[Tuple[Any, ...]]]: ...
    def copy(self, target: str) -> None: ...
    def thin(self, run: int, metric: str, count: int) -> List[Tuple[int, float]]: ...
    def series(
        self, run: int, metric: str, timed: bool = False
    ) -> Optional[Tuple[bytearray, bytearray, Optional[bytearray]]]: ...
    def many_series(
        self, runs: Sequence[int], metrics: Sequence[str], timed: bool = False
    ) -> List[Tuple[int, str, bytearray, bytearray, Optional[bytearray]]]: ...
    def vectors(self, run: int, metric: str) -> Optional[Tuple[List[int], List[Any]]]: ...
    def texts(self, run: int, metric: str) -> Optional[Tuple[List[int], List[str]]]: ...
    def over_seeds(self, runs: Sequence[int], metrics: Sequence[str]) -> Dict[str, Dict[str, bytearray]]: ...
    def add_experiment(
        self,
        name: str,
        *,
        kind: str = "log",
        purpose: str = "",
        project: str = "",
        tags: Sequence[str] = ...,
        objectives: Sequence[Tuple[str, str, str, str]] = ...,
        extra: Optional[Mapping[str, Any]] = None,
        cwd: Optional[str] = None,
        script: Optional[str] = None,
        argv: Sequence[str] = ...,
    ) -> int: ...
    def find_experiment(self, word: int | str) -> int: ...
    def experiment(self, word: int | str) -> Dict[str, Any]: ...
    def list_experiments(
        self,
        *,
        state: Optional[str] = None,
        project: Optional[str] = None,
        tag: Optional[str] = None,
        text: Optional[str] = None,
        kind: Optional[str] = None,
        deleted: bool = False,
        before: Optional[int] = None,
        limit: int = 1000,
    ) -> List[Dict[str, Any]]: ...
    def set_state(self, experiment: int, state: str, error: Optional[str] = None, who: str = "python") -> bool: ...
    def set_extra(self, experiment: int, extra: Mapping[str, Any], who: str = "python") -> None: ...
    def update_extra(self, experiment: int, changes: Mapping[str, Any], who: str = "python") -> None: ...
    def tag(self, experiment: int, name: str) -> bool: ...
    def untag(self, experiment: int, name: str) -> bool: ...
    def add_note(self, experiment: int, text: str, who: Optional[str] = None) -> int: ...
    def delete_experiment(self, experiment: int, who: str = "python") -> bool: ...
    def undelete_experiment(self, experiment: int, who: str = "python") -> bool: ...
    def report(self, experiment: int | str) -> Tuple[str, str]: ...
    def add_run(
        self, experiment: int, config: Mapping[str, Any], seed: int = 0, name: str = "", who: str = "python"
    ) -> int: ...
    def start_run(self, run: int, who: str = "python") -> bool: ...
    def end_run(
        self,
        run: int,
        state: str = "complete",
        value: Optional[float] = None,
        error: Optional[str] = None,
        who: str = "python",
    ) -> bool: ...
    def config_of_run(self, run: int) -> Dict[str, Any]: ...
    @staticmethod
    def parse_text(text: str, origin: str) -> Any: ...
    @staticmethod
    def as_document(document: Any) -> Any: ...
    def add_artifact(
        self,
        name: str,
        source: bytes | str,
        *,
        run: Optional[int] = None,
        experiment: Optional[int] = None,
        kind: str = "file",
        step: Optional[int] = None,
        value: Optional[float] = None,
        attempt: Optional[int] = None,
        replace: bool = False,
        inside_max_bytes: int = ...,
    ) -> int: ...
    def add_checkpoint(
        self,
        name: str,
        source: bytes | str,
        *,
        run: int,
        step: Optional[int] = None,
        number: int = 1,
        value: Optional[float] = None,
        attempt: Optional[int] = None,
        init: bool = False,
        last: bool = True,
        every_k: int = 0,
        top_k: int = 0,
        goal: str = "min",
        inside_max_bytes: int = ...,
    ) -> List[Tuple[str, int]]: ...
    def latest_checkpoint(self, run: int) -> Optional[Tuple[int, str, Optional[int]]]: ...
    def artifact_bytes(self, artifact: int) -> bytes: ...
    def find_artifact(self, word: str) -> int: ...
    def delete_artifact(self, artifact: int) -> None: ...
    def add_jobs(
        self,
        jobs: Sequence[Mapping[str, Any]],
        wishes: Mapping[str, Any],
        experiment: Optional[int] = None,
        fill: bool = False,
        who: str = "python",
    ) -> List[Tuple[int, Optional[int]]]: ...
    def cancel_jobs(self, jobs: Sequence[int], who: str = "python") -> None: ...
    def retry_job(self, job: int, who: str = "python") -> None: ...
    def explain_job(self, job: int) -> List[Tuple[str, Optional[str]]]: ...
    def steer_experiment(self, experiment: int | str, verb: str, who: str = "python") -> None: ...
    def add_study(
        self,
        name: str,
        space: Any,
        *,
        strategy: str = "auto",
        settings: Optional[Mapping[str, Any]] = None,
        objectives: Sequence[Tuple[str, str]] = ...,
        constraints: Sequence[str] = ...,
        trials: Optional[int] = None,
        workers: int = 1,
        seed: int = 0,
        epochs: Optional[int] = None,
        epoch_budget: Optional[int] = None,
        purpose: str = "",
        if_missing: bool = False,
        argv: Sequence[str] = ...,
    ) -> Tuple[int, int, bool]: ...
    def find_study(self, word: str) -> Tuple[int, int]: ...
    def ask(self, study: int, n: int = 1, hold: bool = False, who: str = "python") -> Tuple[List[Dict[str, Any]], _Why]: ...
    def tell(
        self,
        study: int,
        number: int,
        values: _Values = None,
        status: str = "complete",
        curve: Sequence[float] = ...,
        error: Optional[str] = None,
        who: str = "python",
    ) -> None: ...
    def hold_trials(self, study: int, numbers: Sequence[int]) -> None: ...
    def leave(self) -> None: ...
    def same_space(self, study: int, space: Any, constraints: Sequence[str]) -> bool: ...
    def add_points(
        self,
        study: int,
        points: Sequence[Tuple[Mapping[str, Any], _Values]],
        strict: bool = True,
        who: str = "python",
    ) -> Tuple[List[int], List[Tuple[int, str]]]: ...
    def propose(
        self,
        study: int,
        params: Mapping[str, Any],
        *,
        state: str = "waiting",
        values: _Values = None,
        curve: Sequence[float] = ...,
        extra: Optional[Mapping[str, Any]] = None,
        asked_at_ms: Optional[int] = None,
        ended_at_ms: Optional[int] = None,
        checked: bool = True,
        who: str = "python",
    ) -> Optional[Tuple[int, int]]: ...
    def exhaust(self, study: int, who: str = "python") -> None: ...
    def edit_trial(
        self,
        trial: int,
        *,
        params: Mapping[str, Any] = ...,
        domains: Mapping[str, Any] = ...,
        extra: Sequence[Tuple[Sequence[str], Any]] = ...,
        from_: Optional[str] = None,
        state: Optional[str] = None,
        values: _Values = None,
        curve: Sequence[float] = ...,
        who: str = "python",
    ) -> str: ...
    def touch_trial(self, trial: int) -> None: ...
    def quiet_trials(self, study: int, ms: int) -> List[int]: ...
    def outline(self, study: int) -> Dict[str, Any]: ...
    def demand(self, study: int) -> Tuple[int, int, int]: ...
    def note_study(self, study: int, path: Sequence[str], value: Any, who: str = "python") -> None: ...
    def studies_there(self, name: Optional[str] = None) -> List[int]: ...
    def study_of_trial(self, trial: int) -> Tuple[int, int]: ...
    def trials_after(self, study: int, from_: int = 0, numbers: Sequence[int] = ...) -> List[Dict[str, Any]]: ...
    def steer_study(self, study: int, verb: str, trials: int = 0, who: str = "python") -> None: ...
    def refine(self, study: int, k: int, who: str = "python") -> Any: ...
    def set_space(
        self, study: int, space: Any, constraints: Sequence[str] = ..., who: str = "python"
    ) -> Tuple[int, int]: ...
    def warm_start(self, study: int, from_: int, who: str = "python") -> List[int]: ...
    def importance(
        self, study: int, objective: int = 0, top: float = 0.1
    ) -> Optional[Tuple[List[Tuple[str, float, float]], List[Tuple[str, str, float]]]]: ...
    def replay(self, study: int) -> Tuple[int, int, Optional[int]]: ...
