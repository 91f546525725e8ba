"""Jobs, experiments and the protocol, by the programs of the package."""

import json
import os
import sys
import textwrap

import pytest

import mle

TRAIN = """
import argparse, json, mle
parser = argparse.ArgumentParser()
parser.add_argument("-exp_dir"), parser.add_argument("-config"), parser.add_argument("-seed", type=int)
parser.add_argument("-extra", default="none")
args = parser.parse_args()
config = json.load(open(args.config))
assert mle.in_job() and mle.params() == config and mle.seed() == args.seed and mle.param("lr") == config["lr"]
with mle.Logger("elsewhere.db", experiment="not there", config={"ignored": True}) as log:
    for step in range(5):
        log.log({"loss": config["lr"] * (5 - step) + args.seed}, step=step)
    log.checkpoint({"done": True}, step=4)
print("trained with", args.extra)
"""


@pytest.fixture
def train():
    with open("train.py", "w") as file:
        file.write(TRAIN)
    for at, lr in enumerate([0.1, 0.2]):
        with open(f"config_{at}.json", "w") as file:
            json.dump({"lr": lr}, file)
    return "train.py"


def test_a_script_over_configs_and_seeds(train):
    queue = mle.Queue("lab.db", "sweep", objective="loss")
    queue.add_script(train, ["config_0.json", "config_1.json"], [0, 1], "out", extra={"extra": "more"})
    results = queue.run(workers=2)
    assert results["state"] == ["succeeded"] * 4, [queue.output(job, "stderr") for job in queue.jobs]
    assert results["value"] == pytest.approx([0.1, 1.1, 0.2, 1.2])
    assert queue.output(queue.jobs[0]) == "trained with more\n"
    db = queue.db
    assert db.experiments()["state"] == ["complete"]
    assert db.runs("sweep")["params"][2] == {"lr": 0.2} and db.runs("sweep")["name"][2] == "config_1"
    assert db.leaderboard("sweep")["mean"] == pytest.approx([0.6, 0.7])
    assert db.over_seeds(experiment="sweep", metric="loss")["loss"]["n"] == [4] * 5
    assert set(db.artifacts(run=1)["kind"]) == {"checkpoint"}
    assert not os.path.exists("elsewhere.db")


def test_jobs_fail_are_retried_wait_and_are_cancelled():
    queue = mle.Queue("lab.db")
    first, second, third = queue.add([["false"], ["sh", "-c", "echo no >&2; exit 3"], "sh -c 'echo $GREETING'"],
                                     env={"GREETING": "hi there"})  # fmt: skip
    (after,) = queue.add([["true"]], after=[third])
    (never,) = queue.add([["true"]], after=[first])
    (late,) = queue.add([["true"]], delay_s=3600)
    queue.cancel([late])
    results = {row["id"]: row for row in queue.run(workers=2).rows()}
    assert results[first]["state"] == "failed" and results[second]["exit_code"] == 3
    assert queue.output(second, "stderr") == "no\n" and queue.output(third) == "hi there\n"
    assert results[after]["state"] == "succeeded" and results[never]["state"] == "cancelled"
    assert results[late]["state"] == "cancelled"
    assert "failed" in queue.explain(first)[0][0]
    queue.retry(first)
    assert queue.open_jobs() == 2
    queue.cancel()
    assert queue.open_jobs() == 0


def test_what_cannot_be_a_job_is_refused():
    queue = mle.Queue("lab.db")
    for bad in ["", [], [[]]]:
        with pytest.raises(mle.InvalidError, match="empty"):
            queue.add([bad] if bad != [[]] else bad)
    with pytest.raises(mle.InvalidError, match="configs: there are 1 for 2"):
        queue.add([["true"], ["true"]], configs=[{}])
    with pytest.raises(mle.InvalidError, match="experiment"):
        queue.add([["true"]], configs=[{"lr": 1}])
    with pytest.raises(mle.NotFoundError):
        queue.add([["true"]], after=[99])
    assert len(queue.db.jobs()) == 0
    assert queue.add([["true"]], keys=["one"]) == queue.add([["true"]], keys=["one"])


def test_holes_of_a_command_are_filled():
    queue = mle.Queue("lab.db", "holes")
    code = "import json,sys; c=json.load(open(sys.argv[2])); print(sys.argv[1], c['lr'], sys.argv[3])"
    queue.add([[sys.executable, "-c", code, "lr={lr}", "{config}", "s={seed}"]], configs=[{"lr": 0.5}], seeds=[7], fill=True)
    assert queue.run(workers=1)["state"] == ["succeeded"]
    assert queue.output(queue.jobs[0]) == "lr=0.5 0.5 s=7\n"


def test_waiting_has_an_end():
    queue = mle.Queue("lab.db")
    queue.add([["true"]])
    with pytest.raises(TimeoutError):
        queue.wait(timeout_s=0.1)


def test_an_experiment_runs_from_a_dict_and_a_file(train):
    spec = {
        "name": "search",
        "command": [sys.executable, "-c", "import mle; log = mle.Logger(); log.log(loss=(mle.param('x') - 2) ** 2)"],
        "metric": "loss",
        "search": {"strategy": "random", "trials": 6, "space": {"x": mle.real(0, 4)}},
    }
    experiment = mle.Experiment(spec, db="lab.db")
    assert experiment.plan()["name"] == "search"
    experiment.run(workers=2)
    assert experiment.state == "complete", experiment.error
    assert len(experiment.runs()) == 6
    board = experiment.leaderboard()
    assert board["mean"] == sorted(board["mean"])
    with open("spec.yaml", "w") as file:
        file.write(textwrap.dedent("""
            name: fails
            command: "false"
        """))
    failed = mle.Experiment("spec.yaml", db="lab.db").run()
    assert failed.state == "failed" and failed.id == 2
    typo = mle.Experiment({"name": "typo", "comand": "true"}, db="lab.db")
    with pytest.raises(mle.InvalidError, match="unknown key `comand`") as caught:
        typo.run()
    assert "command" in caught.value.hint and typo.id is None
    with pytest.raises(mle.InvalidError, match="not started"):
        typo.cancel()


