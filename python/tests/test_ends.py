"""How runs and trials end when their process does: by a signal, by an error, or without a word."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

import mle

LOST = "its process was lost: killed, or the machine went down"

SCRIPT = """
import os, signal, sys, time
import mle
{before}
log = mle.Logger("lab.db", name="toy", objective="loss")
{after}
for step in range(20):
    log.log(loss=float(step), step=step)
{flush}
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def nobody_stays():
    """Kill what a test started and did not end, also when it waits for ever."""
    yield
    for child in _children:
        child.kill()
    _children.clear()


_children = []


def hear_signals():
    """In the background, or under nohup, the tests ignore what their children are to hear."""
    for name in (signal.SIGHUP, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)


def start(*words, ready=1):
    """Start Python, and return its process once it said so many times that it is ready."""
    child = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
    )
    _children.append(child)
    watch = threading.Timer(60, child.kill)
    watch.start()
    for _ in range(ready):
        assert child.stdout.readline() == "ready\n", child.stderr.read()
    watch.cancel()
    return child


def ended(before="", after="", by=signal.SIGTERM):
    """Run the script until a signal ends it; return its status, what it printed, and its run."""
    child = start("-c", SCRIPT.format(before=textwrap.dedent(before), after=textwrap.dedent(after), flush=""))
    child.send_signal(by)
    said = child.communicate(timeout=60)[0]
    return child.returncode, said, mle.open("lab.db").runs().rows()[-1]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_that_ends_the_program_fails_its_run_by_name(name):
    status, _, run = ended(by=getattr(signal, name))
    assert status == -getattr(signal, name), "it ends as it would without us"
    assert run["state"] == "failed" and name in run["error"]
    db = mle.open("lab.db")
    assert db.experiments()["state"] == ["failed"]
    assert len(db.metrics(metric="loss")) == 20, "all that was logged is there"
    assert db.sql("SELECT count(*) FROM jobs").one() == 0


def test_the_handler_of_a_script_is_called_and_decides():
    # It leaves: the run failed, and the status is the script's.
    status, said, run = ended("signal.signal(signal.SIGTERM, lambda *_: (print('heard', flush=True), sys.exit(7)))")
    assert (status, said, run["state"], run["error"]) == (7, "heard\n", "failed", "ended by SIGTERM")
    # It says that it was well that way, in a block and without one: it was ended by the signal all the same.
    assert ended("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))")[2]["error"] == "ended by SIGTERM"
    # It closes the logger itself.
    _, _, run = ended("signal.signal(signal.SIGTERM, lambda *_: (log.close(), os._exit(0)))")
    assert run["state"] == "complete"
    # It is set after ours.
    status, said, run = ended(after="signal.signal(signal.SIGTERM, lambda *_: (log.fail('mine'), print('heard', flush=True), os._exit(3)))")
    assert (status, said, run["error"]) == (3, "heard\n", "mine")
    # What is ignored ends nothing.
    child = start("-c", SCRIPT.format(before="signal.signal(signal.SIGTERM, signal.SIG_IGN)", after="", flush=""))
    child.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.3)
    assert mle.open("lab.db").runs()["state"][-1] == "running"
    child.kill()
    child.communicate()


