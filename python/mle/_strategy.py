"""Strategies in memory, and how spaces are written."""

from __future__ import annotations

from . import _mle
from ._logger import aims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from ._types import Objectives, Values


def real(low: float, high: float, *, log: bool = False, step: Optional[float] = None) -> Dict[str, Any]:
    """Describe a real parameter.

    >>> mle.real(1e-4, 1e-1, log=True)
    {'type': 'real', 'low': 0.0001, 'high': 0.1, 'prior': 'log'}
    """
    return _numeric("real", low, high, log, step)


def integer(low: int, high: int, *, log: bool = False, step: Optional[int] = None) -> Dict[str, Any]:
    """Describe a whole parameter; both ends are among its values.

    >>> mle.integer(1, 8)
    {'type': 'integer', 'low': 1, 'high': 8}
    """
    return _numeric("integer", low, high, log, step)


def as_space(space: Any) -> Any:
    """Return a space in which pairs of numbers are ranges.

    A tuple of two numbers is a range, as in other libraries: of whole numbers with both ends where both are whole, else of
    real ones. A list is a choice, also one of two numbers.

    >>> mle._strategy.as_space({"lr": (1e-4, 1e-1), "layers": (1, 8), "batch": [32, 64]})
    {'lr': {'type': 'real', 'low': 0.0001, 'high': 0.1}, 'layers': {'type': 'integer', 'low': 1, 'high': 8}, 'batch': [32, 64]}
    """
    return {name: _range(entry) for name, entry in space.items()} if hasattr(space, "items") else space


def _range(entry: Any) -> Any:
    import numbers

    def is_number(value: Any) -> bool:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)

    if not isinstance(entry, tuple) or len(entry) != 2 or not all(map(is_number, entry)):
        return entry
    whole = all(isinstance(value, numbers.Integral) for value in entry)
    return integer(*map(int, entry)) if whole else real(*map(float, entry))


def choice(values: Sequence[Any], *, ordered: bool = False) -> Dict[str, Any]:
    """Describe a parameter that is one of some values.

    >>> mle.choice(["adam", "sgd"])
    {'type': 'categorical', 'choices': ['adam', 'sgd']}
    """
    return {"type": "ordinal" if ordered else "categorical", "choices": list(values)}


def _numeric(kind: str, low: Any, high: Any, log: bool, step: Any) -> Dict[str, Any]:
    made = {"type": kind, "low": low, "high": high}
    if log:
        made["prior"] = "log"
    if step is not None:
        made["step"] = step
    return made


def strategies() -> List[str]:
    """Return the names of the strategies.

    >>> {"auto", "random", "tpe", "gp", "cmaes", "hyperband"} <= set(mle.strategies())
    True
    """
    return _mle.strategies()


def stoppers() -> List[str]:
    """Return the names of the rules of :class:`Stopper`.

    >>> {"median", "percentile", "threshold", "patience", "wilcoxon"} <= set(mle.stoppers())
    True
    """
    return _mle.stoppers()


class Stopper:
    """A rule that ends trials at work whose curve holds no promise.

    Parameters
    ----------
    name : str
        median: whose best so far is worse than the median of the others' at the same epoch. percentile: the same with
        `percentile`. threshold: whose last value is no number, or out of `lower` and `upper`. patience: that did not get better
        in `patience` epochs by more than `delta`. wilcoxon: that is worse than the best trial on the same seeds.
    goal : str
        "min" or "max": what is good.
    **settings
        Of the rule: `startup` (trials that end before any is stopped), `warmup` (epochs that are not looked at), `interval`,
        `least`, and those above.

    References
    ----------
    Golovin et al., KDD 2017 (median); Wilcoxon, Biometrics Bulletin 1 (1945).

    Examples
    --------
    >>> rule = mle.Stopper("patience", patience=2)
    >>> rule.stops([1.0, 0.5, 0.25]) is None, rule.stops([1.0, 0.5, 0.6, 0.7]) is None
    (True, False)
    """

    def __init__(self, name: str = "median", *, goal: str = "min", **settings: Any) -> None:
        self.native = _mle.Stopper(name, settings)
        self.name = name
        self._sign = {"min": 1.0, "max": -1.0}[aims([("value", goal)])[0][1]]

    def stops(self, curve: Sequence[float], others: Sequence[Tuple[str, Optional[float], Sequence[float]]] = ()) -> Optional[str]:
        """Return why a trial that reported `curve` is to stop now, or None.

        Parameters
        ----------
        curve : sequence of float
            A value for each epoch so far, as you have them.
        others : sequence of (status, value or None, curve)
            The trials before it; complete, failed, pruned or running.
        """
        sign = self._sign
        turned = [
            (status, None if value is None else sign * value, [sign * one for one in of]) for status, value, of in others
        ]
        return self.native.stops([sign * float(one) for one in curve], turned)


