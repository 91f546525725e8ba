"""Samplers of Optuna as strategies."""

from __future__ import annotations

import copy

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from .._strategy import Exhausted
from ._optuna import STATES, OptunaStorage, pack
from ._optuna_space import domain_to_distribution
from ._outside import OutsideStrategy, active, broken, in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence, Tuple


#: Points that are drawn for a trial until one keeps the constraints, and how many of these by the sampler.
_DRAWS = 1000
_DRAWS_OF_MODEL = 20


class OptunaStrategy(OutsideStrategy):
    """Proposes what a sampler of Optuna does.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler, optional
        Optuna's default when left out. What it keeps in attributes of trials and of the study is in the file, so it goes on
        where it was in another process; its random stream is a new one then. A second study gets a copy of what was given here:
        samplers remember the study that they first worked for.

    Notes
    -----
    A point that breaks the study's constraints is drawn again: by the sampler, and where that comes up with no other by
    chance. Points of a grid are not drawn again: those that break them fail, and no job runs them.

    Examples
    --------
    >>> import optuna
    >>> sampler = optuna.samplers.TPESampler(seed=1)
    >>> space = {"x": mle.real(-5, 5)}
    >>> study = mle.Study("tpe", space, db="optuna.db", strategy=mle.integrations.OptunaStrategy(sampler), trials=10)
    >>> study.optimize(lambda params: params["x"] ** 2)
    >>> len(study.trials())
    10
    """

    def __init__(self, sampler: Optional[optuna.samplers.BaseSampler] = None) -> None:
        super().__init__()
        self.sampler = sampler or optuna.samplers.TPESampler()
        self._works_for: Optional[Tuple[str, int]] = None
        try:
            self._fresh = copy.deepcopy(self.sampler)
        except Exception:
            # One that holds what cannot be copied works for each study itself.
            self._fresh = self.sampler
        self.name = f"optuna.{type(self.sampler).__name__}"

    def begin(self) -> None:
        study = (self.study.db.path, self.study.id)
        if self._works_for not in (None, study):
            self.sampler = copy.deepcopy(self._fresh) if self._fresh is not self.sampler else self.sampler
        self._works_for = study
        self.storage = OptunaStorage(self.study.db)
        name = self.storage.get_study_name_from_id(self.study.id)
        self.search = optuna.Study(study_name=name, storage=self.storage, sampler=self.sampler)
        # A later study may have the name of this one.
        self.search._study_id = self.study.id
        self.search._directions = self.storage.get_study_directions(self.study.id)
        # Samplers of a grid stop the study when all of it was tried, which Optuna knows in its own loops only.
        self._is_over = False
        self.search.stop = self._stop  # type: ignore[method-assign]
        self._chance = optuna.samplers.RandomSampler(seed=self.outline["seed"] % 2**32)
        space = self.outline["space"]
        self.order = in_order(space)
        self.distributions = {
            name: domain_to_distribution(name, domain) for name, domain in space.items() if domain["type"] != "fixed"
        }
        if self.study.db.native.demand(self.study.id)[0]:
            self.sampler.reseed_rng()

    def _catch_up(self) -> None:
        # The sampler reads trials by the storage.
        pass

    def _stop(self) -> None:
        self._is_over = True

    def _is_grid(self) -> bool:
        return isinstance(self.sampler, (optuna.samplers.GridSampler, getattr(optuna.samplers, "BruteForceSampler", ())))

    def _has_all(self) -> bool:
        """Say whether all points of a grid were proposed."""
        count = getattr(self.sampler, "_n_min_trials", None)
        if count is None or not isinstance(self.sampler, optuna.samplers.GridSampler):
            return False
        places = {trial.system_attrs.get("grid_id") for trial in self.search.get_trials(deepcopy=False)}
        return bool(len(places - {None}) >= count)

    def _give(self, state: str) -> Optional[Dict[str, Any]]:
        tries = 0
        while self._is_grid() or tries < 100:
            if self._is_over or self._has_all():
                raise Exhausted("all points of the grid were proposed")
            try:
                trial = self.search.ask()
            except Exhausted:
                return None
            params, is_kept = self._suggested(trial) if self._checker is None else self._drawn(trial)
            if is_kept:
                if state == "waiting":
                    self.storage._edit(trial._trial_id, state="waiting", from_="running")
                return {"number": trial.number, "params": params}
            note = (["user_attrs", "mle:refused"], pack("it breaks the study's constraints"))
            self.storage._edit(trial._trial_id, state="failed", from_="running", extra=[note])
            self.sampler.after_trial(self.search, self.storage.get_trial(trial._trial_id), TrialState.FAIL, None)
            tries += 1
        raise broken(tries * _DRAWS, self.name)

    def _drawn(self, trial: optuna.Trial) -> Tuple[Dict[str, Any], bool]:
        """Return a point, and whether it keeps the constraints: one of many that the sampler draws, or chance does."""
        frozen = self.storage.get_trial(trial._trial_id)
        for turn in range(1 if self._is_grid() else _DRAWS):
            # A model has one best point, and would come up with it again.
            by_model = turn < _DRAWS_OF_MODEL
            params = self._one(frozen, self.sampler if by_model else self._chance)
            if self.keeps(params):
                break
        for name, value in params.items():
            distribution = self.distributions.get(name)
            if distribution is None:
                self.storage._edit(trial._trial_id, params={name: value})
            else:
                self.storage.set_trial_param(trial._trial_id, name, distribution.to_internal_repr(value), distribution)
        return params, self.keeps(params)

    def _one(self, trial: FrozenTrial, sampler: optuna.samplers.BaseSampler) -> Dict[str, Any]:
        """Return a point that a sampler draws for a trial, which stays as it is."""
        among = sampler.infer_relative_search_space(self.search, trial)
        together = sampler.sample_relative(self.search, trial, among)
        params: Dict[str, Any] = {}
        space = self.outline["space"]
        for name in self.order:
            if not active(space, params, name):
                continue
            distribution = self.distributions.get(name)
            if distribution is None:
                params[name] = space[name]["value"]
            elif name in together and distribution._contains(distribution.to_internal_repr(together[name])):
                params[name] = together[name]
            elif distribution.single():
                is_list = isinstance(distribution, CategoricalDistribution)
                params[name] = distribution.choices[0] if is_list else distribution.low  # type: ignore[attr-defined]
            else:
                params[name] = sampler.sample_independent(self.search, trial, name, distribution)
        return params

    def _suggested(self, trial: optuna.Trial) -> Tuple[Dict[str, Any], bool]:
        params: Dict[str, Any] = {}
        space = self.outline["space"]
        for name in self.order:
            if not active(space, params, name):
                continue
            distribution = self.distributions.get(name)
            if distribution is None:
                params[name] = space[name]["value"]
                self.storage._edit(trial._trial_id, params={name: params[name]})
            elif isinstance(distribution, CategoricalDistribution):
                params[name] = trial.suggest_categorical(name, distribution.choices)
            elif isinstance(distribution, IntDistribution):
                bounds = (distribution.low, distribution.high)
                params[name] = trial.suggest_int(name, *bounds, step=distribution.step, log=distribution.log)
            else:
                assert isinstance(distribution, FloatDistribution)
                bounds_of = (distribution.low, distribution.high)
                params[name] = trial.suggest_float(name, *bounds_of, step=distribution.step, log=distribution.log)
        return params, True

    def clear(self) -> None:
        # A trial is written before its parameters are, and waits to be taken once it has them all.
        for trial in self.study.db.native.quiet_trials(self.study.id, 60_000):
            self.storage._edit(trial, state="failed", from_="running")

    def ending(self, number: int, status: str, values: Optional[Sequence[float]]) -> None:
        with self._lock:
            trial = self.storage.get_trial(self.storage.get_trial_id_from_study_id_trial_number(self.study.id, number))
            if trial.state == TrialState.RUNNING:
                told = None if values is None or status != "complete" else [float(value) for value in values]
                self.sampler.after_trial(self.search, copy.deepcopy(trial), STATES[status], told)
