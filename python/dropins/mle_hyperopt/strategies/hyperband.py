"""Hyperband."""

from ..space import SpaceError
from ..spaces import RandomSpace
from ..utils import comms
from .halving import HalvingSearch, rungs_of
from ._rungs import RungStrategy


class HyperbandSearch(RungStrategy):
    """Runs of successive halving, from many configurations with a small budget to few with the largest.

    `search_config`: `max_resource` and `eta`. No configuration trains longer than `max_resource`.

    Attributes
    ----------
    num_hb_loops, num_hb_batches : int
    sh_num_arms, sh_budgets : list of int
        Configurations and first budget of each loop.
    evals_per_batch : list of int
        Of all loops in sequence.
    hb_counter, hb_batch_counter : int
    sub_strategy : HalvingSearch
        The loop that is active.

    References
    ----------
    Li et al., Hyperband, JMLR 18 (2018), algorithm 1; numbers of configurations as mle-hyperopt has them, which rounds
    (s_max + 1) / (s + 1) down.
    """

    search_name = "Hyperband Search"
    space_class = RandomSpace
    default_config = {"max_resource": 27, "eta": 3}
    required = ("max_resource", "eta")

    def setup_search(self):
        self.max_resource, self.eta = int(self.search_config["max_resource"]), int(self.search_config["eta"])
        if self.max_resource < 1 or self.eta < 2:
            raise SpaceError(f"max_resource {self.max_resource} must be 1 or more, and eta {self.eta} 2 or more")
        self.s_max = 0
        while self.eta ** (self.s_max + 1) <= self.max_resource:
            self.s_max += 1
        self.B = (self.s_max + 1) * self.max_resource
        loops = range(self.s_max, -1, -1)
        self.sh_num_arms = [(self.s_max + 1) // (s + 1) * self.eta**s for s in loops]
        self.sh_budgets = [self.max_resource // self.eta**s for s in loops]
        self.num_hb_loops = self.s_max + 1
        self._rungs = [rungs_of(arms, self.eta, s + 1) for arms, s in zip(self.sh_num_arms, loops)]
        self.evals_per_batch = [evals for rungs in self._rungs for evals in rungs]
        self.num_hb_batches = len(self.evals_per_batch)
        self.hb_counter = self.hb_batch_counter = 0
        self.clear_batch()
        self.sub_strategy = self._loop(0)

    def _loop(self, at):
        config = {
            "min_budget": self.sh_budgets[at],
            "num_arms": self.sh_num_arms[at],
            "halving_coeff": self.eta,
            "max_budget": self.max_resource,
            "num_batches": len(self._rungs[at]),
        }
        return HalvingSearch(
            self.space.real or None,
            self.space.integer or None,
            self.space.categorical or None,
            search_config=config,
            maximize_objective=self.maximize_objective,
            seed_id=self.seed_id + at,
        )

    @property
    def completed(self):
        return self.hb_counter >= self.num_hb_loops

    def _check_open(self):
        if self.completed:
            raise ValueError(f"{self.search_name} is complete: all {self.num_hb_batches} batches were told")

    def ask_search(self, batch_size=None):
        self._check_open()
        found = self.sub_strategy.ask_search()
        for proposal in found:
            proposal["extra"]["hb_counter"] = self.hb_counter
        return found

    def tell_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        self._check_open()
        sub = self.sub_strategy
        sub.tell_search(batch_proposals, perf_measures, ckpt_paths)
        self._extras = sub.log_search(batch_proposals, perf_measures, ckpt_paths)
        going_on = sub._going_on
        for extra in self._extras:
            extra["hb_counter"] = self.hb_counter
        if going_on is not None:
            for record in reversed(self.log):
                extra = record.get("extra", {})
                same = extra.get("hb_counter") == self.hb_counter and extra.get("sh_counter") == sub.sh_counter
                if not same or "sh_continued" in extra:
                    break
                extra["sh_continued"] = any(record["params"] == sub.results[at][2] for at in going_on)

    def log_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        return self._extras

    def update_search(self):
        if not self.sub_strategy.is_whole:
            return
        self.sub_strategy.update_search()
        self.hb_batch_counter += 1
        if self.sub_strategy.completed:
            self.hb_counter += 1
            if not self.completed:
                self.sub_strategy = self._loop(self.hb_counter)

    def state(self):
        counters = {"hb_counter": self.hb_counter, "hb_batch_counter": self.hb_batch_counter}
        return {**super().state(), **counters, "sub": self.sub_strategy.state()}

    def restore(self, state):
        super().restore(state)
        self.hb_counter, self.hb_batch_counter = state["hb_counter"], state["hb_batch_counter"]
        self.sub_strategy = self._loop(min(self.hb_counter, self.num_hb_loops - 1))
        self.sub_strategy.restore(state["sub"])

    def stage_of(self, extra):
        return extra.get("hb_counter"), extra.get("sh_counter")

    def print_hello_strategy(self):
        comms.print_hyperband_hello(
            self.num_hb_loops, self.sh_num_arms, self.sh_budgets, self.num_hb_batches, self.evals_per_batch
        )

    def print_update_strategy(self):
        done = self.hb_batch_counter + self.sub_strategy.is_whole
        comms.print_hyperband_update(
            self.hb_counter, self.num_hb_loops, self.sh_num_arms, self.sh_budgets, self.num_hb_batches, done, self.evals_per_batch
        )
