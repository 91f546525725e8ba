"""Successive halving."""

import math

from .. import _engine
from ..space import SpaceError
from ..spaces import RandomSpace
from ..utils import comms
from ._rungs import RungStrategy


class HalvingSearch(RungStrategy):
    """Gives all configurations a small budget, the best part of them a larger one, and so on.

    `search_config`: `min_budget`, `num_arms`, `halving_coeff`, and `max_budget` where wanted. A proposal is
    `{"params", "extra"}`; `extra` says to which number of iterations to train (`sh_num_total_iters`), how many these are
    more than before (`sh_num_add_iters`), the rung (`sh_counter`) and the checkpoint to go on from (`sh_ckpt`). A rung may
    be told in parts.

    Attributes
    ----------
    num_sh_batches : int
    evals_per_batch, iters_per_batch : list of int
    total_num_iters : int
        With each rung from its beginning.
    sh_counter : int
    completed : bool
    haved_ids, haved_configs, haved_ckpt : list
        What the last rung left.
    """

    search_name = "Successive Halving Search"
    space_class = RandomSpace
    default_config = {"min_budget": 1, "num_arms": 20, "halving_coeff": 2}
    required = ("min_budget", "num_arms", "halving_coeff")

    def setup_search(self):
        config = self.search_config
        self.min_budget, self.num_arms = config["min_budget"], int(config["num_arms"])
        self.halving_coeff, self.max_budget = config["halving_coeff"], config.get("max_budget")
        if self.num_arms < 1 or self.halving_coeff <= 1 or self.min_budget <= 0:
            raise SpaceError(
                f"num_arms {self.num_arms} must be 1 or more, halving_coeff {self.halving_coeff} above 1 "
                f"and min_budget {self.min_budget} above 0"
            )
        self.evals_per_batch = rungs_of(self.num_arms, self.halving_coeff, config.get("num_batches"))
        self.num_sh_batches = len(self.evals_per_batch)
        budgets = [whole(self.min_budget * self.halving_coeff**at) for at in range(self.num_sh_batches)]
        self.iters_per_batch = [min(one, self.max_budget) if self.max_budget is not None else one for one in budgets]
        self.total_num_iters = sum(evals * iters for evals, iters in zip(self.evals_per_batch, self.iters_per_batch))
        self.sh_counter = 0
        self.haved_ids, self.haved_configs, self.haved_ckpt = [], [], []
        self._engine_made = None
        self.clear_batch()

    @property
    def completed(self):
        return self.sh_counter >= self.num_sh_batches

    def ask_search(self, batch_size=None):
        if self.completed:
            raise ValueError(f"{self.search_name} is complete: all {self.num_sh_batches} batches were told")
        if self.batch is None:
            if self.sh_counter == 0:
                if self._engine_made is None:
                    self._engine_made = _engine.Engine("random", self.space, self.seed_id, {"compat": "mle_hyperopt"})
                configs = self._engine_made.ask(self.num_arms)
                # A small space has fewer points than there are arms: they come again.
                configs = [dict(configs[at % len(configs)]) for at in range(self.num_arms)] if configs else []
                ckpts = [None] * len(configs)
            else:
                configs, ckpts = self.haved_configs, self.haved_ckpt
            total = self.iters_per_batch[self.sh_counter]
            before = self.iters_per_batch[self.sh_counter - 1] if self.sh_counter else 0
            self.batch = []
            for params, ckpt in zip(configs, ckpts):
                extra = {"sh_num_total_iters": total, "sh_num_add_iters": total - before, "sh_counter": self.sh_counter}
                if self.sh_counter:
                    extra["sh_ckpt"] = ckpt
                self.batch.append({"params": dict(params), "extra": extra})
        return [{"params": dict(one["params"]), "extra": dict(one["extra"])} for one in self.batch if self._is_open(one)]

    def _is_open(self, proposal):
        return not any(self.batch[at] is proposal for at in self.results)

    def tell_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        if self.completed:
            raise ValueError(f"{self.search_name} is complete: all {self.num_sh_batches} batches were told")
        self._places = self.receive(batch_proposals, perf_measures, ckpt_paths)
        self._going_on = None
        if not self.is_whole:
            return
        last = self.sh_counter + 1 >= self.num_sh_batches
        left = 0 if last else self.evals_per_batch[self.sh_counter + 1]
        best = sorted(range(len(self.batch)), key=lambda at: self._cost(self.results[at][0]))
        self.haved_ids = best[: left or 1]
        self.haved_configs = [dict(self.results[at][2]) for at in self.haved_ids]
        self.haved_ckpt = [self.results[at][1] for at in self.haved_ids]
        self._going_on = set(self.haved_ids) if left else set()

    def log_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        made = []
        for at in self._places:
            extra = dict(self.batch[at]["extra"])
            if self._going_on is not None:
                extra["sh_continued"] = at in self._going_on
            made.append(extra)
        if self._going_on is not None:
            # Those of the rung that were told before it was whole.
            for record in reversed(self.log):
                extra = record.get("extra", {})
                if extra.get("sh_counter") != self.sh_counter or "sh_continued" in extra:
                    break
                keys = [_engine.key_of(self.results[at][2]) for at in self._going_on]
                extra["sh_continued"] = _engine.key_of(record["params"]) in keys
        return made

    def update_search(self):
        if self.is_whole:
            self.sh_counter += 1
            self.clear_batch()

    def state(self):
        names = ("sh_counter", "haved_ids", "haved_configs", "haved_ckpt")
        return {**super().state(), **{name: getattr(self, name) for name in names}}

    def restore(self, state):
        super().restore(state)
        for name in ("sh_counter", "haved_ids", "haved_configs", "haved_ckpt"):
            setattr(self, name, state[name])

    def stage_of(self, extra):
        return extra.get("sh_counter")

    def rebuild(self):
        self._engine_made = None

    def print_hello_strategy(self):
        comms.print_halving_hello(
            self.num_sh_batches, self.evals_per_batch, self.iters_per_batch, self.halving_coeff, self.total_num_iters
        )

    def print_update_strategy(self):
        done = self.sh_counter + self.is_whole
        comms.print_halving_update(done, self.num_sh_batches, self.evals_per_batch, self.iters_per_batch, self.total_num_iters)


def rungs_of(arms, coefficient, most=None):
    """Return how many configurations each rung has, down to the last that has any.

    >>> rungs_of(20, 2), rungs_of(243, 3), rungs_of(10, 1.5)
    ([20, 10, 5, 2, 1], [243, 81, 27, 9, 3, 1], [10, 6, 4, 2, 1])
    """
    rungs = []
    while arms >= 1 and (most is None or len(rungs) < most):
        rungs.append(int(arms))
        arms = math.floor(arms / coefficient) if isinstance(coefficient, float) else arms // coefficient
    return rungs


def whole(number):
    """Return a number as an integer, if it is one."""
    return int(number) if number == int(number) else number
