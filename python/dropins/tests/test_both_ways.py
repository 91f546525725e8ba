"""Every kind of experiment that files of mle-toolbox describe, run by the drop-in's command line and by `mle run`: the same file,
the same training script, and what each run says checked against the formula that it computes."""

import json
import os
import subprocess
import sys

import pytest

import mle

np = pytest.importorskip("numpy")
pytest.importorskip("mle_hyperopt.strategies")

#: Told by checkpoint how many iterations were made before; the loss falls with each.
TRAIN = """
import numpy
from mle_toolbox import MLExperiment

mle = MLExperiment("base.yaml")
train = mle.train_config
point = train.params or train
extra = train.extra or {}
more = extra.get("sh_num_add_iters") or extra.get("pbt_num_add_iters") or 2
done = float(numpy.load(mle.model_ckpt_path, allow_pickle=True)[0]) if mle.model_ckpt_path else 0.0
for total in range(int(done) + 1, int(done) + more + 1):
    loss = (point.lr - 0.3) ** 2 + point.batch / 100 + (point.arch == "cnn") / 10 + 0.01 * mle.seed_id + 1 / total
    mle.update_log({"num_updates": total}, {"test_loss": loss, "cost": point.batch + total}, model=numpy.array([float(total)]), save=True)
"""
BASE = """
train_config: {lr: 0.1, batch: 3, arch: mlp}
log_config: {time_to_track: [num_updates], what_to_track: [test_loss, cost], model_type: numpy}
"""
META = {"project_name": "p", "base_train_fname": "train.py", "base_train_config": "base.yaml", "experiment_dir": "out"}
SEEDS = [1, 4]
SAMPLED = {
    "real": {"lr": {"begin": 0.1, "end": 0.5, "prior": "log-uniform"}},
    "integer": {"batch": {"begin": 1, "end": 5, "prior": "uniform"}},
    "categorical": {"arch": ["mlp", "cnn"]},
}
LISTED = {
    "real": {"lr": {"begin": 0.1, "end": 0.3, "bins": 3}},
    "integer": {"batch": {"begin": 1, "end": 2, "bins": 2}},
    "categorical": {"arch": ["mlp", "cnn"]},
}
BATCHES = {"num_search_batches": 2, "num_evals_per_batch": 3, "random_seeds": SEEDS}
PBT = {
    "num_workers": 2, "steps_until_ready": 2, "explore": {"strategy": "perturbation", "perturb_coeffs": [0.8, 1.2]},
    "exploit": {"strategy": "truncation", "selection_percent": 0.5},
}  # fmt: skip

#: Name, search type, space, settings, resources, metrics; how many evals to how many iterations; whether both ways ask for the
#: same points.
SEARCHES = [
    ("grid", "Grid", LISTED, None, {**BATCHES, "num_evals_per_batch": 6}, "test_loss", {2: 12}, True),
    ("random", "Random", SAMPLED, None, BATCHES, "test_loss", {2: 6}, False),
    ("smbo", "SMBO", SAMPLED, {"base_estimator": "RF", "acq_function": "gp_hedge", "n_initial_points": 3, "metric_to_model": "test_loss"},
     BATCHES, "test_loss", {2: 6}, False),
    ("nevergrad", "Nevergrad", SAMPLED, {"optimizer": "OnePlusOne", "metric_to_model": "test_loss"}, BATCHES, "test_loss", {2: 6}, False),
    ("coordinate", "Coordinate", LISTED, {"order": ["lr", "arch"], "defaults": {"lr": 0.1, "batch": 2, "arch": "cnn"}},
     {**BATCHES, "num_search_batches": 4, "num_evals_per_batch": 1}, "test_loss", {2: 4}, True),
    ("halving", "Halving", SAMPLED, {"min_budget": 1, "num_arms": 4, "halving_coeff": 2},
     {**BATCHES, "num_search_batches": 3, "num_evals_per_batch": None}, "test_loss", {1: 4, 2: 2, 4: 1}, False),
    ("hyperband", "Hyperband", SAMPLED, {"max_resource": 4, "eta": 2},
     {**BATCHES, "num_search_batches": 6, "num_evals_per_batch": None}, "test_loss", {1: 4, 2: 4, 4: 5}, False),
    ("pbt", "PBT", SAMPLED, PBT, {**BATCHES, "num_search_batches": 3, "num_evals_per_batch": 2}, "test_loss", {2: 2, 4: 2, 6: 2}, False),
    ("several objectives", "Random", SAMPLED, None, BATCHES, ["test_loss", "cost"], {2: 6}, False),
    ("several objectives, nevergrad", "Nevergrad", SAMPLED, {"optimizer": "DE"}, BATCHES, ["test_loss", "cost"], {2: 6}, False),
]  # fmt: skip


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MLE_") and name not in ("MLE_PROGRAMS",):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    # `mle run` takes the `python3` of the environment it is called in.
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "train.sh").write_text(f'exec "{sys.executable}" train.py "$@"\n')
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "other.yaml").write_text(BASE.replace("batch: 3", "batch: 5"))
    return tmp_path


