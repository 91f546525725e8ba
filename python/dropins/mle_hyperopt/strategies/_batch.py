"""Strategies that ask for proposals one after the other and learn from any that are told."""

from .. import _engine
from ..strategy import QuietStrategy


class PointStrategy(QuietStrategy):
    """A strategy whose proposals are points."""


class EngineStrategy(PointStrategy):
    """A strategy of points that an engine proposes.

    `_engine_made` is the engine; it is made anew, and told the log, for another space and after loading.
    """

    can_refine = True

    def make_engine(self):
        """Return an engine for the space as it is."""
        raise NotImplementedError

    def setup_search(self):
        self._engine_made = None

    @property
    def engine(self):
        if self._engine_made is None:
            self._engine_made = self.make_engine()
            for record in self.log:
                self._engine_made.tell(record["params"], self._numbers(record["objective"]))
        return self._engine_made

    def _numbers(self, objective):
        return _engine.values_of(objective, self.num_objectives if self.log else self._width(objective))

    @staticmethod
    def _width(objective):
        return len(objective) if isinstance(objective, (list, tuple)) else 1

    def directions(self):
        return ["max" if self.maximize_objective else "min"] * self.num_objectives

    def ask_search(self, batch_size):
        return self.engine.ask(batch_size)

    def tell_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        for params, value in zip(batch_proposals, perf_measures):
            self.engine.tell(params, self._numbers(value))

    def refine_space(self, real=None, integer=None, categorical=None):
        """Search on in another range of the variables."""
        self.space.update(real, integer, categorical)
        self.last_refined = self.eval_counter
        self.refined()

    def refined(self):
        self._engine_made = None

    def rebuild(self):
        self._engine_made = None
