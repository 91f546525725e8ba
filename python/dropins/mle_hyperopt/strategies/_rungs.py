"""Strategies that ask for a whole batch, and go on once all of it was told."""

from .. import _engine
from ..strategy import QuietStrategy


class RungStrategy(QuietStrategy):
    """A strategy of batches: `batch` is what was asked for, `results` what is known of it by place."""

    iterative = True

    def clear_batch(self):
        self.batch = None
        self.results = {}

    def take(self, params, value, ckpt, taken):
        """Keep a result; return its place in the batch, or None where the batch has no such proposal open."""
        key = _engine.key_of(params)
        for at, proposal in enumerate(self.batch):
            if at not in taken and at not in self.results and _engine.key_of(proposal["params"]) == key:
                self.results[at] = (value, ckpt, dict(params))
                taken.add(at)
                return at
        return None

    def receive(self, batch_proposals, perf_measures, ckpt_paths):
        """Match results to the batch; return their places.

        Raises
        ------
        ValueError
            For a result of what was not asked for.
        """
        if self.batch is None:
            self.ask_search(1)
        kept, taken, places = dict(self.results), set(), []
        for params, value, ckpt in zip(batch_proposals, perf_measures, ckpt_paths):
            places.append(self.take(params, value, ckpt, taken))
        if None not in places:
            return places
        self.results = kept
        if not kept and len(batch_proposals) == len(self.batch):
            # A whole batch of others: they take the places of those asked for.
            for at, (params, value, ckpt) in enumerate(zip(batch_proposals, perf_measures, ckpt_paths)):
                self.results[at] = (value, ckpt, dict(params))
            return list(range(len(self.batch)))
        stranger = batch_proposals[places.index(None)]
        raise ValueError(f"{self.search_name} did not ask for {stranger} in this batch, or was told it already")

    @property
    def is_whole(self):
        """Whether all of the batch was told."""
        return self.batch is not None and len(self.results) == len(self.batch)

    def state(self):
        batch = {"batch": self.batch, "results": [[at, *result] for at, result in sorted(self.results.items())]}
        return {**super().state(), **batch}

    def restore(self, state):
        super().restore(state)
        self.batch = state["batch"]
        self.results = {at: (value, ckpt, params) for at, value, ckpt, params in state["results"]}
        self._engine_made = None

    def stage_of(self, extra):
        """Return what is equal for records of one batch."""
        raise NotImplementedError

    def replay_batches(self, records):
        batch = []
        for record in records:
            if batch and self.stage_of(batch[-1].get("extra") or {}) != self.stage_of(record.get("extra") or {}):
                yield batch
                batch = []
            batch.append(record)
        if batch:
            yield batch
