"""What is meant otherwise, or cannot be meant, is said with the next step as one takes it in Python."""

import os
import warnings

import pytest

import mle


def parabola(params):
    return params["x"] ** 2


def test_a_file_that_is_not_there_is_no_file():
    with pytest.raises(mle.NotFoundError, match=r"typo\.db.*create=True"):
        mle.open("typo.db")
    with pytest.raises(mle.NotFoundError):
        mle.Study("toy", db="typo.db")
    with pytest.raises(mle.NotFoundError):
        mle.Resource().workers("typo.db")
    assert not os.path.exists("typo.db")
    mle.open("new.db", create=True).close()
    mle.Queue("queue.db"), mle.Study("toy", {"x": (0.0, 1.0)}, db="study.db"), mle.Protocol("protocol.db")
    assert {"new.db", "queue.db", "study.db", "protocol.db"} <= set(os.listdir("."))
    open("empty.db", "w").close()
    with pytest.raises(mle.WrongFileError, match="create=True"):
        mle.open("empty.db")


def test_a_closed_file_answers_nothing():
    with mle.open("x.db", create=True) as db:
        assert len(db.experiments()) == 0
    for ask in (db.experiments, lambda: db.protocol().add("a"), lambda: db.sql("SELECT 1"), lambda: mle.Study("a", {"x": [1]}, db=db)):
        with pytest.raises(mle.ConflictError, match=r"x\.db was closed; mle\.open\(path\)"):
            ask()
    db.close()
    assert len(mle.open("x.db").experiments()) == 0


def test_a_pair_of_numbers_is_a_range_and_a_list_a_choice():
    space = {"lr": (1e-4, 1e-1), "n": (1, 8), "mix": (0, 1.0), "batch": [32, 64], "act": ("relu", "tanh"), "flag": (True, False), "three": (1, 2, 3)}
    found = mle.Strategy("random", space).space
    assert {name: entry["type"] for name, entry in found.items()} == {
        "lr": "real", "n": "integer", "mix": "real", "batch": "categorical", "act": "categorical", "flag": "categorical",
        "three": "categorical",
    }  # fmt: skip
    assert (found["lr"]["low"], found["lr"]["high"]) == (1e-4, 1e-1) and (found["n"]["low"], found["n"]["high"]) == (1, 8)
    study = mle.Study("toy", {"x": (0.0, 1.0)}, db="x.db")
    study.set_space({"x": (0.25, 0.5)})
    assert all(0.25 <= trial.params["x"] <= 0.5 for trial in study.ask_many(5))
    with pytest.raises(mle.InvalidError, match="low 2.*above high 1"):
        mle.Strategy("random", {"x": (2, 1)})
    spec = {"name": "e", "command": ["true"], "search": {"strategy": "random", "trials": 2, "space": {"x": (0.0, 1.0)}}}
    assert mle.Experiment(spec, db="e.db").plan()["search"]["space"]["x"]["type"] == "real"
    # mle-hyperopt's dicts mean what they meant.
    peer = {"categorical": {"a": (1, 2)}, "real": {"b": {"begin": 0.0, "end": 1.0, "prior": "uniform"}}}
    assert mle.Strategy("random", peer).space["a"]["type"] == "categorical"


def test_another_space_for_a_study_that_is_there_is_said():
    space = {"x": (0.0, 1.0), "y": [1, 2]}
    mle.Study("toy", space, db="x.db", constraints=["x < y"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mle.Study("toy", {"x": mle.real(0, 1), "y": mle.choice([1, 2])}, db="x.db", constraints=["x < y"])
    with pytest.warns(UserWarning, match="'toy' is there already and goes on with the space it has, not the one given"):
        mle.Study("toy", {**space, "x": (0.0, 2.0)}, db="x.db", constraints=["x < y"])
    with pytest.warns(UserWarning, match="the space it has"):
        mle.Study("toy", space, db="x.db")


def test_a_config_is_a_dict_or_a_file():
    with pytest.raises(mle.InvalidError, match=r"config: 'foo' is no file \(config=\{…\}, or the path of a YAML, JSON or TOML file\)"):
        mle.Logger("x.db", config="foo")
    with pytest.raises(mle.InvalidError, match="config: list is no dict"):
        mle.Logger("x.db", config=[1])
    with open("base.yaml", "w") as file:
        file.write("lr: 0.1\ndeep: {n: 2}\n")
    with mle.Logger("x.db", config="base.yaml") as log:
        assert log.config == {"lr": 0.1, "deep": {"n": 2}}
    with open("list.yaml", "w") as file:
        file.write("- 1\n")
    with pytest.raises(mle.InvalidError, match="list.yaml"):
        mle.Logger("x.db", config="list.yaml")


def test_a_checkpoint_whose_library_is_missing_names_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with mle.Logger("x.db") as log:
        log.checkpoint(b"bytes", name="model.pt")
        with pytest.raises(mle.InvalidError, match=r"'model\.pt' needs torch.*latest_checkpoint\(\)"):
            log.restore()
        assert log.latest_checkpoint()[0] == b"bytes"


def test_functions_that_other_processes_cannot_import_are_refused():
    study = mle.Study("toy", {"x": (0.0, 1.0)}, db="x.db", trials=2)

    def local(params):
        return 0.0

    for function in (lambda params: 0.0, local):
        with pytest.raises(mle.InvalidError, match="cannot import .*(lambda|local).*top of a module"):
            study.optimize(function, processes=True)
    assert len(study.trials()) == 0
    study.optimize(parabola, processes=True)
    assert study.trials()["state"] == ["complete"] * 2


def test_a_function_that_returns_nothing_is_told_so():
    study = mle.Study("toy", {"x": (0.0, 1.0)}, db="x.db", trials=2)
    with pytest.raises(mle.InvalidError, match="trial 0: the function returned nothing .*return a number"):
        study.optimize(lambda params: None)
    assert "returned nothing" in study.trials()["extra"][0]["error"]


def test_of_several_objectives_none_is_best():
    study = mle.Study("two", {"x": (0.0, 1.0)}, db="x.db", objective=["a", "b"], trials=3, strategy="random")
    study.optimize(lambda params: (params["x"], -params["x"]))
    with pytest.raises(mle.InvalidError, match=r"\(a, b\).*study\.pareto\(\)"):
        study.best
    assert len(study.pareto()) == 3


def test_a_replay_says_what_it_found():
    study = mle.Study("toy", {"x": (0.0, 1.0)}, db="x.db", trials=3, strategy="random")
    study.add({"x": 0.5}, 0.25)
    study.optimize(parabola)
    found = study.replay()
    assert (found.identical, found.added, found.different) == (3, 1, None)
    assert repr(found) == "identical: 3 proposals (1 trial was added, not proposed)"


@pytest.mark.parametrize("ask", [
    lambda db: db.leaderboard("nothing"),
    lambda db: db.config(9),
    lambda db: db.queue().cancel([9]),
    lambda db: mle.Study("nothing", db=db),
    lambda db: db.report("nothing"),
])  # fmt: skip
def test_hints_are_calls(ask):
    db = mle.open("x.db", create=True)
    with pytest.raises(mle.NotFoundError) as caught:
        ask(db)
    hint = caught.value.hint or ""
    assert "`mle " not in hint and "--" not in hint
    assert "db." in hint
