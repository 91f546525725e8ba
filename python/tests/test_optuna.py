"""Optuna's studies in a file of ours, and its samplers and Nevergrad's optimizers as strategies."""

import importlib.util
import json
import math
import re
import subprocess
import sys
import warnings

import mle
import pytest

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

try:
    # Optuna's own tests of storages are in its newer wheels.
    from optuna.testing.pytest_storages import StorageTestCase
except ImportError:

    class StorageTestCase:
        """A few of them, for older releases."""

        def test_trial_is_kept_as_it_was(self, storage):
            study = optuna.create_study(storage=storage, directions=["minimize", "maximize"], study_name="two")
            study.set_user_attr("of", {"whom": None, "bound": math.inf})
            trial = optuna.create_trial(
                params={"x": 0.5, "k": "b"},
                distributions={
                    "x": optuna.distributions.FloatDistribution(0, 1),
                    "k": optuna.distributions.CategoricalDistribution(("a", "b")),
                },
                values=[1.0, -math.inf],
                user_attrs={"nan": math.nan},
                system_attrs={"long": 2**70},
            )
            study.add_trial(trial)
            (kept,) = optuna.load_study(storage=storage, study_name="two").trials
            assert (kept.params, kept.distributions, kept.values) == (trial.params, trial.distributions, trial.values)
            assert math.isnan(kept.user_attrs["nan"]) and kept.system_attrs == {"long": 2**70}
            assert study.user_attrs == {"of": {"whom": None, "bound": math.inf}}


class TestStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path):
        return mle.optuna_storage(tmp_path / "x.db")


def parabola(trial):
    x = trial.suggest_float("x", -5, 5)
    k = trial.suggest_categorical("k", ["a", "b"])
    return x**2 + (k == "b")


def test_study_is_one_of_ours(tmp_path):
    path = tmp_path / "x.db"
    sampler = optuna.samplers.TPESampler(seed=1)
    study = optuna.create_study(storage=mle.optuna_storage(path), study_name="bowl", direction="maximize", sampler=sampler)
    study.optimize(lambda trial: -parabola(trial) * trial.suggest_int("n", 1, 3), n_trials=8)
    ours = mle.Study("bowl", db=path)
    assert ours.best["value"] == study.best_value and ours.best["params"] == study.best_params
    assert ours.objectives == [("value", "max")]
    space = json.loads(mle.open(path).sql("SELECT space FROM studies").one())
    assert space["x"]["low"] == -5 and space["k"]["choices"] == ["a", "b"] and space["n"]["type"] == "integer"
    assert list(ours.importance()["parameter"]) == ["x", "k", "n"]
    said = subprocess.run([mle.program("mle"), "study", "show", "bowl", "--db", path], capture_output=True, text=True)
    assert said.returncode == 0 and "external" in said.stdout
    shown = re.search(rf"best trial {study.best_trial.number}: (\S+) at", said.stdout).group(1)
    assert float(shown) == pytest.approx(study.best_value, rel=1e-4)
    assert ours.replay().different is None


