"""Population-based training in steps."""

from ... import _engine
from ...space import SpaceError
from ...spaces import RandomSpace
from ...utils import comms
from .._rungs import RungStrategy
from .exploit import Exploit, get_exploit_data
from .explore import Explore


class PBTSearch(RungStrategy):
    """A population trains for some steps; then bad workers copy good ones and change what they copied.

    `search_config`: `exploit`, `explore`, `steps_until_ready` and `num_workers`. A proposal is `{"params", "extra"}`;
    `extra` says which worker it is of (`pbt_worker_id`), to which number of iterations (`pbt_num_total_iters`), how many
    more (`pbt_num_add_iters`), and after the first step what was copied (`pbt_copy_id`, `pbt_ckpt`, …).

    Attributes
    ----------
    num_workers, steps_until_ready, pbt_step_counter : int
    explore : Explore
    exploit : Exploit
    copy_info : list of dict
        Of each worker in the last step.
    hyperparams, ckpt : list
        What each worker goes on with.

    References
    ----------
    Jaderberg et al., Population based training of neural networks, arXiv:1711.09846 (2017).
    """

    search_name = "Population-Based Training"
    space_class = RandomSpace
    default_config = {
        "exploit": {"strategy": "truncation", "selection_percent": 0.2},
        "explore": {"strategy": "perturbation", "perturb_coeffs": [0.8, 1.2]},
        "steps_until_ready": 4,
        "num_workers": 5,
    }
    required = ("exploit", "explore", "steps_until_ready", "num_workers")

    def setup_search(self):
        config = self.search_config
        self.num_workers, self.steps_until_ready = config["num_workers"], config["steps_until_ready"]
        if self.num_workers < 1 or self.steps_until_ready <= 0:
            raise SpaceError(f"num_workers {self.num_workers} and steps_until_ready {self.steps_until_ready} must be above 0")
        self.exploit = Exploit(config["exploit"], self.maximize_objective, self.generator)
        self.explore = Explore(config["explore"], self.space, self.generator)
        self.pbt_step_counter = 0
        self.copy_info, self.hyperparams, self.ckpt = [], [], []
        self.clear_batch()

    def ask_search(self, batch_size=None):
        if self.batch is None:
            step = self.pbt_step_counter
            if step == 0:
                engine = _engine.Engine("random", self.space, self.seed_id, {"compat": "mle_hyperopt"})
                drawn = engine.ask(self.num_workers)
                self.hyperparams = [dict(drawn[at % len(drawn)]) for at in range(self.num_workers)]
            self.batch = []
            for worker in range(self.num_workers):
                extra = {
                    "pbt_num_total_iters": (step + 1) * self.steps_until_ready,
                    "pbt_num_add_iters": self.steps_until_ready,
                    "pbt_worker_id": worker,
                    "pbt_step_counter": step,
                }
                if step:
                    info = self.copy_info[worker]
                    for name in ("explore", "copy_id", "old_params", "copy_params", "old_performance", "copy_performance"):
                        extra[f"pbt_{name}"] = info[name]
                    extra["pbt_ckpt"] = self.ckpt[worker]
                self.batch.append({"params": dict(self.hyperparams[worker]), "extra": extra})
        return [
            {"params": dict(one["params"]), "extra": dict(one["extra"])}
            for at, one in enumerate(self.batch)
            if at not in self.results
        ]

    def tell_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        self._places = self.receive(batch_proposals, perf_measures, ckpt_paths)
        if not self.is_whole:
            return
        results = [self.results[worker] for worker in range(self.num_workers)]
        performance, ckpts, params = (list(column) for column in zip(*results))
        self.copy_info, self.hyperparams, self.ckpt = [], [], []
        for worker, copied in enumerate(self.exploit.copies(performance)):
            info, _, ckpt = get_exploit_data(int(copied != worker), worker, copied, params, performance, ckpts)
            self.ckpt.append(ckpt)
            self.copy_info.append(info)
            # Once a step, so that asking twice gives the same.
            self.hyperparams.append(self.explore(info["copy_params"]) if copied != worker else dict(params[worker]))

    def log_search(self, batch_proposals, perf_measures, ckpt_paths=None):
        return [dict(self.batch[at]["extra"]) for at in self._places]

    def update_search(self):
        if self.is_whole:
            self.pbt_step_counter += 1
            self.clear_batch()

    def state(self):
        names = ("pbt_step_counter", "copy_info", "hyperparams", "ckpt")
        return {**super().state(), **{name: getattr(self, name) for name in names}}

    def restore(self, state):
        super().restore(state)
        for name in ("pbt_step_counter", "copy_info", "hyperparams", "ckpt"):
            setattr(self, name, state[name])

    def __setstate__(self, state):
        super().__setstate__(state)
        # One stream, as before.
        self.exploit.generator = self.explore.space.generator = self.generator

    def stage_of(self, extra):
        return extra.get("pbt_step_counter")

    def print_hello_strategy(self):
        comms.print_pbt_hello(self.num_workers, self.steps_until_ready, self.explore.strategy, self.exploit.strategy)

    def print_update_strategy(self):
        if self.copy_info:
            step = self.pbt_step_counter + 1
            comms.print_pbt_update(step, step * self.steps_until_ready, self.copy_info)
