"""The space of Nevergrad."""

from .random import RandomSpace


class NevergradSpace(RandomSpace):
    """A space as Nevergrad has it in `dimensions`, once that is asked for."""

    @property
    def dimensions(self):
        """The parametrisation: an instance of `nevergrad.p.Dict`."""
        try:
            import nevergrad as ng
        except ImportError:
            raise ModuleNotFoundError("NevergradSearch needs nevergrad: pip install nevergrad") from None
        made = {name: ng.p.Choice(range(len(values))) for name, values in self.categorical.items()}
        for group, whole in ((self.real, False), (self.integer, True)):
            for name, given in group.items():
                low, high = given["begin"], given["end"]
                if low == high:
                    made[name] = low
                    continue
                one = ng.p.Log(lower=low, upper=high) if given["prior"] == "log-uniform" else ng.p.Scalar(lower=low, upper=high)
                made[name] = one.set_integer_casting() if whole else one
        return ng.p.Dict(**made)
