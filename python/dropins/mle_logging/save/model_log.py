"""Checkpoints: the first, the last, each k-th and the k best."""

import io
import os

from .. import _store
from ..utils.helpers import save_pkl_object

MODEL_TYPES = ("torch", "tensorflow", "jax", "sklearn", "numpy", "no-model-type")


class ModelLog:
    """Checkpoints of one seed.

    Attributes
    ----------
    final_model_save_fname, init_model_save_fname : str
    model_save_counter : int
        Calls of :meth:`save`.
    every_k_storage_time, every_k_ckpt_list : list
        Clocks and paths of each k-th.
    top_k_performance, top_k_storage_time, top_k_ckpt_list : list
        By slot, in no order.
    stored_every_k, stored_top_k : bool
        Whether the last call stored one.
    """

    def __init__(
        self,
        experiment_dir="",
        seed_id="no_seed_provided",
        model_type="no-model-type",
        ckpt_time_to_track=None,
        save_every_k_ckpt=None,
        save_top_k_ckpt=None,
        top_k_metric_name=None,
        top_k_minimize_metric=None,
        reload=False,
        keep=None,
    ):
        _check(
            model_type in MODEL_TYPES, f"model_type {model_type!r} is none of {', '.join(MODEL_TYPES)}"
        )
        if save_every_k_ckpt is not None or save_top_k_ckpt is not None:
            _check(ckpt_time_to_track is not None, "checkpoints by save_every_k_ckpt and save_top_k_ckpt need ckpt_time_to_track")
        if save_top_k_ckpt is not None:
            _check(top_k_metric_name is not None, "save_top_k_ckpt needs top_k_metric_name")
            _check(top_k_minimize_metric is not None, "save_top_k_ckpt needs top_k_minimize_metric")
        self.experiment_dir = experiment_dir
        self.seed_id = seed_id
        self.model_type = model_type
        self.ckpt_time_to_track = ckpt_time_to_track
        self.save_every_k_ckpt = save_every_k_ckpt
        self.save_top_k_ckpt = save_top_k_ckpt
        self.top_k_metric_name = top_k_metric_name
        self.top_k_minimize_metric = top_k_minimize_metric
        self.keep = keep
        suffix = {"torch": ".pt", "tensorflow": ".pt", "no-model-type": ""}.get(model_type, ".pkl")
        self._suffix = suffix
        self.init_model_save_fname = self._place("init", f"init_{seed_id}")
        self.final_model_save_fname = self._place("final", f"final_{seed_id}")
        self.model_save_counter = 0
        self.init_model_saved = False
        self.every_k_storage_time, self.every_k_ckpt_list = [], []
        self.top_k_performance, self.top_k_storage_time, self.top_k_ckpt_list = [], [], []
        self.stored_every_k = self.stored_top_k = False
        #: The slot that was stored last among the best.
        self.top_k_slot = None

    def _place(self, kind, stem):
        return os.path.join(self.experiment_dir, f"models/{kind}", stem + self._suffix)

    @property
    def stored_model(self):
        return self.model_save_counter > 0

    def save_init_model(self, model):
        """Store the model as it was before training."""
        self._store(model, self.init_model_save_fname, None, None)
        self.init_model_saved = True

    def save(self, model, clock_tracked, stats_tracked):
        """Store a model as the last one, and as what else the rules say."""
        self.model_save_counter += 1
        clock = _last(clock_tracked, self.ckpt_time_to_track) if self.ckpt_time_to_track else None
        score = _last(stats_tracked, self.top_k_metric_name) if self.top_k_metric_name else None
        self._store(model, self.final_model_save_fname, clock, score)
        self.stored_every_k = self.stored_top_k = False
        if self.save_every_k_ckpt is not None and self.model_save_counter % self.save_every_k_ckpt == 0:
            path = self._place("every_k", f"every_k_{self.seed_id}_k_{self.model_save_counter}")
            self._store(model, path, clock, score)
            self.every_k_storage_time.append(clock)
            self.every_k_ckpt_list.append(path)
            self.stored_every_k = True
        if self.save_top_k_ckpt is not None:
            if score is None:
                raise ValueError(f"the best checkpoints go by {self.top_k_metric_name!r}, which was not logged yet")
            self._save_top_k(model, clock, score)

    def _save_top_k(self, model, clock, score):
        slot = len(self.top_k_performance)
        if slot >= self.save_top_k_ckpt:
            costs = [self._cost(one) for one in self.top_k_performance]
            slot = costs.index(max(costs))
            if not self._cost(score) < costs[slot]:
                return
        path = self._place("top_k", f"top_k_{self.seed_id}_top_{slot}")
        self._store(model, path, clock, score)
        if slot == len(self.top_k_performance):
            self.top_k_performance.append(score)
            self.top_k_storage_time.append(clock)
            self.top_k_ckpt_list.append(path)
        else:
            self.top_k_performance[slot], self.top_k_storage_time[slot] = score, clock
        self.top_k_slot = slot
        self.stored_top_k = True

    def _cost(self, score):
        """Return what is smaller for a better score; NaN is worse than all."""
        return float("inf") if score != score else (score if self.top_k_minimize_metric else -score)

    def _store(self, model, path, clock, score):
        if _store.mirrors():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            save_model_ckpt(model, path, self.model_type)
            self._keep(path, path, clock, score)
        else:
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                there = os.path.join(folder, os.path.basename(path))
                save_model_ckpt(model, there, self.model_type)
                self._keep(path, there, clock, score)

    def _keep(self, path, there, clock, score):
        if self.keep is None:
            return
        step = int(clock) if isinstance(clock, (int, float)) and clock == clock else None
        value = score if isinstance(score, float) and score == score else None
        if os.path.isfile(there):
            self.keep(path, there, "checkpoint", step, value)
        if self.model_type != "tensorflow":
            return
        # TensorFlow writes several files that begin with the name.
        folder, name = os.path.split(there)
        for part in sorted(os.listdir(folder)):
            if part.startswith(name + ".") and part != name:
                self.keep(path + part[len(name) :], os.path.join(folder, part), "checkpoint", step, value)

    def state(self):
        """Return the state as a document."""
        names = ("model_save_counter", "init_model_saved", "every_k_storage_time", "every_k_ckpt_list")
        names += ("top_k_performance", "top_k_storage_time", "top_k_ckpt_list")
        return {name: getattr(self, name) for name in names}

    def restore(self, state):
        """Go on from a stored state."""
        for name, value in state.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)
        # NaN has no form in a document.
        self.top_k_performance = [float("nan") if one is None else one for one in self.top_k_performance]


