"""TensorBoard."""

import io
import os

from .._lazy import np
from .._store import BUILT_IN
from ._events import EventWriter


class TboardLog:
    """Writes TensorBoard's event files; needs neither TensorFlow nor torch.

    The x axis is the first clock of the caller that is whole, else the number of the update.
    """

    def __init__(self, experiment_dir="", seed_id="no_seed_provided"):
        self.log_dir = os.path.join(experiment_dir, "tboards/", f"tboard_{seed_id}")
        self.writer = EventWriter(self.log_dir)

    def update(self, time_to_track, clock_tick, stats_tick, model_type=None, model=None, grads=None, plot_to_tboard=None):
        """Write one update, at the clocks that are tracked: statistics (the mean of arrays), weights, gradients and a figure."""
        step = _step(clock_tick)
        for name, value in stats_tick.items():
            if not isinstance(value, str):
                self.writer.scalar(f"performance/{name}", float(np.mean(value)), step)
        if model is not None and model_type == "torch":
            for name, weight in model.named_parameters():
                self.writer.histogram(f"weights/{name}", _numpy(weight), step)
                if getattr(weight, "grad", None) is not None:
                    self.writer.histogram(f"gradients/{name}", _numpy(weight.grad), step)
        elif model is not None and model_type == "jax":
            for name, weight in leaves(model):
                self.writer.histogram(f"weights/{name}", weight, step)
        for name, gradient in leaves(grads):
            self.writer.histogram(f"gradients/{name}", gradient, step)
        if plot_to_tboard is not None:
            buffer = io.BytesIO()
            plot_to_tboard.savefig(buffer, format="png")
            width, height = plot_to_tboard.canvas.get_width_height()
            self.writer.image("plot", buffer.getvalue(), int(height), int(width), step)
        self.writer.flush()


def _numpy(tensor):
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


def _step(clock):
    for name, value in clock.items():
        if name not in BUILT_IN and isinstance(value, (int, float, np.number)) and float(value).is_integer():
            return int(value)
    number = clock["num_updates"]
    return int(number) if float(number).is_integer() else 0


def leaves(tree, above=""):
    """Yield path and array of each leaf of nested dicts."""
    if tree is None:
        return
    if hasattr(tree, "items"):
        for name, below in tree.items():
            yield from leaves(below, f"{above}/{name}" if above else str(name))
    elif hasattr(tree, "shape"):
        yield above, np.asarray(tree)