class Trial:
    """A point to try.

    Attributes
    ----------
    number : int
        Its place in the search, from 0.
    params : dict
        Its active parameters.
    epochs : int or None
        The epochs to reach, counted from its beginning, where the search has epochs.
    resumed : bool
        Whether it goes on from where it stopped.
    origin : (int, int) or None
        The trial, and its epochs, whose checkpoint it starts from.
    curve : list of float
        What :meth:`report` was given so far.
    """

    __slots__ = ("number", "params", "epochs", "resumed", "origin", "curve", "_judge")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.number: int = given["number"]
        self.params: Dict[str, Any] = given["params"]
        self.epochs: Optional[int] = given.get("epochs")
        self.resumed: bool = given.get("resumed", False)
        self.origin: Optional[Tuple[int, int]] = given.get("origin")
        self.curve: List[float] = []
        self._judge: Any = None

    def _repr_html_(self) -> str:
        from ._chart import sparkline
        from ._html import Html, card, table

        facts = [("epochs", self.epochs), ("reported", Html(sparkline(self.curve)) or None)]
        return card("trial", self.number, facts, table(["parameter", "value"], [list(self.params), list(self.params.values())], len(self.params)))

    def report(self, value: float) -> None:
        """Say the first objective after one more epoch.

        Raises
        ------
        Pruned
            When the stopper of :meth:`Study.optimize` says that the trial holds no promise.
        """
        self.curve.append(float(value))
        why = self._judge(self) if self._judge is not None else None
        if why is not None:
            from ._errors import Pruned

            raise Pruned(self.curve)

    @property
    def nested(self) -> Dict[str, Any]:
        """The parameters, nested where their names have slashes."""
        return _mle.Strategy.nest(self.params)

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def __repr__(self) -> str:
        epochs = "" if self.epochs is None else f", epochs={self.epochs}"
        return f"Trial({self.number}, {self.params!r}{epochs})"


class Exhausted(Exception):
    """Nothing is left to ask for."""


class Waiting(Exception):
    """Nothing can be asked for before a trial at work is told."""


def as_values(values: Values, names: Optional[Sequence[str]] = None) -> Optional[List[float]]:
    """Return what was told as a list of numbers."""
    if values is None:
        return None
    if isinstance(values, dict):
        if names is None:
            return [_as_number(value) for value in values.values()]
        missing = [name for name in names if name not in values]
        if missing:
            from ._errors import InvalidError

            raise InvalidError(f"there is no value of {', '.join(missing)} among {', '.join(values)}")
        return [_as_number(values[name]) for name in names]
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        return [_as_number(value) for value in values]
    return [_as_number(values)]


def _as_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        from ._errors import InvalidError

        raise InvalidError(f"{value!r} is no number that a trial could be told", "a trial that has none is told as failed") from None