def test_parameters_that_are_asked_for_at_times_have_a_place(tmp_path):
    def objective(trial):
        if trial.suggest_categorical("model", ["svc", "forest"]) == "svc":
            return math.log10(trial.suggest_float("c", 1e-3, 1e3, log=True)) ** 2
        return 10 + trial.suggest_int("depth", 1, 8)

    path = tmp_path / "x.db"
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=mle.optuna_storage(path), study_name="kinds", sampler=sampler)
    study.optimize(objective, n_trials=40)
    ours = mle.Study("kinds", db=path)
    importance = {row["parameter"]: row["alone"] for row in ours.importance()}
    assert set(importance) == {"model", "c", "depth"} and importance["model"] > 0.5, importance

    def said(*args):
        run = subprocess.run([mle.program("mle"), "study", *args, "--db", path], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    shown = json.loads(said("show", "kinds", "--json"))
    assert shown["outside"] == 0 and shown["best"]["inside"] is True
    assert "outside" not in said("best", "kinds") and "outside" not in said("show", "kinds")
    slices = {one["name"]: one for one in json.loads(said("slice", "kinds"))}
    assert 0 < len(slices["c"]["points"]) < 40 and len(slices["model"]["points"]) == 40


def test_curves_and_pruned_trials_are_seen(tmp_path):
    storage = mle.optuna_storage(tmp_path / "x.db")
    study = optuna.create_study(storage=storage, study_name="curves")

    def objective(trial):
        for step, value in enumerate([3.0, 2.0, 1.0]):
            trial.report(value + trial.number, step)
            if trial.number == 1 and step == 1:
                raise optuna.TrialPruned
        return 1.0

    study.optimize(objective, n_trials=2)
    trials = mle.open(tmp_path / "x.db").trials("curves")
    assert trials["state"] == ["complete", "pruned"] and trials["curve"] == [[3.0, 2.0, 1.0], [4.0, 3.0]]
    assert study.trials[1].value == 3.0 and study.trials[1].intermediate_values == {0: 4.0, 1: 3.0}


def test_points_of_people_come_first(tmp_path):
    study = optuna.create_study(storage=mle.optuna_storage(tmp_path / "x.db"), study_name="bowl")
    study.optimize(parabola, n_trials=1)
    mle.Study("bowl", db=tmp_path / "x.db").add({"x": 4.0, "k": "b"})
    study.enqueue_trial({"x": -3.0})
    study.optimize(parabola, n_trials=2)
    assert [trial.params["x"] for trial in study.trials[1:]] == [4.0, -3.0]
    assert study.trials[1].value == 17.0


def test_studies_of_other_strategies_are_read(tmp_path):
    space = {
        "lr": mle.real(1e-4, 1e-1, log=True),
        "n": mle.integer(1, 9, step=2),
        "kind": ["tree", "net"],
        "depth": {"type": "integer", "low": 1, "high": 5, "when": {"kind": ["tree"]}},
    }
    ours = mle.Study("ours", space, db=tmp_path / "x.db", strategy="tpe", trials=12)
    ours.optimize(lambda params: params["lr"] * params["n"])
    theirs = optuna.load_study(study_name="ours", storage=mle.optuna_storage(tmp_path / "x.db"))
    assert [trial.params for trial in theirs.trials] == ours.trials()["params"]
    assert theirs.best_value == ours.best["value"]
    assert theirs.trials[0].distributions["lr"] == optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    assert theirs.trials[0].distributions["n"] == optuna.distributions.IntDistribution(1, 9, step=2)


WORKER = """
import sys, mle, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="many", storage=mle.optuna_storage(sys.argv[1]))
def objective(trial):
    trial.set_user_attr("who", sys.argv[2])
    trial.report(0.5, 0)
    return trial.suggest_float("x", -5, 5) ** 2
study.optimize(objective, n_trials=15)
study.set_user_attr(f"done {sys.argv[2]}", True)
"""


def test_processes_share_a_study(tmp_path):
    storage = mle.optuna_storage(tmp_path / "x.db")
    study = optuna.create_study(storage=storage, study_name="many")
    for x in range(20):
        study.enqueue_trial({"x": x / 4})
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, tmp_path / "x.db", str(who)]) for who in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    trials = study.trials
    assert [trial.number for trial in trials] == list(range(45))
    assert all(trial.state == optuna.trial.TrialState.COMPLETE and trial.value == trial.params["x"] ** 2 for trial in trials)
    # Each enqueued point was tried once, each worker took its share, and no attribute was lost.
    assert sorted(trial.params["x"] for trial in trials[:20]) == [x / 4 for x in range(20)]
    assert [sum(trial.user_attrs["who"] == who for trial in trials) for who in "012"] == [15, 15, 15]
    assert study.user_attrs == {"done 0": True, "done 1": True, "done 2": True}