def loss(point, seed, total):
    return (point["lr"] - 0.3) ** 2 + point["batch"] / 100 + (point["arch"] == "cnn") / 10 + 0.01 * seed + 1 / total


def run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def by_drop_in(**blocks):
    with open("experiment.json", "w") as file:
        json.dump({"single_job_args": {"num_logical_cores": 1}, **blocks}, file)
    return run(sys.executable, "-m", "mle_toolbox.cli", "run", "experiment.json", "-nw", "-np", "-resource", "local")


def by_mle(**blocks):
    with open("experiment.json", "w") as file:
        blocks["meta_job_args"] = {**blocks["meta_job_args"], "experiment_dir": "own"}
        json.dump({"single_job_args": {"num_logical_cores": 1}, **blocks}, file)
    run(mle.program("mle"), "run", "experiment.json", "--db", "own.db")
    db = mle.open("own.db")
    assert db.sql("SELECT DISTINCT state FROM jobs")["state"] == ["succeeded"]
    assert db.sql("SELECT state FROM experiments")["state"] == ["complete"]
    return db


def check_runs(db, points):
    """Check the runs of `mle run`: each of `points` with all seeds, each value by its formula."""
    runs = db.sql("SELECT name, seed, value FROM runs WHERE state = 'complete' ORDER BY name, seed")
    found = list(zip(runs["name"], runs["seed"], runs["value"]))
    assert [(name, seed) for name, seed, _ in found] == sorted((name, seed) for name, (_, seeds) in points.items() for seed in seeds)
    for name, seed, value in found:
        assert value == pytest.approx(loss(points[name][0], seed, 2), abs=1e-12)


def check_logs(points):
    from mle_logging import load_log

    log = load_log("out/meta_log.hdf5", aggregate_seeds=False)
    assert sorted(log.eval_ids) == sorted(points)
    for name, (point, seeds) in points.items():
        assert sorted(log[name]) == [f"seed_{seed}" for seed in seeds]
        for seed in seeds:
            wanted = [loss(point, seed, total) for total in (1, 2)]
            assert log[name][f"seed_{seed}"].stats.test_loss == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("script", ["train.py", "train.sh"])
def test_a_single_config(script):
    from mle_logging import load_log

    told = {"meta_job_args": {**META, "base_train_fname": script, "experiment_type": "single-config"}}
    by_drop_in(**told)
    point = {"lr": 0.1, "batch": 3, "arch": "mlp"}
    found = load_log("out/base").seed_0.stats.test_loss
    assert found == pytest.approx([loss(point, 0, total) for total in (1, 2)], abs=1e-12)
    db = by_mle(**told)
    runs = db.sql("SELECT r.seed, m.last, m.n FROM runs r JOIN metrics m ON m.run_id = r.id AND m.metric = 'test_loss'")
    assert (runs["seed"], runs["n"]) == ([0], [2]) and runs["last"][0] == pytest.approx(loss(point, 0, 2), abs=1e-12)


@pytest.mark.parametrize("script", ["train.py", "train.sh"])
def test_several_configs(script):
    told = {
        "meta_job_args": {**META, "base_train_fname": script, "experiment_type": "multiple-configs"},
        "multi_config_args": {"config_fnames": ["base.yaml", "other.yaml"], "num_seeds": 2, "random_seeds": SEEDS},
    }
    points = {name: ({"lr": 0.1, "batch": batch, "arch": "mlp"}, SEEDS) for name, batch in (("base", 3), ("other", 5))}
    by_drop_in(**told)
    check_logs(points)
    db = by_mle(**told)
    runs = db.sql(
        "SELECT r.name, r.seed, m.last FROM runs r JOIN metrics m ON m.run_id = r.id AND m.metric = 'test_loss'"
        " WHERE r.state = 'complete' ORDER BY r.name, r.seed"
    )
    assert list(zip(runs["name"], runs["seed"])) == [(name, seed) for name in ("base", "other") for seed in SEEDS]
    for name, seed, value in zip(runs["name"], runs["seed"], runs["last"]):
        assert value == pytest.approx(loss(points[name][0], seed, 2), abs=1e-12)