def test_the_protocol_is_kept():
    protocol = mle.Protocol("lab.db")
    ids = [protocol.add(f"e{at}", purpose="why", project="p", tags=["a"], extra={"at": at}) for at in range(3)]
    protocol.update(ids[0], state="running", more={"b": [1]})
    protocol.update(ids[0], state="complete", at=10)
    assert protocol.show(ids[0])["extra"] == {"at": 10, "more": {"b": [1]}}
    with pytest.raises(mle.ConflictError, match="cannot become"):
        protocol.update(ids[0], state="planned")
    protocol.tag("e1", "b", "c")
    protocol.untag("e1", "a")
    assert protocol.list(tag="b")["tags"] == [["b", "c"]]
    protocol.note("e2", "look at this")
    assert protocol.notes("e2")[0]["text"] == "look at this" and protocol.list(text="look at")["name"] == ["e2"]
    assert protocol.delete("e2") and len(protocol) == 2
    assert protocol.list(deleted=True)["name"] == ["e2"] and protocol.undelete(ids[2])
    summary = protocol.summary()
    assert summary["experiments"] == 3 and summary["states"] == {"complete": 1, "planned": 2} and summary["last"]["name"] == "e2"
    with pytest.raises(mle.NotFoundError, match="nothing"):
        protocol.show("nothing")
    with pytest.raises(mle.InvalidError):
        protocol.add("  ")
    with pytest.raises(mle.InvalidError, match="kind"):
        protocol.add("x", kind="odd")


def test_runs_are_made_by_hand():
    db = mle.open("lab.db", create=True)
    experiment = db.protocol().add("hand", objective="loss")
    db.native.set_state(experiment, "running")
    for seed in range(3):
        run = db.native.add_run(experiment, {"lr": 1}, seed=seed)
        log = mle.Logger(db, run=run, keep_open=True)
        log.log({"loss": seed})
        log.close()
        db.native.end_run(run)
    assert db.runs("hand")["value"] == [0.0, 1.0, 2.0] and db.leaderboard("hand")["mean"] == [1.0]


def test_outside_of_a_job_parameters_are_their_defaults(monkeypatch):
    assert mle.param("lr", 0.1) == 0.1 and mle.params() == {} and not mle.in_job() and mle.seed(3) == 3
    with pytest.raises(mle.NotFoundError, match="lr"):
        mle.param("lr")
    monkeypatch.setenv("MLE_PARAMS", '{"lr": 1, "net": {"width": 8}}')
    assert mle.param("lr", 0.5) == 1.0 and isinstance(mle.param("lr", 0.5), float)
    assert mle.param("net/width") == 8


def test_this_machine_and_its_workers():
    machine = mle.Resource()
    assert machine.cores >= 1 and machine.usage()["cores"] == machine.cores
    with pytest.raises(mle.InvalidError, match="local"):
        mle.Resource("mars")
    queue = mle.Queue("lab.db")
    queue.add([["true"]])
    running = machine.start_workers("lab.db", 1, stay=True)
    queue.wait(60)
    assert "worker" in set(machine.workers("lab.db")["kind"])
    with pytest.raises(TimeoutError):
        running.wait(0.05)
    assert running.stop() == 0 and running.is_over
    assert len(machine.workers("lab.db")) == 0


def test_an_experiment_is_paused_and_goes_on():
    spec = {"name": "long", "command": ["sh", "-c", "sleep 0.2"], "seeds": 8}
    experiment = mle.Experiment(spec, db="lab.db")
    running = experiment.start(workers=1)
    while experiment.runs()["state"].count("complete") < 1:
        experiment.db.wait(0.1)
    running.stop()
    assert experiment.state == "paused"
    experiment.resume(workers=2)
    assert experiment.state == "complete" and experiment.runs()["state"] == ["complete"] * 8


def test_workers_that_cannot_work_are_no_endless_wait(monkeypatch):
    queue = mle.Queue("lab.db")
    queue.add([["true"]])
    os.makedirs("bin")
    for name in ("mle", "mle-worker"):
        with open(f"bin/{name}", "w") as file:
            file.write("#!/bin/sh\necho 'no disk' >&2\nexit 71\n")
        os.chmod(f"bin/{name}", 0o755)
    monkeypatch.setenv("MLE_PROGRAMS", os.path.abspath("bin"))
    with pytest.raises(mle.FailedError, match="no disk"):
        queue.run()


def test_the_module_is_the_program():
    import subprocess

    mle.Protocol("lab.db").add("seen")
    done = subprocess.run([sys.executable, "-m", "mle", "protocol", "--db", "lab.db", "--json"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)[0]["name"] == "seen"


@pytest.mark.parametrize(
    "one", ["ls", ["python", "train.py", "--lr", "0.1"], ["sh", "train.sh"], ["python", "train.py", 3], ["python", "-c", "print(1 + 2)"]]
)
def test_one_command_is_no_list_of_commands(one):
    mle.open("lab.db", create=True)
    queue = mle.Queue("lab.db")
    with pytest.raises(mle.InvalidError, match=r"one command.*add\(\["):
        queue.add(one)
    assert queue.jobs == []
    queue.add([one])
    queue.add(["true", "sleep"])
    queue.add(["sh a.sh", "sh b.sh"])
    assert len(queue.jobs) == 5