HANDLERS = """
import signal
import mle

mine = lambda *_: None
signal.signal(signal.SIGHUP, mine)
signal.signal(signal.SIGINT, signal.default_int_handler)
with mle.Logger("lab.db") as one:
    two = mle.Logger("lab.db")
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    one.close()
    assert signal.getsignal(signal.SIGHUP) is not mine, "another one is open"
    two.close()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and signal.getsignal(signal.SIGHUP) is mine
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_a_closed_logger_leaves_no_handler_behind():
    # In a process of its own: others of this one may have a logger open.
    done = subprocess.run([sys.executable, "-c", HANDLERS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_handler_that_goes_on_lets_the_script_end_its_run():
    child = start("-c", textwrap.dedent("""
        import signal, time, mle
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        with mle.Logger("lab.db") as log:
            log.log(loss=1.0)
            print("ready", flush=True)
            while not stop:
                time.sleep(0.01)
            log.log(loss=2.0)
    """))
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    db = mle.open("lab.db")
    assert db.runs()["state"] == ["complete"] and db.metrics(metric="loss")["value"] == [1.0, 2.0]


@pytest.mark.parametrize("look", ["runs", "status", "doctor", "protocol"])
def test_a_killed_process_is_noticed_by_whoever_looks(look):
    child = start("-c", SCRIPT.format(before="", after="", flush="log.flush()"))
    db = mle.open("lab.db")
    assert db.runs()["state"] == ["running"]
    child.kill()
    child.communicate()
    if look != "runs":
        words = {"status": ["status"], "doctor": ["doctor"], "protocol": ["protocol", "list"]}[look]
        done = subprocess.run([mle.program("mle"), *words, "--db", "lab.db"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert look == "doctor" or "failed" in done.stdout
    run = db.runs().rows()[0]
    assert (run["state"], run["error"], run["value"]) == ("failed", LOST, None)
    assert db.experiments()["state"] == ["failed"] and db.experiments()["error"] == [LOST]
    assert db.sql("SELECT (SELECT count(*) FROM process) + (SELECT count(*) FROM held_run)").one() == 0


def test_a_run_that_another_process_went_on_with_is_not_ended_by_the_first_ones_death():
    first = start("-c", SCRIPT.format(before="", after="", flush="log.flush()"))
    log = mle.Logger("lab.db", run=1)
    first.kill()
    first.communicate()
    assert log.db.runs()["state"] == ["running"]
    log.log(loss=0.5, step=100)
    log.close()
    assert log.db.runs()["state"] == ["complete"] and log.db.runs()["value"] == [0.5]


def test_a_run_that_was_lost_can_be_gone_on_with():
    child = start("-c", SCRIPT.format(before="", after="", flush="log.flush()"))
    child.kill()
    child.communicate()
    db = mle.open("lab.db")
    assert db.runs()["state"] == ["failed"]
    with mle.Logger("lab.db", run=1) as log:
        assert db.runs()["state"] == ["running"] and db.experiments()["state"] == ["running"]
        log.log(loss=0.5, step=100)
    assert db.runs()["state"] == ["complete"] and db.runs()["error"] == [None] and db.runs()["value"] == [0.5]
    assert db.experiments()["state"] == ["complete"] and len(db.metrics(metric="loss")) == 21


def test_the_end_of_a_forked_child_is_not_the_end_of_the_run():
    log = mle.Logger("lab.db")
    context = multiprocessing.get_context("fork")
    for by in (signal.SIGTERM, signal.SIGKILL):
        child = context.Process(target=log_for_ever, args=(log,))
        child.start()
        while log.db.sql("SELECT count(*) FROM points WHERE metric = 'child'").one() == 0:
            time.sleep(0.01)
        os.kill(child.pid, by)
        child.join(60)
        assert child.exitcode == -by
        assert log.db.runs()["state"] == ["running"], by
        log.log(parent=1.0)
    log.close()
    db = mle.open("lab.db")
    assert db.runs()["state"] == ["complete"] and len(db.metrics(metric="parent")) == 2


def log_for_ever(log):
    while True:
        log.log(child=1.0)
        log.flush()
        time.sleep(0.01)


def test_a_run_with_one_experiment_of_several_ends_alone():
    child = start("-c", SCRIPT.format(before="", after="", flush="log.flush()").replace('name="toy"', 'experiment="shared"'))
    log = mle.Logger("lab.db", experiment="shared")
    child.kill()
    child.communicate()
    assert log.db.runs()["state"] == ["failed", "running"] and log.db.experiments()["state"] == ["running"]
    log.close()
    assert log.db.runs()["state"] == ["failed", "complete"] and log.db.experiments()["state"] == ["complete"]


# Experiments by name


def test_loggers_of_one_name_share_an_experiment():
    with mle.Logger("lab.db", experiment="digits", config={"lr": 0.1}, objective="loss") as log:
        log.log(loss=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log = mle.Logger("lab.db", experiment="digits", config={"lr": 0.2}, objective="loss")
    with log:
        log.log(loss=0.25)
    with pytest.warns(UserWarning, match="is valued by loss:min; the objective given here is left out"):
        mle.Logger("lab.db", experiment="digits", objective="accuracy:max").fail("not this one")
    db = mle.open("lab.db")
    assert db.experiments()["name"] == ["digits"] and db.runs()["experiment_id"] == [1, 1, 1]
    assert db.leaderboard("digits")["mean"] == [0.25, 0.5]
    assert db.experiments()["script_name"] is not None
    for missing in (7, "7", db.experiments()["uid"][0][:-1] + "x"):
        with pytest.raises(mle.Error):
            mle.Logger("lab.db", experiment=missing)
    with pytest.raises(mle.InvalidError, match="empty"):
        mle.Logger("lab.db", experiment="")
    assert len(db.experiments()) == 1


def test_processes_that_begin_at_once_share_an_experiment():
    text = "import mle, sys\nwith mle.Logger('lab.db', experiment='one', seed=int(sys.argv[1]), objective='loss') as log: log.log(loss=1.0)"
    children = [subprocess.Popen([sys.executable, "-c", text, str(seed)]) for seed in range(6)]
    assert [child.wait(60) for child in children] == [0] * 6
    db = mle.open("lab.db")
    assert db.experiments()["name"] == ["one"] and db.experiments()["state"] == ["complete"]
    assert sorted(db.runs()["seed"]) == list(range(6)) and set(db.runs()["state"]) == {"complete"}


def test_of_several_with_a_name_the_shell_says_which_it_took():
    for loss in (3.0, 2.0, 1.0):
        with mle.Logger("lab.db", name="toy", objective="loss") as log:
            log.log(loss=loss)
    mle_ = mle.program("mle")
    done = subprocess.run([mle_, "leaderboard", "toy", "--db", "lab.db"], capture_output=True, text=True)
    assert done.stderr == 'experiment 3 is the latest of 3 named "toy"; ids of the others: 2, 1\n'
    assert subprocess.run([mle_, "leaderboard", "2", "--db", "lab.db"], capture_output=True, text=True).stderr == ""


# Trials

SEARCH = """
import os, sys, time
import mle
study = mle.Study("toy", {{"x": (0.0, 1.0)}}, db="lab.db", trials=4, strategy="random"{more})
def work(params):
    os.write(1, b"ready\\n")
    while True:
        time.sleep(0.01)
