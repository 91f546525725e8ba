"""How copied parameters change."""

from ...space import SpaceError
from ...spaces import RandomSpace

STRATEGIES = ("perturbation", "resampling", "additive-noise")


class Explore:
    """Changes the parameters of a worker that copied another; they stay in the space.

    Parameters
    ----------
    explore_config : dict
        `strategy`: "perturbation" with `perturb_coeffs` (a list of factors), "additive-noise" with `noise_scale`, or
        "resampling".
    space : RandomSpace
    generator : numpy.random.RandomState, optional
    """

    def __init__(self, explore_config, space, generator=None):
        self.strategy = explore_config.get("strategy")
        if self.strategy not in STRATEGIES:
            raise SpaceError(f"explore strategy {self.strategy!r} is none of {', '.join(STRATEGIES)}")
        needed = {"perturbation": "perturb_coeffs", "additive-noise": "noise_scale"}.get(self.strategy)
        if needed is not None and needed not in explore_config:
            raise SpaceError(f"explore strategy {self.strategy!r} needs {needed}")
        self.config = dict(explore_config)
        self.space = RandomSpace(space.real, space.integer, space.categorical)
        if generator is not None:
            self.space.generator = generator

    @property
    def generator(self):
        return self.space.generator

    def __call__(self, params):
        """Return changed parameters."""
        if self.strategy == "resampling":
            return {**params, **self.space.sample()}
        changed = dict(params)
        for name in self.space.variable_names:
            if name not in params:
                continue
            if name in self.space.categorical:
                changed[name] = self.space.draw(name)
                continue
            if self.strategy == "perturbation":
                coefficients = self.config["perturb_coeffs"]
                value = params[name] * coefficients[self.generator.randint(0, len(coefficients))]
            else:
                value = params[name] + float(self.generator.normal()) * self.config["noise_scale"]
            given = self.space.real.get(name) or self.space.integer[name]
            value = min(given["end"], max(given["begin"], value))
            changed[name] = round(value) if name in self.space.integer else float(value)
        return changed
