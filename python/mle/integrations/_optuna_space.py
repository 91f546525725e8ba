"""Distributions of Optuna and parameters of a space."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from .._errors import InvalidError
from ._outside import values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


_texts: Dict[str, BaseDistribution] = {}


def distribution_of(text: str) -> BaseDistribution:
    """Read a distribution; the same text is read once, as the trials of a study share theirs."""
    found = _texts.get(text)
    if found is None:
        if len(_texts) > 10_000:
            _texts.clear()
        found = _texts[text] = json_to_distribution(text)
    return found


def domains_of(distributions: Mapping[str, BaseDistribution]) -> Dict[str, Any]:
    return {name: domain_of(distribution) for name, distribution in distributions.items()}


def domain_of(distribution: BaseDistribution) -> Dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"type": "categorical", "choices": [plain(choice) for choice in distribution.choices]}
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    kind = "integer" if isinstance(distribution, IntDistribution) else "real"
    made = {"type": kind, "low": distribution.low, "high": distribution.high, "prior": "log" if distribution.log else "uniform"}
    if distribution.step is not None and not (kind == "integer" and distribution.step == 1):
        made["step"] = distribution.step
    return made


def domain_to_distribution(name: str, domain: Mapping[str, Any]) -> BaseDistribution:
    """Return the distribution of a parameter of a space of ours."""
    listed = values_of(domain)
    if listed is not None:
        return CategoricalDistribution(listed)
    low, high, prior = domain.get("low"), domain.get("high"), domain.get("prior")
    if low is None or high is None:
        if prior != "normal":
            raise InvalidError(f"parameter {name}: Optuna has no {prior} prior without bounds", "give it low and high")
        low = domain["mean"] - 4 * domain["std"] if low is None else low
        high = domain["mean"] + 4 * domain["std"] if high is None else high
    log, step = prior in ("log", "lognormal"), domain.get("step")
    if domain["type"] == "integer":
        return IntDistribution(int(low), int(high), log=log and step in (None, 1), step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=log and step is None, step=step)
