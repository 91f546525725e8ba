"""What an ask and a tell cost with Optuna and Rustuna: the space and the history of `benches/search.rs`.

Prints `PEER SAMPLER HISTORY MICROSECONDS`, CPU time of the process. Called by `cargo bench -- search` where
MLE_BENCH_PYTHON names an interpreter that has one of them; peers that are not there are left out.
"""

import importlib
import math
import sys
import time

ROUNDS = 30
# Seconds after which a peer is told no longer histories.
PATIENCE = 60.0


def suggest(trial):
    lr = trial.suggest_float("lr", 1e-5, 1.0, log=True)
    decay = trial.suggest_float("decay", 1e-6, 0.1, log=True)
    momentum = trial.suggest_float("momentum", 0.0, 0.99)
    hidden = trial.suggest_int("hidden", 8, 512, log=True)
    layers = trial.suggest_int("layers", 1, 6)
    act = trial.suggest_categorical("act", ["relu", "tanh", "gelu"])
    rate = math.log10(lr) + 2.5 + 1.5 * (momentum - 0.5)
    return (
        0.5 * rate * rate
        + 0.05 * (math.log10(decay) + 3.5) ** 2
        + 0.5 * (momentum - 0.8) ** 2
        + 0.05 * (math.log2(hidden) - 7.5) ** 2
        + 0.03 * abs(layers - 3.0)
        + {"relu": 0.1, "gelu": 0.0, "tanh": 0.2}[act]
    )


def pair(study):
    trial = study.ask()
    # Optuna takes the trial or its number, Rustuna the number.
    study.tell(trial.number, suggest(trial))


def measure(name):
    try:
        peer = importlib.import_module(name)
    except ImportError:
        return
    if name == "optuna":
        peer.logging.set_verbosity(peer.logging.ERROR)
    for sampler in ("random", "tpe"):
        make = {"random": "RandomSampler", "tpe": "TPESampler"}[sampler]
        study = peer.create_study(sampler=getattr(peer.samplers, make)(seed=1))
        start, told = time.process_time(), 0
        for history in (100, 1_000, 10_000):
            while told < history and time.process_time() - start < PATIENCE:
                pair(study)
                told += 1
            if told < history:
                break
            begin = time.process_time()
            for _ in range(ROUNDS):
                pair(study)
            cost = (time.process_time() - begin) / ROUNDS
            told += ROUNDS
            print(name, sampler, history, f"{cost * 1e6:.1f}", flush=True)


if __name__ == "__main__":
    for peer in sys.argv[1:] or ["optuna", "rustuna"]:
        measure(peer)
