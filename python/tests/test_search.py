"""Searches in memory and in files, asked and told from Python."""

import os
import subprocess
import sys
import textwrap
import warnings

import pytest

import mle

SPACE = {"x": {**mle.real(-5, 5), "bins": 5}, "kind": ["a", "b"], "n": mle.integer(1, 4)}


def test_a_strategy_is_a_function_of_its_seed():
    ask = lambda seed: [t.params for t in mle.Strategy("random", SPACE, seed=seed).ask_many(5)]  # noqa: E731
    assert ask(1) == ask(1) != ask(2)


@pytest.mark.parametrize("name", [n for n in mle.strategies() if n not in ("ehvi", "motpe", "parego", "nsga2")])
def test_every_strategy_can_be_asked_and_told(name):
    search = mle.Strategy(name, SPACE, seed=3, trials=12, epochs=4)
    for _ in range(12):
        try:
            trial = search.ask()
        except mle.Exhausted:
            break
        search.tell(trial, trial["x"] ** 2, curve=[trial["x"] ** 2] * (trial.epochs or 0))
    told = [t for t in search.trials() if t["state"] == "complete"]
    assert told and all(search.native.contains(t["params"]) for t in told)


def test_what_is_maximised_is_told_as_it_is():
    search = mle.Strategy("grid", {"x": [1, 2, 3]}, objective="score:max")
    for trial in search.ask_many(3):
        search.tell(trial, {"score": float(trial["x"])})
    assert search.best()["params"] == {"x": 3} and search.best()["values"] == [3.0]
    with pytest.raises(mle.Exhausted):
        search.ask()


def test_grids_end_and_brackets_wait():
    search = mle.Strategy("hyperband", {"x": mle.real(0, 1)}, epochs=9, settings={"rounds": 1})
    asked, why = search.native.ask(1000)
    assert why == "wait" and all(trial["epochs"] >= 1 for trial in asked)
    with pytest.raises(mle.Waiting):
        search.ask()


def test_failures_and_odd_numbers_are_information():
    search = mle.Strategy("tpe", SPACE, seed=0)
    for at in range(40):
        trial = search.ask()
        if at % 4 == 0:
            search.tell(trial, status="failed")
        elif at % 4 == 1:
            search.tell(trial, float("nan"))
        elif at % 4 == 2:
            search.tell(trial, float("inf"))
        else:
            search.tell(trial, trial["x"] ** 2)
    assert search.best()["values"][0] >= 0.0


def test_draws_of_mle_hyperopt_are_exact():
    numpy = pytest.importorskip("numpy")
    space = {"real": {"lrate": {"begin": 0.1, "end": 0.5, "prior": "uniform"}}}
    search = mle.Strategy("random", space, seed=42, settings={"compat": "mle_hyperopt"})
    numpy.random.seed(42)
    assert [t["lrate"] for t in search.ask_many(4)] == [numpy.random.uniform(0.1, 0.5) for _ in range(4)]


def test_errors_say_what_is_wrong_and_what_to_do():
    with pytest.raises(mle.InvalidError, match='did you mean "tpe"'):
        mle.Strategy("tpee", SPACE)
    with pytest.raises(mle.InvalidError, match="x"):
        mle.Strategy("random", {"x": {"type": "real", "low": 2, "high": 1}})
    search = mle.Strategy("random", SPACE)
    with pytest.raises(mle.InvalidError, match="never asked"):
        search.tell(7, 1.0)
    with pytest.raises(mle.InvalidError, match="status"):
        search.tell(search.ask(), 1.0, status="great")
    with pytest.raises(mle.InvalidError, match="2 values"):
        search.tell(search.ask(), [1.0, 2.0])
    with pytest.raises(mle.InvalidError, match="direction"):
        mle._mle.Strategy("random", SPACE, directions=["up"])


def test_points_from_elsewhere_are_put():
    search = mle.Strategy("gp", {"x": mle.real(-5, 5)}, seed=1)
    for at in range(10):
        search.put({"x": at - 5.0}, (at - 7.0) ** 2)
    assert search.ask().number == 10
    with pytest.raises(mle.InvalidError):
        search.put({"x": 99.0}, 1.0)


