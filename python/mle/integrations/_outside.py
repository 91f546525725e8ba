"""Strategies that live in Python: they write their points into the file, and whoever asks its study takes them."""

from __future__ import annotations

import contextlib

from .. import _mle
from .._errors import InvalidError
from .._strategy import Exhausted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

    from .._db import Database
    from .._experiment import Experiment
    from .._study import Study

#: After so many points in a row that break the constraints it is asked whether any keeps them.
_SUSPICIOUS = 20
#: The strategy of a study that proposes nothing itself.
EXTERNAL = "external"


class OutsideStrategy:
    """A strategy in Python, for `Study(…, strategy=…)`, `study.serve(…)` and `Experiment.run(…, strategy=…)`.

    One of your own has :meth:`propose`, and :meth:`learn` where it wants to know how trials ended. It is used by one
    thread at a time.

    Attributes
    ----------
    study : Study
        What it proposes points to, from :meth:`begin` on.
    outline : dict
        What the file says of the study: space, objectives, seed, trial_max, …
    """

    #: What the study's settings name it by.
    name = "python"
    #: How many points in a row may break the study's constraints before it is given up.
    tries = 1000

    def __init__(self) -> None:
        import threading

        self.study: Study
        self.outline: Dict[str, Any] = {}
        self._lock = threading.RLock()
        self._next = 0
        self._open: List[int] = []

    def settings(self) -> Dict[str, Any]:
        """Return what the study's settings say of it: names and numbers for people."""
        return {"by": self.name}

    def begin(self) -> None:
        """Make ready for a study: `self.outline` says what it is; trials that it has already come by :meth:`learn`."""

    def propose(self) -> Mapping[str, Any]:
        """Return the parameters of a new point, those that are active.

        Raises
        ------
        Exhausted
            When there is none.
        """
        raise NotImplementedError

    def learn(self, trial: Dict[str, Any]) -> None:
        """Take in a trial that ended: a dict with number, state, params, values, curve and extra.

        `state` is complete, pruned or failed; `values` has a number for each objective, as the user has them; NaN is a value.
        """

    def refused(self, params: Mapping[str, Any]) -> None:
        """Take in that the last point breaks the study's constraints: another one is asked for."""

    def proposed(self, number: int, params: Mapping[str, Any]) -> None:
        """Take in which number the last point got."""

    def ending(self, number: int, status: str, values: Optional[Sequence[float]]) -> None:
        """Take in that a trial is about to be told, before anybody can see it: only those told through this study."""

    def attach(self, study: Study) -> None:
        """Work for a study from now on; trials that are there already are learnt."""
        found = study.db.native.outline(study.id)
        if found["strategy"] != EXTERNAL:
            raise InvalidError(
                f"study {study.name!r} has the strategy {found['strategy']}", f"make one of the strategy {EXTERNAL}"
            )
        self.study, self.outline = study, found
        #: What knows the constraints; None where there are none.
        self._checker, self._is_checked = None, False
        if found["constraints"]:
            self._checker = _mle.Strategy("random", found["space"], constraints=found["constraints"])
        self._next, self._open = 0, []
        self.begin()
        with self._lock:
            self._catch_up()

    def _catch_up(self) -> None:
        """Learn of the trials that ended since the last look."""
        for trial in self.study.db.native.trials_after(self.study.id, self._next, self._open):
            known = trial["number"] < self._next
            if trial["state"] in ("waiting", "running"):
                if not known:
                    self._open.append(trial["number"])
            else:
                if known:
                    self._open.remove(trial["number"])
                self.learn(trial)
            self._next = max(self._next, trial["number"] + 1)

    def ask(self, n: int, state: str) -> List[Dict[str, Any]]:
        """Write up to `n` new points into the file, as trials that are running or that wait to be taken.

        Raises
        ------
        Exhausted
            When there is not even one.
        """
        made: List[Dict[str, Any]] = []
        with self._lock:
            self._catch_up()
            for _ in range(n):
                try:
                    given = self._give(state)
                except Exhausted:
                    self.study.db.native.exhaust(self.study.id)
                    given = None
                if given is None:
                    break
                made.append(given)
        if not made:
            raise Exhausted("nothing is left to try")
        return made

    def keeps(self, params: Mapping[str, Any]) -> bool:
        """Say whether a point is in the study's space and keeps its constraints; True where it has none."""
        return self._checker is None or self._checker.contains(dict(params))

    def _point(self) -> Dict[str, Any]:
        """Return the first point that keeps the constraints.

        Raises
        ------
        InvalidError
            When too many in a row break them.
        """
        for at in range(self.tries):
            if at == _SUSPICIOUS:
                self._check_constraints()
            params = dict(self.propose())
            if self.keeps(params):
                return params
            # One outside the space is an error of the strategy's, and the file says so.
            if not _mle.Strategy("random", self.outline["space"]).contains(params):
                return params
            self.refused(params)
        raise broken(self.tries, self.name)

    def _check_constraints(self) -> None:
        """Find out once whether chance finds a point that keeps the constraints.

        Raises
        ------
        InvalidError
            When it does not: they cannot be met, or hold in next to none of the space.
        """
        if self._checker is None or self._is_checked:
            return
        try:
            self._checker.ask(1)
        except InvalidError:
            why = f"no draw from the space of study {self.study.name!r} keeps its constraints, nor does a point of {self.name}"
            raise InvalidError(why, "loosen them, or widen the space to where they hold") from None
        self._is_checked = True

    def _give(self, state: str) -> Optional[Dict[str, Any]]:
        params = self._point()
        given = self.study.db.native.propose(self.study.id, params, state=state)
        if given is None:
            return None
        self.proposed(given[1], params)
        return {"number": given[1], "params": params}

    def clear(self) -> None:
        """Give up what a process that died left half made."""

    def serve(self, *, stop: Any = None) -> int:
        """Propose points to the study for as long as it takes some; return how many were proposed.

        As many trials are kept waiting or at work as the file says that its workers need.

        Parameters
        ----------
        stop : threading.Event, optional
            Ends it early.
        """
        native, made = self.study.db.native, 0
        while stop is None or not stop.is_set():
            now = native.outline(self.study.id)
            asked, pending, _ = native.demand(self.study.id)
            self.clear()
            if now["state"] in ("exhausted", "closed") or now["experiment_state"] in ("complete", "failed", "cancelled"):
                break
            wanted = now["trial_ahead"] - pending
            if now["trial_max"] is not None:
                wanted = min(wanted, now["trial_max"] - asked)
            if now["state"] == "open" and wanted > 0:
                try:
                    made += len(self.ask(wanted, "waiting"))
                except Exhausted:
                    break
            else:
                native.wait(0.5)
        return made


