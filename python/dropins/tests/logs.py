"""What the tests of mle_logging share: a folder for each, figures, a stand-in for torch, and logs."""

import json
import os
import pickle
import sys
import types

import numpy as np
import pytest

from mle_logging import MLELogger

CLOCKS, STATS = ["num_steps", "num_epochs"], ["train_loss", "test_loss"]
h5py = pytest.importorskip("h5py")

PORTFOLIO = {
    "ckpt_time_to_track": "num_steps",
    "save_every_k_ckpt": 2,
    "save_top_k_ckpt": 2,
    "top_k_metric_name": "test_loss",
    "top_k_minimize_metric": True,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test has a folder of its own, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLE_DB", "MLE_MIRROR", "MLE_JOB", "MLE_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.fixture
def figure():
    plt = pytest.importorskip("matplotlib.pyplot")
    fig, ax = plt.subplots()
    ax.plot([0, 1], [1, 0])
    yield fig
    plt.close("all")


@pytest.fixture
def torch(monkeypatch):
    """What of torch a logger uses; the real one where it is installed."""
    try:
        import torch

        return torch
    except ImportError:
        pass
    module = types.ModuleType("torch")

    def save(state, target):
        with open(target, "wb") as file:
            pickle.dump(state, file)

    def load(source, map_location=None):
        if hasattr(source, "read"):
            return pickle.load(source)
        with open(source, "rb") as file:
            return pickle.load(file)

    class Linear:
        def __init__(self, *shape):
            self.weight = np.ones(shape)

        def state_dict(self):
            return {"weight": self.weight.copy()}

        def load_state_dict(self, state):
            self.weight = state["weight"]

        def named_parameters(self):
            return [("weight", self.weight)]

    module.save, module.load = save, load
    module.nn = types.SimpleNamespace(Linear=Linear)
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def a_logger(**options):
    given = {"time_to_track": CLOCKS, "what_to_track": STATS, "experiment_dir": "lab/", "model_type": "numpy", **options}
    return MLELogger(**given)


def fill(logger, rows=3, offset=0.0, **more):
    for row in range(rows):
        logger.update({"num_steps": 10 * (row + 1), "num_epochs": row + 1}, {"train_loss": 1.0 / (row + 1) + offset, "test_loss": 2.0 + offset}, **more)
    logger.save()
    return logger


def write_peer_log(path, seeds, rows=3, run=None, fewer=()):
    """Write a log as the original package lays it out."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with h5py.File(path, "a") as file:
        for at, seed in enumerate(seeds):
            group = f"{run}/{seed}" if run else seed
            for name, value in {
                "log_paths": path,
                "experiment_dir": "old",
                "config_fname": "old/c.json",
                "eval_id": run or "",
                "model_type": "numpy",
                "config_dict": repr({"lr": 0.1, "layers": [1, 2]}),
            }.items():
                file[f"{group}/meta/{name}"] = np.array([value.encode("ascii")], dtype="S5000")
            n = rows - (seed in fewer)
            file[f"{group}/time/time"] = np.array([b"21-06-01/12:00"] * n, dtype="S5000")
            file[f"{group}/time/num_updates"] = np.arange(1, n + 1, dtype="float32")
            file[f"{group}/time/time_elapsed"] = np.arange(n, dtype="float32")
            file[f"{group}/stats/loss"] = (np.arange(n) + at).astype("float32")


def configs(*values):
    os.makedirs("examples", exist_ok=True)
    for at, value in enumerate(values, 1):
        with open(f"examples/config_{at}.json", "w") as file:
            json.dump({"lr": value}, file)