def test_a_study_in_a_file_goes_on_and_can_be_replayed():
    first = mle.Study("bowl", SPACE, db="lab.db", strategy="tpe", seed=4, trials=30)
    first.optimize(lambda p: p["x"] ** 2, 12)
    again = mle.Study("bowl", SPACE, db="lab.db")
    assert again.id == first.id
    again.optimize(lambda p: p["x"] ** 2)
    assert len(again.trials()) == 30 and again.state == "closed"
    assert again.replay().different is None
    assert again.best["value"] == min(again.trials()["value"])
    assert again.top(3)["number"][0] == again.best["number"]
    with pytest.raises(mle.Exhausted):
        again.ask()
    again.extend(2)
    again.optimize(lambda p: 0.0)
    assert len(again.trials()) == 32
    with pytest.raises(mle.NotFoundError):
        mle.Study("nothing", db="lab.db")


def test_several_objectives_have_a_front():
    study = mle.Study("two", {"x": mle.real(0, 1)}, db="lab.db", strategy="nsga2", objective=["a", "b:max"], trials=20)
    study.optimize(lambda p: {"b": p["x"], "a": p["x"] ** 2})
    assert 1 <= len(study.pareto()) <= 20
    assert study.objectives == [("a", "min"), ("b", "max")]


def test_threads_and_processes_share_the_work():
    study = mle.Study("wide", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=40, workers=4)
    study.optimize(lambda p: p["x"], 20, workers=4)
    assert len(study.trials()) == 20
    study.optimize(abs_x, workers=2, processes=True)
    assert study.trials()["state"] == ["complete"] * 40


def abs_x(params):
    return abs(params["x"])


def test_an_error_is_told_and_raised_or_recorded():
    study = mle.Study("bad", {"x": mle.real(0, 1)}, db="lab.db", strategy="random")
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda p: 1 / 0, 5)
    assert study.trials()["state"] == ["failed"]
    study.optimize(lambda p: 1 / 0, 3, on_error="record")
    assert study.trials()["state"] == ["failed"] * 4

    def prune(params):
        raise mle.Pruned([3.0, 2.0])

    study.optimize(prune, 1)
    assert study.trials()["state"][-1] == "pruned" and study.trials()["curve"][-1] == [3.0, 2.0]
    with pytest.raises(mle.InvalidError, match="returned nothing"):
        study.optimize(lambda p: None, 1)
    with pytest.raises(mle.InvalidError, match="nothing ends"):
        study.optimize(lambda p: 1.0)
    with pytest.raises(mle.ConflictError, match="told already"):
        study.tell(0, 1.0)


def test_early_stopping_with_epochs():
    study = mle.Study("short", {"x": mle.real(0, 1)}, db="lab.db", strategy="halving", epochs=9,
                      settings={"configs": 9, "eta": 3, "rounds": 1}, trials=20)  # fmt: skip

    def train(trial):
        return trial["x"], [trial["x"]] * trial.epochs

    study.optimize(train)
    trials = study.trials()
    assert max(trials["epochs"]) == 9 and min(trials["epochs"]) < 9


def test_points_to_try_come_next_and_known_ones_count():
    study = mle.Study("given", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=5)
    assert study.add({"x": 0.25}, 3.0) == 0
    wanted = study.add({"x": 0.75})
    assert study.ask().number == wanted
    with pytest.raises(mle.InvalidError, match="x"):
        study.add({"x": 7.0})
    study.pause()
    with pytest.raises(mle.ConflictError, match="paused"):
        study.ask()
    study.resume()
    assert study.ask().number == 2