def test_silent_trials_fail(tmp_path, monkeypatch):
    called = []
    storage = mle.optuna_storage(
        tmp_path / "x.db", heartbeat_interval=60, grace_period=120, failed_trial_callback=lambda _, trial: called.append(trial)
    )
    study = optuna.create_study(storage=storage)
    silent, heard = study.ask(), study.ask()
    # Three minutes later, seen from a process whose clock says so.
    script = "import sys, mle; s = mle.optuna_storage(sys.argv[1], heartbeat_interval=60, grace_period=120)"
    script += "; s.record_heartbeat(int(sys.argv[2])); print(s._get_stale_trial_ids(int(sys.argv[3])))"
    words = [sys.executable, "-c", script, tmp_path / "x.db", str(heard._trial_id), str(study._study_id)]
    found = subprocess.run(words, env={"MLE_CLOCK_OFFSET_MS": "180000", "PATH": ""}, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == [silent._trial_id]
    optuna.storages.fail_stale_trials(study)
    assert called == [], "nothing is stale by our clock"


def test_bad_arguments_are_told(tmp_path):
    with pytest.raises(mle.InvalidError, match="heartbeat_interval"):
        mle.optuna_storage(tmp_path / "x.db", heartbeat_interval=0)
    with pytest.raises(optuna.exceptions.DuplicatedStudyError, match="load_if_exists"):
        for _ in range(2):
            optuna.create_study(storage=mle.optuna_storage(tmp_path / "x.db"), study_name="twice")


# Strategies

SPACE = {
    "x": mle.real(-5, 5),
    "n": mle.integer(1, 64, log=True),
    "kind": ["tree", "net"],
    "depth": {"type": "integer", "low": 1, "high": 5, "when": {"kind": ["tree"]}},
    "size": {"type": "real", "low": 0.0, "high": 1.0, "step": 0.25},
    "fixed": 7,
}


def bowl(params):
    assert params["fixed"] == 7 and ("depth" in params) == (params["kind"] == "tree")
    return params["x"] ** 2 + abs(params["n"] - 8) / 8 + params["size"] + (params["kind"] == "net")


def samplers():
    found = {"TPESampler": lambda: optuna.samplers.TPESampler(seed=1), "GridSampler": None}
    found["NSGAIISampler"] = lambda: optuna.samplers.NSGAIISampler(seed=1, population_size=8)
    del found["GridSampler"]
    try:
        import cmaes  # noqa: F401
    except ImportError:
        pass
    else:
        found["CmaEsSampler"] = lambda: optuna.samplers.CmaEsSampler(seed=1, n_startup_trials=4, warn_independent_sampling=False)
    return found


@pytest.mark.parametrize("name", sorted(samplers()))
def test_sampler_is_a_strategy(tmp_path, name):
    strategy = mle.integrations.OptunaStrategy(samplers()[name]())
    study = mle.Study("bowl", SPACE, db=tmp_path / "x.db", strategy=strategy, trials=30)
    study.optimize(bowl)
    trials = study.trials()
    assert trials["state"] == ["complete"] * 30 and study.state == "closed"
    assert json.loads(mle.open(tmp_path / "x.db").sql("SELECT settings FROM studies").one()) == {"by": f"optuna.{name}"}
    assert all(bowl(params) == value for params, value in zip(trials["params"], trials["value"]))
    # It learns: the later half is better than the first.
    values = sorted(trials["value"][:15]), sorted(trials["value"][15:])
    assert sum(values[1]) < sum(values[0])
    with pytest.raises(mle.Exhausted):
        study.ask()


def test_sampler_goes_on_in_another_process(tmp_path):
    path = tmp_path / "x.db"
    for turn in range(2):
        strategy = mle.integrations.OptunaStrategy(optuna.samplers.TPESampler(seed=1, n_startup_trials=5))
        study = mle.Study("bowl", {"x": mle.real(-5, 5)}, db=path, strategy=strategy)
        study.optimize(lambda params: (params["x"] - 1) ** 2, n=20)
    values = study.trials()["value"]
    assert len(values) == 40 and len(set(study.trials()["number"])) == 40
    # The second did not begin anew.
    assert sum(values[20:25]) < sum(values[:5])


def test_workers_and_failures(tmp_path):
    strategy = mle.integrations.OptunaStrategy(optuna.samplers.TPESampler(seed=1, constant_liar=True))
    study = mle.Study("bowl", {"x": mle.real(-5, 5)}, db=tmp_path / "x.db", strategy=strategy, trials=24, objective="loss:max")

    def sometimes(params):
        if params["x"] > 2:
            raise RuntimeError("too large")
        return -(params["x"] ** 2)

    study.optimize(sometimes, workers=4, on_error="record")
    states = study.trials()["state"]
    assert len(states) == 24 and set(states) <= {"complete", "failed"} and study.best["value"] > -4


def test_sampler_with_two_objectives(tmp_path):
    strategy = mle.integrations.OptunaStrategy(optuna.samplers.NSGAIISampler(seed=1, population_size=6))
    study = mle.Study("two", {"x": mle.real(0, 1)}, db=tmp_path / "x.db", strategy=strategy, objective=["a", "b:max"], trials=18)
    study.optimize(lambda params: {"a": params["x"] ** 2, "b": params["x"]})
    assert len(study.pareto()) > 3


def test_constraints_of_optuna_are_kept(tmp_path):
    sampler = optuna.samplers.TPESampler(seed=1, constraints_func=lambda trial: [trial.params["x"] - 1])
    study = mle.Study("bowl", {"x": mle.real(-5, 5)}, db=tmp_path / "x.db", strategy=mle.integrations.OptunaStrategy(sampler))
    study.optimize(lambda params: -params["x"], n=5)
    assert all(extra["system_attrs"]["constraints"] == [params["x"] - 1] for extra, params in _extras(study))


def _extras(study):
    trials = study.trials()
    return list(zip(trials["extra"], trials["params"]))


SCRIPT = """
import mle
x, kind = mle.param("x"), mle.param("kind")
mle.Logger().log({"loss": (x - 2) ** 2 + (kind == "net") + 0.01 * mle.seed()})
"""


def spec_of(tmp_path, trials):
    (tmp_path / "train.py").write_text(SCRIPT)
    space = {"x": mle.real(-5, 5), "kind": ["tree", "net"]}
    return {
        "name": "jobs",
        "command": [sys.executable, str(tmp_path / "train.py")],
        "metric": "loss",
        "seeds": 2,
        "search": {"space": space, "trials": trials},
    }


def test_sampler_proposes_to_jobs(tmp_path):
    strategy = mle.integrations.OptunaStrategy(optuna.samplers.TPESampler(seed=1, n_startup_trials=4))
    experiment = mle.Experiment(spec_of(tmp_path, 8), db=tmp_path / "x.db").run(2, strategy=strategy)
    assert experiment.state == "complete"
    trials = experiment.db.trials("jobs")
    assert trials["state"] == ["complete"] * 8 and len(experiment.runs()) == 16
    for params, value in zip(trials["params"], trials["value"]):
        assert value == pytest.approx((params["x"] - 2) ** 2 + (params["kind"] == "net") + 0.005)
    theirs = strategy.search.trials
    assert [trial.value for trial in theirs] == trials["value"] and len(experiment.leaderboard()) >= 1


def test_strategy_that_fails_ends_the_experiment(tmp_path):
    class Broken(mle.integrations.OutsideStrategy):
        def propose(self):
            raise RuntimeError("no idea")

    with pytest.raises(RuntimeError, match="no idea"):
        mle.Experiment(spec_of(tmp_path, 4), db=tmp_path / "x.db").run(1, strategy=Broken())
    assert mle.open(tmp_path / "x.db").experiments()["state"] == ["cancelled"]


def test_a_strategy_of_ones_own(tmp_path):
    class Halves(mle.integrations.OutsideStrategy):
        """Bisects."""

        name = "halves"

        def begin(self):
            self.low, self.high = self.outline["space"]["x"]["low"], self.outline["space"]["x"]["high"]

        def propose(self):
            if self.high - self.low < 0.1:
                raise mle.Exhausted
            return {"x": (self.low + self.high) / 2}

        def learn(self, trial):
            x = trial["params"]["x"]
            if trial["values"][0] < 0:
                self.low = max(self.low, x)
            else:
                self.high = min(self.high, x)

    study = mle.Study("root", {"x": mle.real(0, 4)}, db=tmp_path / "x.db", strategy=Halves(), objective="f")
    study.optimize(lambda params: params["x"] ** 2 - 2, n=3)
    # It goes on where it was, and says when it is done.
    study = mle.Study("root", {"x": mle.real(0, 4)}, db=tmp_path / "x.db", strategy=Halves(), objective="f")
    study.optimize(lambda params: params["x"] ** 2 - 2, n=100)
    assert len(study.trials()) == 6 and study.state == "closed"
    assert abs(study.trials()["params"][-1]["x"] - math.sqrt(2)) < 0.1
    with pytest.raises(mle.InvalidError, match="strategy tpe"):
        mle.Study("other", {"x": mle.real(0, 4)}, db=tmp_path / "x.db", strategy="tpe").serve(Halves())


WEDGE = {"x": mle.real(0, 1), "y": mle.real(0, 1), "n": mle.integer(1, 8), "one": ["only"]}
CONSTRAINTS = ["x + y < 0.5", "n % 2 == 0"]


def in_wedge(params):
    return params["x"] + params["y"] < 0.5 and params["n"] % 2 == 0


@pytest.mark.parametrize("name", ["TPESampler", "RandomSampler", "CmaEsSampler", "NSGAIISampler"])
def test_samplers_keep_constraints_of_the_study(tmp_path, name):
    sampler = getattr(optuna.samplers, name)(seed=1)
    study = mle.Study(
        "wedge", WEDGE, db=tmp_path / "x.db", strategy=mle.integrations.OptunaStrategy(sampler), trials=30, constraints=CONSTRAINTS
    )
    study.optimize(lambda params: (params["x"] - 0.4) ** 2 + params["y"] + params["n"])
    trials = study.trials()
    assert trials["state"] == ["complete"] * 30 and all(map(in_wedge, trials["params"]))
    assert all(params["one"] == "only" for params in trials["params"])
    assert len({tuple(params.values()) for params in trials["params"]}) > 20


def test_points_of_a_grid_that_break_constraints_fail(tmp_path):
    grid = {"x": [0, 1, 2, 3], "y": [0, 1, 2]}
    space = {"x": mle.integer(0, 3), "y": mle.integer(0, 2)}
    sampler = optuna.samplers.GridSampler(grid, seed=1)
    study = mle.Study("grid", space, db=tmp_path / "x.db", strategy=mle.integrations.OptunaStrategy(sampler), constraints=["x <= y"])
    study.optimize(lambda params: params["x"] - params["y"], n=100)
    trials = study.trials()
    # All of the grid, each point once; it ends by itself.
    points = [(params["x"], params["y"]) for params in trials["params"]]
    assert sorted(points) == [(x, y) for x in range(4) for y in range(3)] and study.state == "closed"
    assert [state == "complete" for state in trials["state"]] == [x <= y for x, y in points]
    # Without constraints it ends too.
    sampler = optuna.samplers.GridSampler(grid, seed=1)
    study = mle.Study("whole", space, db=tmp_path / "x.db", strategy=mle.integrations.OptunaStrategy(sampler))
    study.optimize(lambda params: params["x"], n=100)
    assert study.trials()["state"] == ["complete"] * 12 and study.state == "closed"


def test_jobs_get_points_that_keep_constraints(tmp_path):
    spec = spec_of(tmp_path, 6)
    spec["search"]["constraints"] = ["x > 0", "kind == 'net'"]
    strategy = mle.integrations.OptunaStrategy(optuna.samplers.TPESampler(seed=1, n_startup_trials=2))
    experiment = mle.Experiment(spec, db=tmp_path / "x.db").run(2, strategy=strategy)
    trials = experiment.db.trials("jobs")
    assert experiment.state == "complete" and trials["state"] == ["complete"] * 6
    assert all(params["x"] > 0 and params["kind"] == "net" for params in trials["params"])


def test_constraints_that_are_never_kept_are_an_error(tmp_path):
    class Corner(mle.integrations.OutsideStrategy):
        tries = 7
        refusals = 0

        def propose(self):
            return {"x": 1.0, "y": self.y}

        def refused(self, params):
            assert params == {"x": 1.0, "y": 1.0}
            self.refusals += 1

    corner = Corner()
    corner.y = 1.0
    study = mle.Study(
        "corner", {"x": mle.real(0, 1), "y": mle.real(0, 1)}, db=tmp_path / "x.db", strategy=corner, constraints=["x + y < 1.5"]
    )
    with pytest.raises(mle.InvalidError, match="7 points of python in a row break the study's constraints"):
        study.ask()
    assert corner.refusals == 7 and len(study.trials()) == 0
    corner.y = 0.25
    assert study.ask().params == {"x": 1.0, "y": 0.25}
    # Outside the space is something else, and is said at once.
    corner.y = 9.0
    with pytest.raises(mle.InvalidError, match="y"):
        study.ask()
    assert corner.refusals == 7


# Nevergrad

needs_nevergrad = pytest.mark.skipif(importlib.util.find_spec("nevergrad") is None, reason="nevergrad is not installed")


@needs_nevergrad
@pytest.mark.parametrize("name", ["NGOpt", "OnePlusOne", "TwoPointsDE"])
def test_optimizer_is_a_strategy(tmp_path, name):
    space = {**SPACE, "order": {"type": "ordinal", "choices": [1, 2, 4]}}
    study = mle.Study(
        "bowl", space, db=tmp_path / "x.db", strategy=mle.integrations.NevergradStrategy(name), trials=40, seed=3
    )
    study.optimize(bowl)
    trials = study.trials()
    assert trials["state"] == ["complete"] * 40 and study.state == "closed"
    assert sum(sorted(trials["value"])[:10]) < 10 * sum(trials["value"][:10]) / 10
    again = mle.Study(
        "again", space, db=tmp_path / "x.db", strategy=mle.integrations.NevergradStrategy(name), trials=40, seed=3
    )
    again.optimize(bowl, n=10)
    assert again.trials()["params"] == trials["params"][:10]


@needs_nevergrad
def test_optimizer_goes_on_and_maximises(tmp_path):
    for turn in range(2):
        optimizer = mle.integrations.NevergradStrategy("OnePlusOne", seed=turn)
        study = mle.Study("bowl", {"x": mle.real(-5, 5)}, db=tmp_path / "x.db", strategy=optimizer, objective="f:max")
        study.optimize(lambda params: -((params["x"] - 3) ** 2) if params["x"] > -4 else float("nan"), n=30)
    values = study.trials()["value"]
    assert len(values) == 60 and study.best["value"] > -0.1
    assert optimizer.optimizer.num_tell >= 40


@needs_nevergrad
def test_optimizer_proposes_to_jobs(tmp_path):
    strategy = mle.integrations.NevergradStrategy("OnePlusOne")
    experiment = mle.Experiment(spec_of(tmp_path, 6), db=tmp_path / "x.db").run(2, strategy=strategy)
    assert experiment.state == "complete" and experiment.db.trials("jobs")["state"] == ["complete"] * 6
    with pytest.raises(mle.InvalidError, match="no optimizer"):
        mle.integrations.NevergradStrategy("Nothing")


@needs_nevergrad
@pytest.mark.parametrize("name", ["OnePlusOne", "TwoPointsDE", "CMA"])
def test_optimizers_keep_constraints_of_the_study(tmp_path, name):
    study = mle.Study(
        "wedge", WEDGE, db=tmp_path / "x.db", strategy=mle.integrations.NevergradStrategy(name), trials=30, constraints=CONSTRAINTS
    )
    study.optimize(lambda params: (params["x"] - 0.4) ** 2 + params["y"] + params["n"])
    trials = study.trials()
    assert trials["state"] == ["complete"] * 30 and all(map(in_wedge, trials["params"]))
    never = {"x": mle.real(0, 1)}
    study = mle.Study(
        "never", never, db=tmp_path / "x.db", strategy=mle.integrations.NevergradStrategy(name), trials=3, constraints=["x > 1.5"]
    )
    with pytest.raises(mle.InvalidError, match="keeps its constraints"):
        study.ask()


def test_another_process_proposes_to_jobs(tmp_path):
    spec = spec_of(tmp_path, 5)
    spec["search"]["strategy"] = "external"
    (tmp_path / "jobs.json").write_text(json.dumps(spec))
    mle_run = [mle.program("mle"), "run", tmp_path / "jobs.json", "--db", tmp_path / "x.db"]
    subprocess.run([*mle_run, "--enqueue"], check=True, capture_output=True)
    running = subprocess.Popen([*mle_run[:2], "--db", tmp_path / "x.db", "--experiment", "1", "--workers", "2"], stdout=subprocess.DEVNULL)
    serve = [sys.executable, "-m", "mle.integrations", tmp_path / "x.db", "jobs"]
    status = ""
    while "experiment 1 (jobs) is waiting for points" not in status:
        assert running.poll() is None, status
        status = subprocess.run([mle_run[0], "status", "--db", tmp_path / "x.db"], capture_output=True, text=True).stdout
    assert "python3 -m mle.integrations" in status
    said = subprocess.run([*serve, "optuna.RandomSampler", "--set", "seed=3"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "5 points proposed\n"), said.stderr
    assert running.wait() == 0
    assert mle.open(tmp_path / "x.db").trials("jobs")["state"] == ["complete"] * 5
    for bad in (["optuna.Nothing"], ["other.Thing"], ["optuna.RandomSampler", "--set", "sead=3"]):
        said = subprocess.run([*serve, *bad], capture_output=True, text=True)
        assert said.returncode == 2 and bad[-1].split("=")[0].split(".")[-1] in said.stderr, said.stderr


@needs_nevergrad
def test_constraints_that_nothing_keeps_are_said_soon(tmp_path):
    class Counting(mle.integrations.NevergradStrategy):
        proposals = 0

        def propose(self):
            self.proposals += 1
            return super().propose()

    strategy = Counting("RandomSearch")
    study = mle.Study("never", {"x": (0.0, 1.0)}, db=tmp_path / "x.db", strategy=strategy, constraints=["x > 2"])
    with pytest.raises(mle.InvalidError, match="no draw from the space of study 'never' keeps its constraints.*loosen them"):
        study.ask()
    assert strategy.proposals <= 20 and len(study.trials()) == 0


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "NSGAIISampler"])
def test_a_strategy_works_for_one_study_after_the_other(tmp_path, sampler):
    path = tmp_path / "x.db"
    strategy = mle.integrations.OptunaStrategy(getattr(optuna.samplers, sampler)(seed=1))
    first = mle.Study("one", {"x": mle.real(-5, 5)}, db=path, strategy=strategy, trials=15)
    first.optimize(lambda params: params["x"] ** 2)
    second = mle.Study("two", {"x": mle.real(-5, 5), "y": mle.real(0, 1)}, db=path, strategy=strategy, trials=15)
    second.optimize(lambda params: params["x"] ** 2 + params["y"])
    assert first.trials()["state"] == second.trials()["state"] == ["complete"] * 15
    again = mle.integrations.OptunaStrategy(getattr(optuna.samplers, sampler)(seed=1))
    third = mle.Study("three", {"x": mle.real(-5, 5), "y": mle.real(0, 1)}, db=path, strategy=again, trials=15)
    third.optimize(lambda params: params["x"] ** 2 + params["y"])
    assert [t["params"] for t in third.trials().rows()] == [t["params"] for t in second.trials().rows()], "nothing of the first is left"