@pytest.mark.parametrize("name,kind,space,settings,resources,metrics,reached,is_same", SEARCHES, ids=[one[0] for one in SEARCHES])
def test_a_search(name, kind, space, settings, resources, metrics, reached, is_same):
    from mle_toolbox import load_result_logs

    if kind == "Nevergrad":
        pytest.importorskip("nevergrad")
    search = {"search_type": kind, "search_schedule": "sync", "search_params": space}
    if settings is not None:
        search["search_config"] = settings
    told = {
        "meta_job_args": {**META, "experiment_type": "hyperparameter-search"},
        "param_search_args": {
            "search_logging": {"max_objective": False, "eval_metrics": metrics, "problem_type": "final"},
            "search_resources": resources,
            "search_config": search,
        },
    }
    names = [metrics] if isinstance(metrics, str) else metrics

    by_drop_in(**told)
    _, hyper = load_result_logs("out")
    assert sorted(hyper.search_metrics) == sorted(names)
    theirs = []
    for row in range(len(hyper)):
        point = {"lr": float(hyper.lr.iloc[row]), "batch": int(hyper.batch.iloc[row]), "arch": str(hyper.arch.iloc[row])}
        inside(point, space)
        total = iterations(point, float(hyper.test_loss.iloc[row]))
        theirs.append((point, total))
        if "cost" in names:
            assert hyper.cost.iloc[row] == pytest.approx(point["batch"] + total)
    count = dict(sorted((total, [one for _, one in theirs].count(total)) for total in {one for _, one in theirs}))
    assert count == reached

    db = by_mle(**told)
    objectives = db.sql("SELECT metric, goal FROM objectives")
    assert objectives["metric"] == names and set(objectives["goal"]) == {"min"}
    runs = db.sql("SELECT seed, value, params, epochs, (SELECT t.params FROM trials t WHERE t.id = r.trial_id) AS point FROM runs r WHERE state = 'complete'")
    ours = []
    for seed, value, text in zip(runs["seed"], runs["value"], runs["point"]):
        point = json.loads(text) if isinstance(text, str) else text
        inside(point, space)
        ours.append((point, seed, iterations(point, value, [seed])))
    assert sorted({seed for _, seed, _ in ours}) == SEEDS
    for seed in SEEDS:
        all_of = [total for _, one, total in ours if one == seed]
        mine = {total: all_of.count(total) for total in sorted(set(all_of))}
        # The drop-in begins Hyperband's loops with as many points as the original; `mle run` with those of the paper.
        assert mine == ({1: 4, 2: 5, 4: 5} if kind == "Hyperband" else reached)
    if "cost" in names:
        values = db.sql('SELECT params, "values" AS vals FROM trials WHERE state = \'complete\'')
        for point, found in zip(values["params"], values["vals"]):
            point, found = (json.loads(one) if isinstance(one, str) else one for one in (point, found))
            assert found == pytest.approx([np.mean([loss(point, seed, 2) for seed in SEEDS]), point["batch"] + 2], abs=1e-12)
        assert len(values["params"]) == 6
        assert 1 <= len(db.sql("SELECT * FROM pareto")["number"]) <= 6
    if is_same:
        key = lambda point: (round(point["lr"], 12), point["batch"], point["arch"])  # noqa: E731
        assert sorted({key(point) for point, _ in theirs}) == sorted({key(point) for point, _, _ in ours})


def inside(point, space):
    low, high = (space["real"]["lr"][end] for end in ("begin", "end"))
    assert low <= point["lr"] <= high
    if "bins" in space["real"]["lr"]:
        assert min(abs(point["lr"] - one) for one in np.linspace(low, high, space["real"]["lr"]["bins"])) < 1e-12
    assert space["integer"]["batch"]["begin"] <= point["batch"] <= space["integer"]["batch"]["end"]
    assert isinstance(point["batch"], int) and point["arch"] in space["categorical"]["arch"]


def iterations(point, value, seeds=SEEDS):
    """Return after how many iterations a point has a value, by the formula."""
    over = value - np.mean([loss(point, seed, 1) - 1 for seed in seeds])
    total = round(1 / over)
    assert over == pytest.approx(1 / total, abs=1e-6), (point, value)
    return total
