"""Nevergrad's optimizers as strategies."""

from __future__ import annotations

import math

import nevergrad as ng

from .._errors import InvalidError
from ._outside import OutsideStrategy, active, in_order, values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional, Union


class NevergradStrategy(OutsideStrategy):
    """Proposes what an optimizer of Nevergrad does.

    Parameters
    ----------
    optimizer : str or callable
        A name of Nevergrad's registry, or what makes an optimizer of `parametrization`, `budget` and `num_workers`.
    budget : int, optional
        How many points it is told there will be [default: the study's trials, else 100].
    num_workers : int, optional
        How many it is told are at work at once [default: as the study says].
    seed : int, optional
        Of its random stream [default: the study's].

    Notes
    -----
    An optimizer lives in this process. One that goes on with a study is told all trials that ended; those that it did not
    propose itself it takes as points it was not asked for, where it can. Trials without a value, failed and pruned ones,
    are not told. A point that breaks the study's constraints counts as bad as the worst one, and another is asked for.

    Examples
    --------
    >>> optimizer = mle.integrations.NevergradStrategy("OnePlusOne")
    >>> study = mle.Study("ng", {"x": mle.real(-5, 5)}, db="nevergrad.db", strategy=optimizer, trials=10)
    >>> study.optimize(lambda params: params["x"] ** 2)
    >>> len(study.trials())
    10
    """

    def __init__(
        self,
        optimizer: Union[str, Callable[..., Any]] = "NGOpt",
        *,
        budget: Optional[int] = None,
        num_workers: Optional[int] = None,
        seed: Optional[int] = None,
    ) -> None:
        super().__init__()
        if isinstance(optimizer, str):
            if optimizer not in ng.optimizers.registry:
                raise InvalidError(f"Nevergrad has no optimizer {optimizer!r}", "sorted(nevergrad.optimizers.registry) names them")
            self.name = f"nevergrad.{optimizer}"
            self._make: Callable[..., Any] = ng.optimizers.registry[optimizer]
        else:
            self.name = f"nevergrad.{getattr(optimizer, 'name', getattr(optimizer, '__name__', type(optimizer).__name__))}"
            self._make = optimizer
        self._budget, self._workers, self._seed = budget, num_workers, seed
        self._asked: Dict[int, Any] = {}
        self._last: Any = None

    def begin(self) -> None:
        space = self.outline["space"]
        self._order = in_order(space)
        self._signs = [-1.0 if goal == "max" else 1.0 for _, goal in self.outline["objectives"]]
        parts = {name: _parameter(name, domain) for name, domain in space.items() if domain["type"] != "fixed"}
        parametrization = ng.p.Dict(**parts)
        parametrization.random_state.seed((self.outline["seed"] if self._seed is None else self._seed) % 2**32)
        self.optimizer = self._make(
            parametrization=parametrization,
            budget=self._budget or self.outline["trial_max"] or 100,
            num_workers=self._workers or max(1, self.outline["trial_ahead"]),
        )
        self._asked.clear()
        self._worst: Optional[float] = None

    def propose(self) -> Mapping[str, Any]:
        candidate = self._last = self.optimizer.ask()
        space, params = self.outline["space"], {}  # type: Mapping[str, Any], Dict[str, Any]
        for name in self._order:
            if active(space, params, name):
                domain = space[name]
                params[name] = domain["value"] if domain["type"] == "fixed" else _value(domain, candidate.value[name])
        return params

    def refused(self, params: Mapping[str, Any]) -> None:
        # As bad as the worst that is known. Of several objectives none is worst, and a population goes on without.
        if self._worst is not None and len(self._signs) == 1:
            self.optimizer.tell(self._last, self._worst)

    def proposed(self, number: int, params: Mapping[str, Any]) -> None:
        self._asked[number] = self._last

    def learn(self, trial: Dict[str, Any]) -> None:
        candidate = self._asked.pop(trial["number"], None)
        values = trial["values"]
        if trial["state"] != "complete" or not values or any(math.isnan(value) for value in values):
            return
        if candidate is None:
            candidate = self._candidate(trial["params"])
            if candidate is None:
                return
        losses = [sign * value for sign, value in zip(self._signs, values)]
        if math.isfinite(losses[0]):
            self._worst = losses[0] if self._worst is None else max(self._worst, losses[0])
        try:
            self.optimizer.tell(candidate, losses[0] if len(losses) == 1 else losses)
        except ng.errors.TellNotAskedNotSupportedError:
            pass

    def _candidate(self, params: Mapping[str, Any]) -> Any:
        """Return the candidate of a point that was proposed elsewhere; None when it is not in the space."""
        space, values = self.outline["space"], {}  # type: Mapping[str, Any], Dict[str, Any]
        parametrization = self.optimizer.parametrization
        for name, domain in space.items():
            if domain["type"] != "fixed":
                # What is not active may be anything.
                values[name] = _place(domain, params[name]) if name in params else parametrization[name].value
        try:
            return parametrization.spawn_child(new_value=values)
        except (ValueError, ng.errors.NevergradValueError):
            return None


def _lattice(domain: Mapping[str, Any]) -> Optional[float]:
    """Return the step of a parameter that has one other than 1."""
    step = domain.get("step")
    return None if step is None or domain["type"] == "integer" and step == 1 else float(step)


def _parameter(name: str, domain: Mapping[str, Any]) -> Any:
    listed = values_of(domain)
    if listed is not None:
        return ng.p.TransitionChoice(listed) if domain["type"] == "ordinal" else ng.p.Choice(listed)
    low, high = domain.get("low"), domain.get("high")
    if low is None or high is None:
        raise InvalidError(f"parameter {name}: Nevergrad is given bounds only", "give it low and high")
    if low == high:
        return ng.p.Choice([low])
    step = _lattice(domain)
    if step is not None:
        return ng.p.Scalar(lower=0, upper=int((high - low) / step + 1e-9)).set_integer_casting()
    is_log = domain.get("prior") in ("log", "lognormal")
    made = ng.p.Log(lower=low, upper=high) if is_log else ng.p.Scalar(lower=low, upper=high)
    return made.set_integer_casting() if domain["type"] == "integer" else made


def _value(domain: Mapping[str, Any], value: Any) -> Any:
    """Return the value of a parameter for what Nevergrad has: in its bounds, whatever was rounded on the way."""
    if values_of(domain) is not None:
        return value
    low, high, step = domain["low"], domain["high"], _lattice(domain)
    if step is not None:
        value = low + round(float(value)) * step
    value = min(max(value, low), high)
    return int(value) if domain["type"] == "integer" else float(value)


def _place(domain: Mapping[str, Any], value: Any) -> Any:
    """Return what Nevergrad has for a value of a parameter."""
    step = _lattice(domain)
    return value if values_of(domain) is not None or step is None else round((value - domain["low"]) / step)