def broken(tries: int, name: str) -> InvalidError:
    """Return the error of a strategy all of whose points break the constraints."""
    return InvalidError(
        f"{tries} points of {name} in a row break the study's constraints",
        "loosen them, or narrow the space to where they hold",
    )


def study_of(db: Database, experiment: int, stop: Any = None) -> Optional[Study]:
    """Return the study of an experiment; wait for it where it is not planned yet. None when it ended without one."""
    from .._study import Study

    while stop is None or not stop.is_set():
        found = db.sql("SELECT id FROM studies WHERE experiment_id = ?", [experiment])["id"]
        state, uid = db.sql("SELECT state, uid FROM experiments WHERE id = ?", [experiment]).rows()[0].values()
        if found:
            return Study(uid, db=db)
        if state in ("complete", "failed", "cancelled"):
            return None
        db.wait(0.5)
    return None


@contextlib.contextmanager
def serving(strategy: OutsideStrategy, experiment: Experiment) -> Iterator[None]:
    """Let a strategy propose points to an experiment's study while the block runs."""
    import threading

    stop, failed = threading.Event(), []

    def work() -> None:
        try:
            study = study_of(experiment.db, experiment._known(), stop)
            if study is not None:
                strategy.attach(study)
                strategy.serve(stop=stop)
        except BaseException as error:
            failed.append(error)
            # Nobody else proposes: what runs ends, and so does whoever waits for the experiment.
            experiment.cancel()

    thread = threading.Thread(target=work, name="mle-strategy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def active(space: Mapping[str, Any], params: Mapping[str, Any], name: str) -> bool:
    """Say whether a parameter counts, given those before it."""
    when = space[name].get("when") or {}
    return all(parent in params and params[parent] in values for parent, values in when.items())


def in_order(space: Mapping[str, Any]) -> List[str]:
    """Return the parameters, each after those that its condition names."""
    left, order = list(space), []  # type: List[str], List[str]
    while left:
        ready = [name for name in left if all(parent in order for parent in (space[name].get("when") or {}))]
        if not ready:
            raise InvalidError(f"the conditions of {', '.join(left)} go round in a circle")
        order += ready
        left = [name for name in left if name not in ready]
    return order


def values_of(domain: Mapping[str, Any]) -> Optional[List[Any]]:
    """Return the values of a parameter that has a list of them, else None."""
    kind = domain["type"]
    if kind == "boolean" or kind == "bool":
        return [False, True]
    if kind in ("fixed", "constant"):
        return [domain["value"]]
    choices = domain.get("choices")
    return None if choices is None else list(choices)
