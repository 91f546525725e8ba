"""Studies: adaptive searches that live in a file."""

from __future__ import annotations

import sys
import warnings

from ._db import as_database
from ._errors import Error, FailedError, InvalidError, NotFoundError, Pruned
from ._logger import aims
from ._strategy import Exhausted, Stopper, Trial, Waiting, as_space, as_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from concurrent.futures import ProcessPoolExecutor
    from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from ._chart import Chart
    from ._db import Database
    from ._frame import Frame
    from .integrations._outside import OutsideStrategy
    from ._types import Function, Objectives, Path, Values


class Study:
    """A search in a file that is asked and told; several processes may do so at once.

    The study of this name is gone on with when the file has one, else it is made from `space` and the rest.

    Parameters
    ----------
    name : str
        Its name, and its experiment's.
    space : dict, optional
        As of :class:`mle.Strategy`. Left out: the study must be there.
    db : path or Database, optional
        The file; that of `MLE_DB` when left out.
    strategy : str or OutsideStrategy
        As of :class:`mle.Strategy`; or one that lives in Python, such as `mle.integrations.OptunaStrategy(sampler)`: it
        proposes while this process asks.
    settings, seed, trials, workers, epochs, epoch_budget, constraints
        As of :class:`mle.Strategy`.
    objective : str, dict or list
        What trials are valued by, such as "loss" or ["loss", "accuracy:max"].
    purpose : str
        Why it is done.

    Raises
    ------
    NotFoundError
        When there is no study of this name and no space.
    InvalidError
        For an unknown strategy or setting, or a space it cannot search.

    Examples
    --------
    >>> study = mle.Study("bowl", {"x": mle.real(-5, 5)}, db="lab.db", strategy="gp", trials=20)
    >>> study.optimize(lambda params: params["x"] ** 2)
    >>> abs(study.best["params"]["x"]) < 1.0
    True
    """

    def __init__(
        self,
        name: str,
        space: Optional[Mapping[str, Any]] = None,
        *,
        db: Union[Database, Path, None] = None,
        strategy: Union[str, OutsideStrategy] = "auto",
        objective: Objectives = "value",
        settings: Optional[Mapping[str, Any]] = None,
        seed: int = 0,
        trials: Optional[int] = None,
        workers: int = 1,
        epochs: Optional[int] = None,
        epoch_budget: Optional[int] = None,
        constraints: Sequence[str] = (),
        purpose: str = "",
    ) -> None:
        self.db = as_database(db, create=space is not None)
        self.name = name
        outside = None if isinstance(strategy, str) else strategy
        if outside is not None:
            strategy, settings = "external", {**outside.settings(), **(settings or {})}
        if space is None:
            self.id, self.experiment = self.db.native.find_study(name)
        else:
            space = as_space(space)
            self.id, self.experiment, is_new = self.db.native.add_study(
                name,
                dict(space),
                strategy=str(strategy),
                settings=dict(settings or {}),
                objectives=aims(objective),
                constraints=list(constraints),
                trials=trials,
                workers=workers,
                seed=seed,
                epochs=epochs,
                epoch_budget=epoch_budget,
                purpose=purpose,
                if_missing=True,
                argv=list(sys.argv),
            )
        found = self.db.sql("SELECT metric, goal FROM objectives WHERE experiment_id = ? ORDER BY position", [self.experiment])
        #: Pairs of a metric and "min" or "max".
        self.objectives = list(zip(found["metric"], found["goal"]))
        if space is not None and not is_new:
            self._warn_of_others(str(strategy), aims(objective), trials, space, constraints)
        self._outside = outside
        if outside is not None:
            outside.attach(self)

    def _warn_of_others(
        self,
        strategy: str,
        objectives: List[Tuple[str, str]],
        trials: Optional[int],
        space: Mapping[str, Any],
        constraints: Sequence[str],
    ) -> None:
        """Say what was asked for that the study of this name, which is gone on with, does not have."""
        row = self.db._view("SELECT strategy, trial_max FROM studies WHERE id = ?", [self.id]).rows()[0]
        pairs = [
            ("strategy", strategy, row["strategy"], strategy != "auto"),
            ("objective", objectives, self.objectives, objectives != [("value", "min")]),
            ("trials", trials, row["trial_max"], trials is not None),
        ]
        others = [f"{what} {has!r}, not {wanted!r}" for what, wanted, has, given in pairs if given and wanted != has]
        if not self.db.native.same_space(self.id, dict(space), list(constraints)):
            others.append("the space it has, not the one given")
        if others:
            why = f"study {self.name!r} is there already and goes on with {', '.join(others)}"
            warnings.warn(f"{why}; set_space and extend change it, another name begins anew", stacklevel=3)

    def __repr__(self) -> str:
        return f"<mle.Study {self.name!r} ({self.id}) in {self.db.path!r}>"

    def _repr_html_(self) -> str:
        from ._html import card

        row = self.db._view("SELECT * FROM studies WHERE id = ?", [self.id]).rows()[0]
        trials = f"{row['trials']} of {row['trial_max']}" if row["trial_max"] else row["trials"]
        aims = ", ".join(f"{name} ({goal})" for name, goal in self.objectives)
        facts = [("state", row["state"]), ("strategy", row["strategy"]), ("objective", aims), ("trials", trials)]
        wanted = ("value",) if len(self.objectives) == 1 else ("values",)
        top = self.top(5)
        inside = [top._html([name for name in ("place", "number", *wanted, "params") if name in top.columns])] if len(top) else []
        try:
            inside.append(self.chart()._repr_html_())
        except NotFoundError:
            pass
        return card("study", self.name, facts, *inside)

    @property
    def state(self) -> str:
        """open, paused, exhausted or closed."""
        return str(self.db.sql("SELECT state FROM studies WHERE id = ?", [self.id]).one())

    def ask(self) -> Trial:
        """Return what to try next; from now on it is at work, also for other processes.

        Raises
        ------
        Exhausted
            When nothing is left.
        Waiting
            When a trial at work must be told first.
        ConflictError
            When the study is paused.
        """
        found, why = self._ask(1)
        if not found:
            raise Exhausted("nothing is left to try") if why == "exhausted" else Waiting("tell a trial first")
        return Trial(found[0])

    def ask_many(self, n: int) -> List[Trial]:
        """Return up to `n` trials in one transaction; fewer when there are no more for now."""
        return [Trial(found) for found in self._ask(n)[0]]

    def _ask_held(self) -> Trial:
        """As :meth:`ask`, for this process: when it is gone the trial is handed out again."""
        found, why = self._ask(1, hold=True)
        if not found:
            raise Exhausted if why == "exhausted" else Waiting
        return Trial(found[0])

    def _ask(self, n: int, hold: bool = False) -> Tuple[List[Dict[str, Any]], Optional[str]]:
        found, why = self.db.native.ask(self.id, n, hold)
        if why == "wait" and self._outside is not None:
            # Points that people added come first.
            try:
                made = self._outside.ask(n - len(found), "running")
            except Exhausted:
                why = "exhausted"
            else:
                if hold:
                    self.db.native.hold_trials(self.id, [one["number"] for one in made])
                found += made
        return found, why

    def tell(
        self,
        trial: Union[Trial, int],
        values: Values = None,
        *,
        status: str = "complete",
        curve: Sequence[float] = (),
        error: Optional[str] = None,
    ) -> None:
        """Say how a trial ended; as :meth:`mle.Strategy.tell`. `error` is kept with it, as `extra["error"]`.

        Raises
        ------
        ConflictError
            When it was told already, or its jobs value it.
        """
        number = trial.number if isinstance(trial, Trial) else int(trial)
        told = as_values(values, [name for name, _ in self.objectives])
        if self._outside is not None:
            self._outside.ending(number, status, told)
        self.db.native.tell(self.id, number, told, status, [float(value) for value in curve], error)

    def serve(self, strategy: OutsideStrategy) -> int:
        """Let a strategy in Python propose points for as long as the study takes some; return how many it proposed.

        For the studies of `mle run` whose spec says `strategy: external`: the jobs run wherever workers are, the points come
        from here. Ctrl-C ends it, and calling it again goes on.
        """
        strategy.attach(self)
        return strategy.serve()

    def add(self, params: Mapping[str, Any], values: Values = None) -> int:
        """Add a point: with values as a trial that was made elsewhere, without as one to try next. Return its number."""
        told = as_values(values, [name for name, _ in self.objectives])
        return self.db.native.add_points(self.id, [(dict(params), told)])[0][0]

    def trials(self) -> Frame:
        """Return the trials in order of their numbers."""
        return self.db._view("SELECT * FROM trials WHERE study_id = ? ORDER BY number", [self.id])

    @property
    def best(self) -> Dict[str, Any]:
        """The best trial: number, value, values, params.

        Raises
        ------
        NotFoundError
            When none is complete with a number.
        InvalidError
            When the study has several objectives, among whose trials no single one is best.
        """
        if len(self.objectives) > 1:
            names = ", ".join(name for name, _ in self.objectives)
            steps = "study.pareto() has the trials that none is better than; study.top(1) goes by the first objective alone"
            raise InvalidError(f"study {self.name!r} has several objectives ({names}), so no trial is best", steps)
        found = self.db._view(
            'SELECT number, value, "values", params FROM ranking WHERE study_id = ? ORDER BY place, number LIMIT 1', [self.id]
        ).rows()
        if not found:
            raise NotFoundError(f"no trial of study {self.name!r} is complete")
        return found[0]

    def top(self, k: int = 10) -> Frame:
        """Return the best `k` trials by the first objective."""
        return self.db._view("SELECT * FROM ranking WHERE study_id = ? ORDER BY place, number LIMIT ?", [self.id, k])

    def pareto(self) -> Frame:
        """Return the trials that no other is better than in one objective and as good in all."""
        return self.db._view("SELECT * FROM pareto WHERE study_id = ? ORDER BY number", [self.id])

    def plot(self, ax: Any = None) -> Any:
        """Draw the value of each trial and the best so far; return matplotlib axes."""
        from ._plot import history

        return history(self, ax)

    def plot_front(self, ax: Any = None) -> Any:
        """Draw the first two objectives of the trials and their front; return matplotlib axes."""
        from ._plot import front

        return front(self, ax)

    def chart(self) -> Chart:
        """Return :meth:`plot` as an interactive figure, which notebooks show without a network."""
        from ._plot import chart_history

        return chart_history(self)

    def chart_front(self) -> Chart:
        """Return :meth:`plot_front` as an interactive figure."""
        from ._plot import chart_front

        return chart_front(self)

    def pause(self) -> None:
        """Ask for nothing more; trials at work go on."""
        self.db.native.steer_study(self.id, "pause")

    def resume(self) -> None:
        """Let a paused study ask again."""
        self.db.native.steer_study(self.id, "resume")

    def extend(self, trials: int) -> None:
        """Allow so many more trials."""
        self.db.native.steer_study(self.id, "extend", trials)

    def refine(self, k: int) -> Any:
        """Narrow the space to the box around the best `k` trials; return it."""
        return self.db.native.refine(self.id, k)

    def set_space(self, space: Mapping[str, Any], constraints: Sequence[str] = ()) -> Tuple[int, int]:
        """Search another space from now on; return how many trials are inside it, and outside: those are left out."""
        return self.db.native.set_space(self.id, dict(as_space(space)), list(constraints))

    def warm_start(self, other: Study) -> List[int]:
        """Take over the ended trials of another study of the file that fit; return the numbers of the new ones."""
        return self.db.native.warm_start(self.id, other.id)

    def importance(self, objective: int = 0, top: float = 0.1) -> Frame:
        """Return which parameters matter for an objective.

        Parameters
        ----------
        objective : int
            Its place.
        top : float
            The share of the trials that counts as the best.

        Returns
        -------
        Frame
            parameter; alone, the share of the variance over the space that it explains by itself; among_best, how far the
            best trials' values differ from those of all, in shares of the sum. Empty when fewer than 4 trials have a value.

        References
        ----------
        Hutter, Hoos, Leyton-Brown, ICML 2014; Watanabe, Bansal, Hutter, IJCAI 2023.
        """
        from ._frame import Frame

        each = (self.db.native.importance(self.id, objective, top) or ([], []))[0]
        return Frame(dict(zip(("parameter", "alone", "among_best"), zip(*each))) if each else {"parameter": []})

    def replay(self) -> Replay:
        """Derive each proposal again from what was known then.

        Examples
        --------
        >>> study = mle.Study("again", {"x": (0.0, 1.0)}, db="lab.db", trials=3)
        >>> study.optimize(lambda params: params["x"])
        >>> study.replay()
        identical: 3 proposals
        """
        return Replay(*self.db.native.replay(self.id))

    def optimize(
        self,
        function: Function,
        n: Optional[int] = None,
        *,
        workers: int = 1,
        processes: bool = False,
        stopper: Union[Stopper, str, None] = None,
        on_error: str = "raise",
    ) -> None:
        """Ask, call and tell until `n` trials are told or nothing is left.

        Parameters
        ----------
        function : callable
            Takes the parameters as a dict; returns a number, a number for each objective, or a dict by metric. NaN and
            infinities are information. With epochs or a stopper it takes the :class:`mle.Trial` instead, whose `report` says
            the value after each epoch. :class:`mle.Pruned` says that the trial was stopped early.
        n : int, optional
            How many trials; needed when the study has no bound and its space is not finite.
        workers : int
            How many at once.
        processes : bool
            Processes instead of threads; `function` must be importable then: no lambda, nothing made inside a function. A
            trial whose process dies is tried again once, as are those that were at work beside it; when it dies again the
            trial failed.
        stopper : Stopper or str, optional
            The rule that stops trials whose reports hold no promise, such as "median". Not with processes.
        on_error : str
            "raise": the trial is told as failed, those at work end, and the error is raised. "record": the trial is told as
            failed and the search goes on.

        Raises
        ------
        InvalidError
            When nothing would end it.
        FailedError
            When the process of a trial died twice, and `on_error` is "raise".

        Notes
        -----
        With several workers Ctrl-C lets the trials at work end and says for which it waits; a second one ends at once, and
        they have failed. Trials of a process of this machine that was killed are handed out again, once; a second death
        fails them.
        """
        if on_error not in ("raise", "record"):
            raise InvalidError(f"on_error: {on_error!r} is neither 'raise' nor 'record'")
        if stopper is not None and processes:
            raise InvalidError("a stopper looks at trials in this process", "optimize(…, workers=n) without processes=True")
        if processes:
            _check_importable(function)
        if n is None and self._is_endless():
            raise InvalidError("nothing ends this search", "optimize(function, n), or a study with trials=…")
        if isinstance(stopper, str):
            stopper = Stopper(stopper, goal=self.objectives[0][1])
        before = self._counts()[0]
        _Loop(self, function, n, max(1, workers), on_error, stopper).run(processes)
        trials, running = self._counts()
        if trials == before and running and n != 0:
            why = f"study {self.name!r} asks for no more, and {running} of its trials are at work: of another program, or of one that is gone"
            warnings.warn(f"{why}; tell them, or extend the study", stacklevel=2)

    def _counts(self) -> Tuple[int, int]:
        """Return how many trials there are and how many of them are at work."""
        sql = "SELECT count(*) AS trials, coalesce(sum(state = 'running'), 0) AS running FROM trials WHERE experiment_id = ?"
        row = self.db.sql(sql, [self.experiment]).rows()[0]
        return row["trials"], row["running"]

    def _is_endless(self) -> bool:
        bound = self.db.sql("SELECT trial_max FROM studies WHERE id = ?", [self.id]).one()
        strategy = self.db.sql("SELECT strategy FROM studies WHERE id = ?", [self.id]).one()
        return bound is None and strategy != "grid"

    def _has_epochs(self) -> bool:
        return self.db.sql("SELECT epoch_max FROM studies WHERE id = ?", [self.id]).one() is not None


