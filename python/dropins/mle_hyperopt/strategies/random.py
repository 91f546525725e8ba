"""Random search."""

from .. import _engine
from ..spaces import RandomSpace
from ._batch import EngineStrategy


class RandomSearch(EngineStrategy):
    """Draws points, none of them twice: those that mle-hyperopt draws from the same seed.

    `search_config`: `refine_after` and `refine_top_k`, or nothing. When all points of the space were asked for, asks
    return fewer.
    """

    search_name = "Random Search"
    space_class = RandomSpace

    def make_engine(self):
        return _engine.Engine("random", self.space, self.seed_id, {"compat": "mle_hyperopt"})

    def _numbers(self, objective):
        # Draws do not depend on values; one is enough for several objectives as well.
        return [0.0]