def test_processes_ask_one_study_and_no_trial_twice():
    mle.Study("shared", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=60)
    with open("worker.py", "w") as file:
        file.write(textwrap.dedent("""
            import mle
            mle.Study("shared", db="lab.db").optimize(lambda p: p["x"])
        """))
    workers = [subprocess.Popen([sys.executable, "worker.py"]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    study = mle.Study("shared", db="lab.db")
    assert study.trials()["number"] == list(range(60)) and set(study.trials()["state"]) == {"complete"}
    assert study.replay().different is None
    assert os.path.exists("lab.db")


def test_stoppers_end_trials_without_promise():
    rule = mle.Stopper("median", startup=2)
    others = [("complete", 1.0, [3.0, 2.0, 1.0])] * 3
    assert rule.stops([9.0, 9.0], others) and rule.stops([1.0], others) is None
    best = mle.Stopper("median", goal="max", startup=2)
    assert best.stops([9.0, 9.0], others) is None and best.stops([0.0, 0.0], others)
    with pytest.raises(mle.InvalidError, match="did you mean"):
        mle.Stopper("medain")
    with pytest.raises(mle.InvalidError, match="patience"):
        mle.Stopper("patience")
    with pytest.raises(mle.InvalidError, match="goal|neither"):
        mle.Stopper("median", goal="up")


def test_a_search_with_a_stopper_prunes():
    study = mle.Study("stop", {"x": {**mle.real(0, 1), "bins": 12}}, db="lab.db", strategy="grid")
    seen = []

    def train(trial):
        for epoch in range(5):
            trial.report(trial["x"] + 1 / (1 + epoch))
            seen.append(trial.number)
        return trial["x"]

    study.optimize(train, stopper=mle.Stopper("threshold", upper=1.5))
    trials = study.trials().rows()
    assert {t["state"] for t in trials} == {"complete", "pruned"}
    assert all((t["state"] == "pruned") == (t["params"]["x"] + 1.0 > 1.5) for t in trials)
    assert [len(t["curve"]) for t in trials if t["state"] == "pruned"] == [1] * sum(t["state"] == "pruned" for t in trials)
    assert all(len(t["curve"]) == 5 for t in trials if t["state"] == "complete")
    with pytest.raises(mle.InvalidError, match="processes"):
        study.optimize(train, stopper="median", processes=True)


def test_what_matters_is_found_and_spaces_are_edited():
    study = mle.Study("matters", {"x": mle.real(0, 1), "y": mle.real(0, 1)}, db="lab.db", strategy="random", trials=60)
    assert len(study.importance()) == 0
    study.optimize(lambda p: p["x"] ** 2 + 0.01 * p["y"])
    found = dict(zip(study.importance()["parameter"], study.importance()["alone"]))
    assert found["x"] > 0.8 > 0.2 > found["y"]
    inside, outside = study.set_space({"x": mle.real(0, 0.5), "y": mle.real(0, 1)})
    assert inside + outside == 60 and 0 < inside < 60
    other = mle.Study("other", {"x": mle.real(0, 1), "y": mle.real(0, 1)}, db="lab.db", strategy="random")
    assert len(other.warm_start(study)) == 60


def test_what_is_no_number_is_named_and_the_trial_stays_open(tmp_path):
    study = mle.Study("told", {"x": mle.real(0, 1)}, db=tmp_path / "x.db", objective=["a", "b"])
    trial = study.ask()
    for told in ("good", [1.0, "good"], {"a": 1, "b": [2]}, [1.0, 10**400]):
        with pytest.raises(mle.InvalidError, match="is no number that a trial could be told"):
            study.tell(trial, told)
    assert study.trials()["state"] == ["running"]
    study.tell(trial, [1, 2])
    assert study.trials()["state"] == ["complete"]


def test_a_study_that_goes_on_otherwise_than_asked_for_says_so(tmp_path):
    space = {"x": mle.real(0, 1)}
    mle.Study("s", space, db=tmp_path / "a.db", trials=5)
    with pytest.warns(UserWarning, match=r"trials 5, not 50.*another name begins anew"):
        mle.Study("s", space, db=tmp_path / "a.db", trials=50, objective="acc:max", strategy="random")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mle.Study("s", space, db=tmp_path / "a.db", trials=5)
        mle.Study("s", db=tmp_path / "a.db")
    with pytest.raises(mle.InvalidError, match='stands behind a metric, as in "value:max"'):
        mle.Study("t", space, db=tmp_path / "a.db", objective="maximize")


def test_a_search_whose_last_trials_nobody_told_says_so(tmp_path):
    study = mle.Study("s", {"x": mle.real(0, 1)}, db=tmp_path / "a.db", trials=2)
    study.ask_many(2)
    with pytest.warns(UserWarning, match="2 of its trials are at work"):
        study.optimize(lambda params: params["x"])
    study.extend(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(lambda params: params["x"])