def _check(fine, why):
    if not fine:
        raise AssertionError(why)


def _last(columns, name):
    column = columns.get(name) or [None]
    return column[-1]


def save_model_ckpt(model, path, model_type):
    """Write a checkpoint.

    Raises
    ------
    ValueError
        For a model type that cannot be stored.
    """
    if model_type == "torch":
        import torch

        torch.save(model.state_dict(), path)
    elif model_type == "tensorflow":
        model.save_weights(path)
    elif model_type in ("jax", "sklearn", "numpy"):
        save_pkl_object(model, path)
    else:
        raise ValueError(f"model_type {model_type!r} cannot be stored: give MLELogger one of {', '.join(MODEL_TYPES[:-1])}")


def load_model_ckpt(path, model_type, model=None):
    """Read a checkpoint from its file, or from the database where there is no file."""
    if model_type == "tensorflow":
        return _load_tensorflow(path, model)
    if model_type not in MODEL_TYPES[:-1]:
        raise ValueError(f"model_type {model_type!r} is none of {', '.join(MODEL_TYPES[:-1])}")
    if os.path.isfile(path):
        with open(path, "rb") as file:
            data = file.read()
    else:
        data = _store.artifact_at(path)
        if data is None:
            raise FileNotFoundError(f"there is no checkpoint {path}, in the folder or in the database")
    if model_type == "torch":
        import torch

        state = torch.load(io.BytesIO(data), map_location="cpu") if not os.path.isfile(path) else torch.load(path, map_location="cpu")
        if model is None:
            return state
        model.load_state_dict(state)
        return model
    import pickle

    return pickle.loads(data)


def _load_tensorflow(path, model):
    if os.path.isfile(path + ".index") or os.path.isfile(path):
        model.load_weights(path)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        there = os.path.join(folder, os.path.basename(path))
        found = 0
        for part in ("", ".index", ".data-00000-of-00001", ".weights.h5"):
            data = _store.artifact_at(path + part)
            if data is not None:
                found += 1
                with open(there + part, "wb") as file:
                    file.write(data)
        if not found:
            raise FileNotFoundError(f"there is no checkpoint {path}, in the folder or in the database")
        model.load_weights(there)