class Replay:
    """What came of deriving a study's proposals again; made by :meth:`Study.replay`.

    Attributes
    ----------
    identical : int
        How many proposals were the same.
    added : int
        Trials that are not the strategy's: people or other programs added them.
    different : int or None
        The number of the first trial that would be proposed otherwise; None when all follow.
    """

    __slots__ = ("identical", "added", "different")

    def __init__(self, identical: int, added: int, different: Optional[int]) -> None:
        self.identical, self.added, self.different = identical, added, different

    def __repr__(self) -> str:
        if self.different is not None:
            return f"trial {self.different} cannot be derived again; {self.identical} proposals before it are identical"
        added = f" ({self.added} trials were added by hand)" if self.added else ""
        return f"identical: {self.identical} proposals{added}"


class _Loop:
    """The trials of one call of `optimize`."""

    def __init__(
        self, study: Study, function: Function, n: Optional[int], workers: int, on_error: str, stopper: Optional[Stopper]
    ) -> None:
        self.study, self.function, self.left, self.workers, self.on_error = study, function, n, workers, on_error
        import threading

        self.lock = threading.Lock()
        self.error: Optional[BaseException] = None
        #: Held while a trial is told, and while those at work are given up.
        self.ending = threading.Lock()
        self.at_work: Dict[int, Trial] = {}
        self.given_up = False
        #: Set once threads are started, and once none is at work.
        self.begun, self.over = threading.Event(), threading.Event()
        self.stopper = stopper
        self.takes_trial = stopper is not None or study._has_epochs()
        self.others: Tuple[float, List[Tuple[str, Optional[float], List[float]]]] = (0.0, [])

    def run(self, processes: bool) -> None:
        import threading

        call: Callable[[Trial], Any] = self._call
        pool: Optional[_Processes] = None
        if processes:
            function, takes_trial = self.function, self.takes_trial
            pool = _Processes(self.workers)
            processes_of = pool
            call = lambda trial: processes_of.call(trial, function, takes_trial)  # noqa: E731
        try:
            if self.workers == 1 and not processes:
                self._work(call)
            else:
                self._work_beside(threading.Thread(target=self._work_together, args=(call,), daemon=True))
        finally:
            if pool is not None:
                pool.close(at_once=self.given_up)
            try:
                self.study.db.native.leave()
            except Error:
                # The row of this process stays until somebody finds that it is gone.
                pass
        if self.error is not None:
            raise self.error

    def _work_beside(self, together: threading.Thread) -> None:
        """Wait for the thread that starts the others and waits for them, while this one hears of Ctrl-C."""
        # Not by `join`: a thread whose join was interrupted counts as over, in Python before 3.13.
        try:
            together.start()
            self._wait_until_over()
        except KeyboardInterrupt as error:
            self.error = self.error or error
            try:
                if self.begun.wait(1.0):
                    self._say_what_for()
                    self._wait_until_over()
            except KeyboardInterrupt:
                self._give_up()

    def _wait_until_over(self) -> None:
        while not self.over.wait(0.2):
            pass

    def _say_what_for(self) -> None:
        with self.ending:
            numbers = sorted(self.at_work)
        if numbers:
            trials = f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
            again = "Ctrl-C again ends at once, and they have failed"
            print(f"interrupted: study {self.study.name!r} waits for {trials} to end; {again}", file=sys.stderr, flush=True)

    def _give_up(self) -> None:
        """Leave the trials at work: what becomes of them is told to nobody."""
        with self.ending:
            self.given_up = True
            for trial in self.at_work.values():
                self.study.tell(trial, status="failed", error="interrupted")
            self.at_work.clear()

    def _end(self, trial: Trial, values: Any = None, **how: Any) -> None:
        with self.ending:
            if not self.given_up:
                self.at_work.pop(trial.number, None)
                self.study.tell(trial, values, **how)

    def _why_stop(self, trial: Trial) -> Optional[str]:
        """Ask the stopper, by the curves of the trials that ended; those are read at most once a second."""
        import time

        assert self.stopper is not None
        if time.monotonic() - self.others[0] > 1.0:
            found = self.study.db._view(
                "SELECT state, value, curve FROM trials WHERE study_id = ? AND curve IS NOT NULL"
                " AND state IN ('complete', 'failed', 'pruned') ORDER BY number",
                [self.study.id],
            )
            curves = [[_number(value) for value in curve] for curve in found["curve"]]
            values = [None if value is None else _number(value) for value in found["value"]]
            # A complete trial whose value is no number is one that failed.
            states = ["failed" if v is None and s == "complete" else s for s, v in zip(found["state"], values)]
            self.others = (time.monotonic(), list(zip(states, values, curves)))
        return self.stopper.stops(trial.curve, self.others[1])

    def _call(self, trial: Trial) -> Any:
        if self.stopper is not None:
            trial._judge = self._why_stop
        return _in_process(self.function, trial, self.takes_trial)

    def _take(self) -> Optional[Trial]:
        """Return the next trial; waits for one. None when there is nothing more to do."""
        while True:
            with self.lock:
                if self.error is not None or self.left == 0:
                    return None
                try:
                    trial = self.study._ask_held()
                except Exhausted:
                    return None
                except Waiting:
                    pass
                else:
                    if self.left is not None:
                        self.left -= 1
                    with self.ending:
                        self.at_work[trial.number] = trial
                    return trial
            self.study.db.wait(0.05)

    def _work_together(self, call: Callable[[Trial], Any]) -> None:
        import threading

        self.begun.set()
        try:
            threads = [threading.Thread(target=self._work, args=(call,), daemon=True) for _ in range(self.workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException as error:
            self.error = self.error or error
        finally:
            self.over.set()

    def _work(self, call: Callable[[Trial], Any]) -> None:
        try:
            while True:
                trial = self._take()
                if trial is None:
                    return
                self._try(call, trial)
        except BaseException as error:
            self.error = self.error or error

    def _try(self, call: Callable[[Trial], Any], trial: Trial) -> None:
        try:
            told = call(trial)
            names = [name for name, _ in self.study.objectives]
            curve: Sequence[float] = trial.curve
            if self.takes_trial and isinstance(told, tuple) and len(told) == 2 and isinstance(told[1], (list, tuple)):
                told, curve = told
            values = as_values(told, names)
            if told is None:
                steps = f"return a number, or a dict with {', '.join(names)}; to skip a trial, raise mle.Pruned()"
                raise InvalidError(f"trial {trial.number}: the function returned nothing", steps)
            if values is None or len(values) != len(names):
                raise InvalidError(f"trial {trial.number}: {told!r} is not one number for each of {', '.join(names)}")
        except Pruned as pruned:
            self._end(trial, status="pruned", curve=pruned.curve)
        except BaseException as error:
            self._end(trial, status="failed", error=_why(error))
            if self.on_error == "raise" or not isinstance(error, Exception):
                raise
        else:
            self._end(trial, values, curve=curve)


class _Processes:
    """Processes that trials run in; those that die are replaced."""

    def __init__(self, workers: int) -> None:
        import threading

        from ._logger import watch_children

        self.workers = workers
        self.lock = threading.Lock()
        self.pools: List[ProcessPoolExecutor] = []
        self.closed = False
        self.pool = self._make(workers)
        watch_children()

    def _make(self, workers: int) -> ProcessPoolExecutor:
        import concurrent.futures

        # Ctrl-C reaches all processes of a terminal: what it means is decided here.
        made = concurrent.futures.ProcessPoolExecutor(workers, initializer=_begin_process)
        self.pools.append(made)
        return made

    def call(self, trial: Trial, function: Any, takes_trial: bool) -> Any:
        """Run a trial. When a process of the pool dies all that is at work there is lost: each is tried again alone, once.

        Raises
        ------
        FailedError
            When its process died then too.
        """
        from concurrent.futures.process import BrokenProcessPool

        while True:
            pool = self.pool
            try:
                future = pool.submit(_in_process, function, trial, takes_trial)
            except BrokenProcessPool:
                # It was broken by another trial, before this one began.
                self._replace(pool, trial)
                continue
            try:
                return future.result()
            except BrokenProcessPool:
                # Else the function's own.
                if not getattr(pool, "_broken", True):
                    raise
            self._replace(pool, trial)
            break
        with self.lock:
            self._check_open(trial)
            alone = self._make(1)
        try:
            return alone.submit(_in_process, function, trial, takes_trial).result()
        except BrokenProcessPool:
            if not getattr(alone, "_broken", True):
                raise
            raise self._died(trial) from None
        finally:
            alone.shutdown(wait=False)

    def _replace(self, pool: ProcessPoolExecutor, trial: Trial) -> None:
        with self.lock:
            self._check_open(trial)
            if self.pool is pool:
                pool.shutdown(wait=False)
                self.pools.remove(pool)
                self.pool = self._make(self.workers)

    def _check_open(self, trial: Trial) -> None:
        if self.closed:
            raise self._died(trial)

    def _died(self, trial: Trial) -> FailedError:
        import multiprocessing

        is_fork = multiprocessing.get_start_method() == "fork"
        steps = None if is_fork else 'or the script has no `if __name__ == "__main__":` around what it does'
        return FailedError(f"trial {trial.number}: {_DIED}", steps)

    def close(self, at_once: bool) -> None:
        with self.lock:
            self.closed = True
        for pool in self.pools:
            for process in list((pool._processes or {}).values()) if at_once else []:
                process.terminate()
            pool.shutdown(wait=not at_once)


_DIED = "its process died (killed, or out of memory)"


def _why(error: BaseException) -> str:
    if isinstance(error, FailedError) and _DIED in str(error):
        return _DIED
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


def _begin_process() -> None:
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="mle-parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that made it is gone: nobody would take what it finds."""
    import multiprocessing
    import os
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # Processes that are forked later hold the other end of the pipe too: where the parent is the one that made us, ask also.
    is_near = os.getppid() == parent.pid
    while not wait([parent.sentinel], 1.0):
        if is_near and os.getppid() != parent.pid:
            break
    os._exit(1)


def _check_importable(function: Any) -> None:
    """Refuse what another process cannot find by its name."""
    import pickle

    try:
        pickle.dumps(function)
    except Exception:
        name = getattr(function, "__qualname__", repr(function))
        raise InvalidError(
            f"processes=True: other processes cannot import {name}",
            "define it at the top of a module, or leave processes=True out: workers=n alone are threads",
        ) from None


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _in_process(function: Any, trial: Trial, takes_trial: bool) -> Any:
    told = function(trial if takes_trial else trial.params)
    return told.tolist() if hasattr(told, "tolist") else told