if __name__ == "__main__":
    study.optimize(work, workers={workers}, processes={processes})
"""


def search(workers=1, processes=False, more=""):
    """Start a search whose trials do not end, and return its process once as many as it does at once are at work."""
    with open("search.py", "w") as file:
        file.write(SEARCH.format(workers=workers, processes=processes, more=more))
    return start("search.py", ready=workers)


def test_the_trials_of_a_killed_search_are_handed_out_once_more():
    child = search(workers=2)
    child.kill()
    child.communicate()
    study = mle.Study("toy", db="lab.db")
    asked = study.trials()["params"]
    assert study.trials()["state"] == ["running"] * 2
    for words in (["doctor"], ["status"], ["study", "show", "toy"]):
        done = subprocess.run([mle.program("mle"), *words, "--db", "lab.db"], capture_output=True, text=True)
        assert f"process {child.pid} is gone that tried trial 0, 1 of toy" in done.stdout, done.stdout
        assert (done.returncode == 1) == (words == ["doctor"])
    tried = []
    study.optimize(lambda params: tried.append(params) or params["x"])
    assert tried[:2] == asked, "they come first"
    assert study.trials()["state"] == ["complete"] * 4 and study.state == "closed"
    assert study.replay().different is None
    assert study.db.sql("SELECT (SELECT count(*) FROM process) + (SELECT count(*) FROM held_trial)").one() == 0


def test_a_trial_that_ended_two_processes_has_failed():
    for _ in range(2):
        child = search()
        child.kill()
        child.communicate()
    study = mle.Study("toy", db="lab.db")
    assert study.trials()["state"] == ["running"], "the second one tried the same"
    study.optimize(lambda params: params["x"])
    trials = study.trials()
    assert trials["state"] == ["failed"] + ["complete"] * 3
    assert trials["extra"][0]["error"] == "the processes that tried it were lost, twice"


def test_trials_that_were_asked_for_by_hand_stay_at_work():
    text = "import mle\nmle.Study('toy', {'x': (0.0, 1.0)}, db='lab.db', trials=2).ask()"
    subprocess.run([sys.executable, "-c", text], check=True)
    study = mle.Study("toy", db="lab.db")
    study.optimize(lambda params: params["x"])
    assert study.trials()["state"] == ["running", "complete"]
    study.tell(0, 1.0)
    assert study.state == "closed"


@pytest.mark.parametrize("processes", [False, True])
def test_ctrl_c_says_what_it_waits_for_and_a_second_one_ends_at_once(processes):
    child = search(workers=2, processes=processes)
    child.send_signal(signal.SIGINT)
    assert child.stderr.readline() == (
        "interrupted: study 'toy' waits for trials 0, 1 to end; Ctrl-C again ends at once, and they have failed\n"
    )
    study = mle.Study("toy", db="lab.db")
    assert study.trials()["state"] == ["running"] * 2
    child.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in child.communicate(timeout=60)[1] and child.returncode != 0
    assert study.trials()["state"] == ["failed"] * 2
    assert [extra["error"] for extra in study.trials()["extra"]] == ["interrupted"] * 2


def test_ctrl_c_with_one_worker_fails_its_trial():
    child = search()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    trials = mle.Study("toy", db="lab.db").trials()
    assert trials["state"] == ["failed"] and trials["extra"][0]["error"] == "interrupted"


def die_by(params):
    """Be killed above 0.5."""
    if params["x"] > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
    return params["x"]


def die_once(params):
    mark = f"tried-{params['x']:.6f}"
    if not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return params["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_dead_process_costs_its_own_trial_alone():
    study = mle.Study("deadly", {"x": {**mle.real(0, 1), "bins": 10}}, db="lab.db", strategy="grid")
    study.optimize(die_by, workers=2, processes=True, on_error="record")
    trials = study.trials().rows()
    assert len(trials) == 10
    for trial in trials:
        assert trial["state"] == ("failed" if trial["params"]["x"] > 0.5 else "complete")
        assert (trial["extra"] or {}).get("error") == ("its process died (killed, or out of memory)" if trial["params"]["x"] > 0.5 else None)
    once = mle.Study("once", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=3)
    once.optimize(die_once, workers=1, processes=True)
    assert once.trials()["state"] == ["complete"] * 3
    other = mle.Study("raises", {"x": mle.real(0.6, 1)}, db="lab.db", strategy="random", trials=4)
    with pytest.raises(mle.FailedError, match="its process died"):
        other.optimize(die_by, workers=2, processes=True)
    assert "running" not in other.trials()["state"]


LONG = """
import multiprocessing, os, sys, time
import mle

def train(params):
    with open(f"child-{os.getpid()}", "w"):
        pass
    time.sleep(600)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    study = mle.Study("left", {"x": mle.real(0, 1)}, db="lab.db", strategy="random", trials=8)
    print("ready", flush=True)
    study.optimize(train, workers=2, processes=True)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_searches(method, by):
    with open("search.py", "w") as file:
        file.write(LONG)
    parent = start("search.py", method)

    def pids():
        return [name[6:] for name in os.listdir(".") if name.startswith("child-")]

    def are_gone():
        states = []
        for pid in pids():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    states.append(file.read().rpartition(")")[2].split()[0])
            except OSError:
                pass
        return not set(states) - {"Z", "X"}

    wait_until(lambda: len(pids()) == 2)
    parent.send_signal(by)
    parent.wait()
    wait_until(are_gone)


def wait_until(it_is):
    for _ in range(3000):
        if it_is():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")