class Strategy:
    """A search in memory, without a file.

    Parameters
    ----------
    name : str
        One of :func:`strategies`.
    space : dict
        A parameter by name: :func:`real`, :func:`integer`, :func:`choice`, a tuple of two numbers for a range (of whole ones
        where both are), a list of choices, a fixed value; or mle-hyperopt's three dicts `{"real": …, "integer": …, "categorical": …}`.
    objective : str, dict or list
        As of :class:`mle.Logger`; more than one for several objectives.
    seed : int
        Of the strategy's random stream: the same seed, space and history give the same proposals.
    settings : dict, optional
        Of the strategy. `{"compat": "mle_hyperopt"}` makes `random` and `smbo` draw as mle-hyperopt does.
    trials, workers, epochs, epoch_budget : int, optional
        How many trials will be asked for; how many are at work at once; the most epochs a trial can train; the epochs that
        all may train together.
    constraints : sequence of str
        Expressions that each proposal meets, such as "hidden % heads == 0".

    Raises
    ------
    InvalidError
        For an unknown strategy or setting, or a space it cannot search.

    Examples
    --------
    >>> search = mle.Strategy("random", {"lr": mle.real(1e-4, 1e-1, log=True), "layers": [1, 2, 3]}, seed=1)
    >>> trial = search.ask()
    >>> search.tell(trial, 0.5)
    >>> search.best()["values"]
    [0.5]
    """

    def __init__(
        self,
        name: str,
        space: Mapping[str, Any],
        *,
        objective: Objectives = "value",
        seed: int = 0,
        settings: Optional[Mapping[str, Any]] = None,
        trials: Optional[int] = None,
        workers: int = 1,
        epochs: Optional[int] = None,
        epoch_budget: Optional[int] = None,
        constraints: Sequence[str] = (),
    ) -> None:
        self.objectives = aims(objective)
        #: The native handle.
        self.native = _mle.Strategy(
            name,
            as_space(space),
            seed=seed,
            settings=dict(settings or {}),
            directions=[goal for _, goal in self.objectives],
            constraints=list(constraints),
            trials=trials,
            workers=workers,
            epochs=epochs,
            epoch_budget=epoch_budget,
        )

    def __repr__(self) -> str:
        return f"<mle.Strategy {self.name!r} of {len(self.trials())} trials>"

    def _repr_html_(self) -> str:
        from ._frame import Frame

        trials = self.trials()
        return Frame({key: [trial[key] for trial in trials] for key in ("number", "state", "values", "params")})._repr_html_()

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.native.name

    @property
    def space(self) -> Dict[str, Any]:
        """The space, in full."""
        found: Dict[str, Any] = self.native.space()
        return found

    def ask(self) -> Trial:
        """Return what to try next; it counts as at work until it is told.

        Raises
        ------
        Exhausted
            When nothing is left.
        Waiting
            When a trial at work must be told first.
        """
        found, why = self.native.ask(1)
        if not found:
            raise Exhausted("nothing is left to try") if why == "exhausted" else Waiting("tell a trial first")
        return Trial(found[0])

    def ask_many(self, n: int) -> List[Trial]:
        """Return up to `n` trials; fewer when there are no more for now."""
        return [Trial(found) for found in self.native.ask(n)[0]]

    def tell(
        self, trial: Union[Trial, int], values: Values = None, *, status: str = "complete", curve: Sequence[float] = ()
    ) -> None:
        """Say how a trial ended.

        Parameters
        ----------
        trial : Trial or int
        values : float, sequence or dict
            One for each objective, as you have them: what is to be maximised is not negated.
        status : str
            complete, failed or pruned.
        curve : sequence of float
            The first objective after each epoch so far.
        """
        number = trial.number if isinstance(trial, Trial) else int(trial)
        names = [name for name, _ in self.objectives]
        self.native.tell(number, as_values(values, names), status, [float(value) for value in curve])

    def put(self, params: Mapping[str, Any], values: Values = None, *, status: str = "complete") -> int:
        """Add a trial that was made elsewhere; return its number."""
        return self.native.put(dict(params), as_values(values, [name for name, _ in self.objectives]), status)

    def trials(self) -> List[Dict[str, Any]]:
        """Return the trials so far: number, params, state, values, epochs, curve."""
        return self.native.trials()

    def best(self) -> Dict[str, Any]:
        """Return the best trial by the first objective.

        Raises
        ------
        NotFoundError
            When none is complete with a number.
        """
        sign = -1.0 if self.objectives[0][1] == "max" else 1.0
        told = [t for t in self.trials() if t["state"] == "complete" and t["values"][0] == t["values"][0]]
        if not told:
            from ._errors import NotFoundError

            raise NotFoundError("no trial is complete")
        return min(told, key=lambda trial: sign * float(trial["values"][0]))
