"""Studies: adaptive searches that live in a file."""

from __future__ import annotations

import sys
import warnings

from ._db import as_database
from ._errors import InvalidError, NotFoundError
from ._logger import aims
from ._strategy import Exhausted, Stopper, Trial, Waiting, as_space, as_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

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
        from ._loop import Loop
        from ._processes import check_importable

        if processes:
            check_importable(function)
        if n is None and self._is_endless():
            raise InvalidError("nothing ends this search", "optimize(function, n), or a study with trials=…")
        if isinstance(stopper, str):
            stopper = Stopper(stopper, goal=self.objectives[0][1])
        before = self._counts()[0]
        Loop(self, function, n, max(1, workers), on_error, stopper).run(processes)
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
        added = f" ({self.added} {'trial was' if self.added == 1 else 'trials were'} added, not proposed)" if self.added else ""
        return f"identical: {self.identical} proposals{added}"
