"""Search by Nevergrad's optimizers."""

import math
import warnings

from .. import _engine
from ..space import SpaceError
from ..spaces import NevergradSpace
from ._batch import EngineStrategy


class NevergradSearch(EngineStrategy):
    """Any optimizer of Nevergrad, for one objective or several.

    `search_config`: `optimizer` (one of :attr:`optimizers`), `budget_size` and `num_workers`; `refine_after` and
    `refine_top_k` where wanted.
    """

    search_name = "Nevergrad Wrapper Search"
    space_class = NevergradSpace
    default_config = {"optimizer": "NGOpt", "budget_size": 100, "num_workers": 10}
    required = ("optimizer", "budget_size", "num_workers")

    def setup_search(self):
        super().setup_search()
        name = self.search_config["optimizer"]
        if name not in _registry():
            import difflib

            near = difflib.get_close_matches(str(name), list(_registry()), 3)
            raise SpaceError(f"Nevergrad has no optimizer {name!r}" + (f"; it has {', '.join(near)}" if near else ""))

    @property
    def optimizers(self):
        """The names of Nevergrad's optimizers."""
        return sorted(_registry())

    def make_engine(self):
        return _Nevergrad(self.space, self.seed_id, self.search_config, self.maximize_objective)


def _registry():
    try:
        import nevergrad as ng
    except ImportError:
        raise ModuleNotFoundError("NevergradSearch needs nevergrad: pip install nevergrad") from None
    return ng.optimizers.registry


class _Nevergrad:
    """What `_engine.Engine` does, by an optimizer of Nevergrad."""

    def __init__(self, space, seed, config, maximize):
        import numpy as np

        self.space, self.sign = space, -1.0 if maximize else 1.0
        parametrization = space.dimensions
        parametrization.random_state = np.random.RandomState(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.optimizer = _registry()[config["optimizer"]](
                parametrization=parametrization, budget=config["budget_size"], num_workers=config["num_workers"]
            )
        self.waiting = {}

    def ask(self, n):
        found = []
        for _ in range(n):
            candidate = self._candidate()
            params = {}
            for name in (*self.space.categorical, *self.space.real, *self.space.integer):
                value = candidate.value[name]
                params[name] = self.space.categorical[name][int(value)] if name in self.space.categorical else value
                if name in self.space.integer:
                    params[name] = int(value)
                elif name in self.space.real:
                    params[name] = float(value)
            self.waiting.setdefault(_engine.key_of(params), []).append(candidate)
            found.append(params)
        return found

    def _candidate(self):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.optimizer.ask()
        except (TypeError, ValueError, AttributeError) as error:
            # Some of its optimizers have models inside that newer releases of numpy refuse.
            name = type(self.optimizer).__name__
            warnings.warn(
                f"Nevergrad's {name} failed ({error}): a random point is proposed instead", RuntimeWarning, stacklevel=5
            )
            return self.optimizer.parametrization.sample()

    def tell(self, params, values):
        if values is None or not all(math.isfinite(value) for value in values):
            return
        losses = [self.sign * value for value in values]
        waiting = self.waiting.get(_engine.key_of(params))
        if waiting:
            candidate = waiting.pop(0)
        elif all(name in params and self.space.has(name, params[name]) for name in self.space.variable_names):
            from ..space import place_of

            coded = {name: params[name] for name in self.space.variable_names}
            for name, listed in self.space.categorical.items():
                coded[name] = place_of(params[name], listed)
            candidate = self.optimizer.parametrization.spawn_child(new_value=coded)
        else:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.optimizer.tell(candidate, losses[0] if len(losses) == 1 else losses)
