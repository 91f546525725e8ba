"""Spaces, strategies and a loss that the tests of mle_hyperopt share."""


import pytest

from mle_hyperopt import (
    Strategies,
)

REAL = {"lrate": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}
WHOLE = {"batch_size": {"begin": 1, "end": 5, "prior": "uniform"}}
LISTS = {"arch": ["mlp", "cnn"]}
SPACE = (REAL, WHOLE, LISTS)
REAL_GRID = {"lrate": {"begin": 0.1, "end": 0.5, "bins": 5}}
WHOLE_GRID = {"batch_size": {"begin": 1, "end": 5, "bins": 5}}
GRID = (REAL_GRID, WHOLE_GRID, LISTS)

ONE_OF_EACH = {
    "Random": (SPACE, None),
    "Grid": (GRID, None),
    "SMBO": (SPACE, {"base_estimator": "GP", "acq_function": "gp_hedge", "n_initial_points": 5}),
    "Nevergrad": (SPACE, {"optimizer": "NGOpt", "budget_size": 50, "num_workers": 5}),
    "Coordinate": (GRID, {"order": ["arch", "lrate", "batch_size"], "defaults": {"arch": "mlp", "lrate": 0.33, "batch_size": 3}}),
    "Halving": (SPACE, {"min_budget": 1, "num_arms": 8, "halving_coeff": 2}),
    "Hyperband": (SPACE, {"max_resource": 9, "eta": 3}),
    "PBT": (SPACE, {"exploit": {"strategy": "truncation", "selection_percent": 0.4}, "explore": {"strategy": "perturbation", "perturb_coeffs": [0.8, 1.2]}, "steps_until_ready": 4, "num_workers": 4}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MLE_DB", "MLE_MIRROR", "MLE_JOB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


def loss(config):
    config = config.get("params", config)
    return (config["lrate"] - 0.2) ** 2 + (config["batch_size"] - 4) ** 2 + (0 if config["arch"] == "conv" else 10)


def made(kind, **more):
    if kind == "Nevergrad":
        pytest.importorskip("nevergrad")
    space, config = ONE_OF_EACH[kind]
    return Strategies[kind](*space, search_config=config, **more)


def step(strategy, n=5):
    """Ask and tell once; return the proposals."""
    asked = strategy.ask(n)
    proposals = asked if isinstance(asked, list) else [asked]
    ckpts = [f"ckpt_{len(strategy)}_{at}" for at in range(len(proposals))] if strategy.iterative else None
    if proposals:
        strategy.tell(proposals, [loss(one) for one in proposals], ckpts)
    return proposals
