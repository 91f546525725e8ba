"""Search by a model of the values."""

from .. import _engine
from ..space import SpaceError
from ..spaces import SMBOSpace
from ._batch import EngineStrategy


class SMBOSearch(EngineStrategy):
    """Sequential model-based optimisation.

    `search_config`: `base_estimator` (GP, RF, ET, GBRT), `acq_function` (gp_hedge, EI, LCB, PI) and `n_initial_points`,
    which are those that scikit-optimize begins with; `refine_after` and `refine_top_k` where wanted. After those points the
    model is that of `mle`.
    """

    search_name = "SMBO Search"
    space_class = SMBOSpace
    default_config = {"base_estimator": "GP", "acq_function": "gp_hedge", "n_initial_points": 5}
    required = ("base_estimator", "acq_function", "n_initial_points")

    def setup_search(self):
        super().setup_search()
        self._initial = None
        self._initial_asked = 0
        self.make_engine()

    def make_engine(self):
        config = self.search_config
        settings = {
            "base_estimator": config["base_estimator"],
            "acq_function": config["acq_function"],
            "n_initial_points": config["n_initial_points"],
        }
        return _engine.Engine("smbo", self.space, self.seed_id, settings, self.directions())

    def ask_search(self, batch_size):
        if self.num_objectives > 1:
            raise SpaceError("SMBOSearch has one objective; RandomSearch and NevergradSearch take several")
        proposals = []
        count = self.search_config["n_initial_points"]
        while len(proposals) < batch_size and self._initial_asked < count and self.last_refined == 0:
            if self._initial is None:
                self._initial = _engine.peer_initial_points(self.space, self.seed_id, count)
            if self._initial_asked >= len(self._initial):
                break
            point = self._initial[self._initial_asked]
            self._initial_asked += 1
            if not self.was_evaluated(point):
                proposals.append(dict(point))
        return proposals + (self.engine.ask(batch_size - len(proposals)) if len(proposals) < batch_size else [])

    def state(self):
        return {**super().state(), "initial_asked": self._initial_asked}

    def restore(self, state):
        super().restore(state)
        self._initial_asked = state["initial_asked"]
