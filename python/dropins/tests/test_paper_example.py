"""The illustrative example of the paper on the five packages, with its imports: a random search over three kinds of
parameters, whose evals are run by a queue with two seeds, recorded in a protocol, merged, told and completed."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("mle_hyperopt.strategies")

TRAIN = '''
import argparse
from mle_logging import MLELogger
from mle_logging.utils import load_yaml_config

def main(experiment_dir, config_fname, seed_id):
    config = load_yaml_config(config_fname)
    log = MLELogger(
        time_to_track=["num_updates"],
        what_to_track=["train_loss", "test_loss"],
        experiment_dir=experiment_dir,
        config_fname=config_fname,
        seed_id=seed_id,
    )
    for update in range(5):
        loss = config["lrate"] * config["batch_size"] + 0.1 * seed_id + (config["arch"] == "cnn") + 1 / (1 + update)
        log.update({"num_updates": update}, {"train_loss": loss, "test_loss": 2 * loss}, save=True)

parser = argparse.ArgumentParser()
parser.add_argument("-exp_dir", "--experiment_dir", type=str)
parser.add_argument("-config", "--config_fname", type=str)
parser.add_argument("-seed", "--seed_id", type=int)
main(**vars(parser.parse_args()))
'''

EXAMPLE = '''
from mle_hyperopt import RandomSearch
from mle_scheduler import MLEQueue
from mle_monitor import MLEProtocol
from mle_logging import load_meta_log

protocol = MLEProtocol(protocol_fname="mle_protocol.db", verbose=True)
meta_data = {
    "purpose": "random search",
    "project_name": "paper",
    "experiment_type": "hyperparameter-search",
    "experiment_dir": "logs_search",
    "num_total_jobs": 4,
    "base_fname": "train.py",
    "config_fname": "base_config.yaml",
    "num_seeds": 2,
}
e_id = protocol.add(meta_data, save=True)

strategy = RandomSearch(
    real={"lrate": {"begin": 0.1, "end": 0.5, "prior": "log-uniform"}},
    integer={"batch_size": {"begin": 1, "end": 5, "prior": "uniform"}},
    categorical={"arch": ["mlp", "cnn"]},
    verbose=True,
    seed_id=42,
)
configs, config_fnames = strategy.ask(2, store=True)

queue = MLEQueue(
    resource_to_run="local",
    job_filename="train.py",
    config_filenames=config_fnames,
    random_seeds=[1, 2],
    experiment_dir="logs_search",
    protocol_db=protocol,
)
queue.run()
queue.merge_configs(merge_seeds=True)
meta_log = load_meta_log("logs_search/meta_log.hdf5")
test_scores = [meta_log[r].stats.test_loss.mean[-1] for r in queue.mle_run_ids]
strategy.tell(configs, test_scores)
protocol.complete(e_id)
'''


def test_the_example_runs_and_leaves_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name not in ("MLE_PROGRAMS",):
            monkeypatch.delenv(name)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "base_config.yaml").write_text("lrate: 0.1\n")
    (tmp_path / "example.py").write_text(EXAMPLE + "\nprint('scores', test_scores)\nprint('configs', configs)\n")
    done = subprocess.run([sys.executable, "example.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout

    import mle
    from mle_logging import load_meta_log
    from mle_monitor import MLEProtocol

    for name in ("eval_0", "eval_1"):
        assert os.path.exists(f"{name}.yaml")
        assert os.path.exists(f"logs_search/{name}/{name}.yaml")
        assert os.listdir(f"logs_search/{name}/logs") == ["log.hdf5"]
    said = MLEProtocol("mle_protocol.db").get()
    assert (said["job_status"], said["completed_jobs"], said["num_total_jobs"]) == ("completed", 4, 4)
    assert "4/4 Jobs" in done.stdout or "rich" not in sys.modules
    log = load_meta_log("logs_search/meta_log.hdf5")
    assert sorted(log.eval_ids) == ["eval_0", "eval_1"]
    # Seeds 1 and 2 differ by 0.2 in this metric: their mean and deviation are known.
    for name in log.eval_ids:
        assert abs(float(log[name].stats.test_loss.std[-1]) - 0.1) < 1e-6
    # All of it is in the one file, too.
    runs = mle.open("logs_search/mle.db").runs()
    assert sorted(zip(runs["name"], runs["seed"])) == [("eval_0", 1), ("eval_0", 2), ("eval_1", 1), ("eval_1", 2)]
    assert set(runs["state"]) == {"complete"}
    assert runs["params"][0]["arch"] in ("mlp", "cnn")
