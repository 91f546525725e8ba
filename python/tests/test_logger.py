"""Logging: what is logged is in the file, also from children, threads and processes that die."""

import argparse
import dataclasses
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import mle


def values(db, metric, run=None):
    return mle.open(db).metrics(run=run, metric=metric)["value"]


def test_all_kinds_of_values_are_kept():
    with mle.Logger("lab.db", config={"lr": 0.1, "deep": {"layers": [1, 2]}}, seed=3, objective="acc:max") as log:
        log.log({"loss": 0.5, "acc": 1}, step=0)
        log.log(loss=float("nan"), acc=2, step=1)
        log.log({"loss": float("inf")}, 2, acc=3)
        log.log({"nested": {"a": 1, "b": {"c": 2.5}}, "words": "hello", "list": [1, [2, 3]]}, step=3)
        log.vector("v", range(3), step=4)
        log.histogram("h", [0, 1, 1, 2], bins=2, step=4)
        log.text("note", "ünïcode <b>", step=5)
    db = mle.open("lab.db")
    assert db.runs().rows()[0]["state"] == "complete"
    assert db.runs()["value"] == [3.0]
    assert db.config(1) == {"lr": 0.1, "deep": {"layers": [1, 2]}}
    loss = db.metrics(metric="loss")
    assert loss["step"] == [0, 1, 2]
    assert loss["value"][0] == 0.5 and loss["value"][1] != loss["value"][1] and loss["value"][2] == float("inf")
    assert values("lab.db", "nested/b/c") == [2.5]
    assert db.native.vectors(1, "list") == ([3], [[1, [2, 3]]])
    assert db.native.vectors(1, "h") == ([4], [[[0.0, 1.0, 2.0], [1, 3]]])
    assert db.native.texts(1, "note") == ([5], ["ünïcode <b>"])
    assert db.metrics(run=1, metric="acc")["value"] == [1.0, 2.0, 3.0]


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    with mle.Logger("lab.db") as log:
        log.log({"a": numpy.float32(0.5), "b": numpy.int64(3), "c": numpy.array(2.0), "d": numpy.arange(4).reshape(2, 2)})
    assert values("lab.db", "a") == [0.5] and values("lab.db", "b") == [3.0] and values("lab.db", "c") == [2.0]
    assert mle.open("lab.db").native.vectors(1, "d") == ([0], [[[0, 1], [2, 3]]])


@pytest.mark.parametrize("bad", [None, object(), {"deep": object()}, [1, object()]])
def test_what_is_no_value_is_refused_by_name(bad):
    with mle.Logger("lab.db") as log:
        with pytest.raises(TypeError, match="metric odd"):
            log.log({"odd": bad})
        log.log({"fine": 1})
    assert mle.open("lab.db").summary()["metric"] == ["fine"]


def test_a_value_of_another_kind_is_left_out_with_a_warning():
    log = mle.Logger("lab.db")
    log.log({"x": 1.0})
    log.log({"x": "text", "y": 2.0})
    with pytest.warns(RuntimeWarning, match="x"):
        log.close()
    assert values("lab.db", "x") == [1.0] and values("lab.db", "y") == [2.0]


def test_names_that_change_places_and_many_of_them():
    with mle.Logger("lab.db") as log:
        for step in range(50):
            names = [f"m{(step + i) % 40}" for i in range(40)]
            log.log({name: step for name in names}, step=step)
        with pytest.raises(TypeError, match="name of a metric"):
            log.log({3: 1.0})
        with pytest.raises(mle.InvalidError, match="empty"):
            log.log({"": 1.0})
    assert all(values("lab.db", f"m{i}") == list(range(50)) for i in (0, 17, 39))


def test_a_clock_is_the_step_while_it_is_whole():
    with mle.Logger("lab.db") as log:
        for step in range(3):
            log.update({"num_steps": 10 * step}, {"loss": step})
    assert mle.open("lab.db").metrics(metric="loss")["step"] == [0, 10, 20]
    with pytest.raises(mle.ConflictError, match="closed"):
        log.log({"loss": 1})


def test_an_exception_makes_the_run_fail():
    with pytest.raises(ZeroDivisionError):
        with mle.Logger("lab.db") as log:
            log.log({"x": 1})
            1 / 0
    run = mle.open("lab.db").runs().rows()[0]
    assert (run["state"], run["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert values("lab.db", "x") == [1.0]


def script(text, *words, check=True):
    path = os.path.abspath("script.py")
    with open(path, "w") as file:
        file.write(textwrap.dedent(text))
    return subprocess.run([sys.executable, path, *words], check=check, stdout=subprocess.PIPE, text=True).stdout


def test_the_end_of_a_program_ends_its_run():
    script("import mle\nlog = mle.Logger('lab.db')\nlog.log({'x': 1})\n")
    script("import mle\nlog = mle.Logger('lab.db')\nlog.log({'x': 2})\nraise ValueError('no')\n", check=False)
    runs = mle.open("lab.db").runs()
    assert runs["state"] == ["complete", "failed"] and runs["error"] == [None, "ValueError: no"]
    assert values("lab.db", "x") == [1.0, 2.0]
    assert mle.open("lab.db").experiments()["script_name"] == [os.path.abspath("script.py")] * 2


def test_sync_is_in_the_file_at_once():
    log = mle.Logger("lab.db", sync=True)
    for step in range(20):
        log.log({"x": step})
        assert len(values("lab.db", "x")) == step + 1
    log.close()


def test_threads_log_all_they_log():
    with mle.Logger("lab.db") as log:

        def work(name):
            for step in range(500):
                log.log({name: step})

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert all(values("lab.db", f"t{i}") == list(range(500)) for i in range(4))


def test_forked_children_log_to_the_same_run():
    log = mle.Logger("lab.db")
    db = mle.open("lab.db")
    assert len(db.runs()) == 1
    children = []
    for child in range(8):
        log.log({"parent": child})
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for step in range(200):
                    log.log({f"child{child}": step})
                log.close()
                code = 0 if len(db.runs()) == 1 else 2
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert db.runs()["state"] == ["running"]
    log.log({"parent": 8})
    log.close()
    assert sorted(values("lab.db", "parent")) == list(range(9))
    for child in range(8):
        assert sorted(values("lab.db", f"child{child}")) == list(range(200))
    assert db.runs()["state"] == ["complete"]


def log_in_process(log, child):
    for step in range(100):
        log.log({f"p{child}": step})


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_flush_at_their_end(method):
    context = multiprocessing.get_context(method)
    log = mle.Logger("lab.db")
    children = [context.Process(target=log_in_process, args=(log, child)) for child in range(3)]
    [child.start() for child in children]
    [child.join() for child in children]
    assert [child.exitcode for child in children] == [0, 0, 0]
    log.close()
    assert all(sorted(values("lab.db", f"p{child}")) == list(range(100)) for child in range(3))
    assert mle.open("lab.db").runs()["state"] == ["complete"]


def test_forks_while_threads_use_the_file():
    db = mle.open("lab.db", create=True)
    experiment = db.protocol().add("busy")
    stop = threading.Event()

    def work():
        at = 0
        while not stop.is_set():
            db.native.update_extra(experiment, {"at": at})
            db.experiments()
            at += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads]
    statuses = []
    for _ in range(30):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                db.native.update_extra(experiment, {str(os.getpid()): True})
                code = 0
            finally:
                os._exit(code)
        statuses.append(os.waitpid(pid, 0)[1])
    stop.set()
    [thread.join() for thread in threads]
    assert statuses == [0] * 30
    assert len(db.protocol().show(experiment)["extra"]) == 31


def test_a_killed_process_loses_only_what_was_not_flushed():
    path = os.path.abspath("lab.db")
    log = mle.Logger(path)
    children = []
    for child in range(8):
        pid = os.fork()
        if pid == 0:
            for step in range(1000):
                log.log({f"c{child}": step}, step=step)
            log.flush()
            with open(f"flushed{child}", "w"):
                pass
            step = 1000
            while True:
                log.log({f"c{child}": step}, step=step)
                step += 1
        children.append(pid)
    db = mle.open(path)
    while not all(os.path.exists(f"flushed{child}") for child in range(8)):
        db.wait(0.05)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    log.close()
    assert db.sql("SELECT count(*) FROM runs").one() == 1
    for child in range(8):
        found = values(path, f"c{child}")
        assert len(found) >= 1000 and found == list(range(len(found)))
    check = subprocess.run(["sqlite3", path, "PRAGMA integrity_check"], stdout=subprocess.PIPE, text=True)
    assert check.stdout.strip() == "ok"


def log_until_told(log, child, noted):
    """Log step after step, and note how many calls returned, and how many updates are flushed, until `noted[16]` says stop."""
    step = 0
    while not noted[16]:
        log.log({f"c{child}": step, "all": child}, step=step)
        step += 1
        noted[child] = step
        if step % 50 == 0:
            log.flush()
            noted[8 + child] = step


@pytest.mark.parametrize("sync", [False, True])
def test_some_of_eight_children_are_killed_while_the_others_log(sync):
    context = multiprocessing.get_context("fork")
    # Without a lock, which a killed child might hold.
    noted = context.RawArray("q", 17)
    log = mle.Logger("lab.db", sync=sync)
    log.log({"parent": 0})
    children = [context.Process(target=log_until_told, args=(log, child, noted)) for child in range(8)]
    [child.start() for child in children]

    def wait_for(more, of):
        wanted = [noted[child] + more for child in of]
        while any(noted[child] < n for child, n in zip(of, wanted)):
            assert all(children[child].is_alive() for child in of)
            time.sleep(0.001)

    wait_for(100, range(8))
    for child in children[:3]:
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    log.log({"parent": 1})
    wait_for(100, range(3, 8))
    noted[16] = 1
    [child.join() for child in children]
    assert [child.exitcode for child in children] == [-signal.SIGKILL] * 3 + [0] * 5
    log.log({"parent": 2})
    log.close()
    assert sorted(values("lab.db", "parent")) == [0, 1, 2]
    for child in range(8):
        found = values("lab.db", f"c{child}")
        assert found == list(range(len(found))), "whole, in order, none twice"
        if child >= 3 or sync:
            # A call that had not returned may be in the file all the same.
            assert noted[child] <= len(found) <= noted[child] + 1
        else:
            assert noted[8 + child] <= len(found) <= noted[child] + 1, "only what was not flushed is missing"
    check = subprocess.run(["sqlite3", "lab.db", "PRAGMA integrity_check"], stdout=subprocess.PIPE, text=True)
    assert check.stdout.strip() == "ok"
    assert mle.open("lab.db").runs()["state"] == ["complete"]


def test_a_killed_sync_logger_has_lost_nothing_whoever_looks():
    code = """
        import mle
        log = mle.Logger("lab.db", sync=True)
        step = 0
        while True:
            log.log({"x": step})
            step += 1
            print(step, flush=True)
    """
    with open("script.py", "w") as file:
        file.write(textwrap.dedent(code))
    child = subprocess.Popen([sys.executable, "script.py"], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if int(line) >= 300:
            break
    child.kill()
    said = [int(line) for line in child.stdout.read().split()]
    child.wait()
    found = values("lab.db", "x")
    assert len(found) >= (said[-1] if said else 300) and found == list(range(len(found)))
    assert mle.open("lab.db").sql("SELECT count(*) FROM tail").one() == 0


def test_sync_takes_all_kinds_and_many_threads():
    with mle.Logger("lab.db", sync=True) as log:
        log.log({"a": 1, "text": "words", "v": [1, 2]}, step=3)
        log.log({"a": float("nan")})
        log.update({"num_steps": 10}, {"a": float("-inf")})
        with pytest.raises(mle.InvalidError, match="empty"):
            log.log({"": 1.0})

        def work(name):
            for step in range(100):
                log.log({name: step})

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    found = mle.open("lab.db").metrics(metric="a")
    assert found["step"] == [3, 4, 10] and found["value"][2] == float("-inf") and found["value"][1] != found["value"][1]
    assert mle.open("lab.db").native.texts(1, "text") == ([3], ["words"])
    assert all(values("lab.db", f"t{i}") == list(range(100)) for i in range(4))


def test_a_pickled_logger_goes_on_with_the_run_and_leaves_its_end():
    log = mle.Logger("lab.db")
    again = pickle.loads(pickle.dumps(log))
    assert again.run_id == log.run_id
    again.log({"x": 1})
    again.close()
    assert mle.open("lab.db").runs()["state"] == ["running"]
    log.close()
    assert values("lab.db", "x") == [1.0]


def test_artifacts_tables_images_and_checkpoints():
    with open("weights.bin", "wb") as file:
        file.write(b"\0" * 1000)
    with mle.Logger("lab.db") as log:
        first = log.artifact("weights.bin")
        assert log.db.artifact(first) == b"\0" * 1000
        assert log.db.artifact(log.artifact(b"abc", "x.txt")) == b"abc"
        table = log.table("t", [{"a": 1, "b": "x"}, {"a": 2}], step=3)
        assert log.db.artifact(table) == b'{"columns": ["a", "b"], "rows": [[1, "x"], [2, null]]}'
        with pytest.raises(mle.InvalidError, match="column names"):
            log.table("t", [[1, 2]])
        with pytest.raises(mle.InvalidError, match="no name"):
            log.artifact(b"abc")
        with pytest.raises(mle.Error):
            log.artifact("not there.bin")
        assert log.latest_checkpoint() is None
        for step in range(5):
            roles = log.checkpoint({"step": step}, step=step, value=abs(step - 2), top_k=2, every_k=2)
        assert [role for role, _ in roles] == ["final"]
        data, step = log.latest_checkpoint()
        assert pickle.loads(data) == {"step": 4} and step == 4
    kept = mle.open("lab.db").artifacts(run=1)
    assert sorted(s for s, role in zip(kept["step"], kept["role"]) if role == "top_k") == [1, 2]


def test_images_are_png():
    numpy = pytest.importorskip("numpy")
    with mle.Logger("lab.db") as log:
        found = log.image("grey", numpy.linspace(0, 1, 6).reshape(2, 3))
        assert log.db.artifact(found).startswith(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(mle.InvalidError, match="shape"):
            log.image("bad", numpy.zeros((2, 3, 5)))


def test_a_logger_adds_runs_to_an_experiment():
    with mle.Logger("lab.db", name="sweep", config={"lr": 1}) as log:
        log.log({"x": 1})
    for seed in range(2):
        with mle.Logger("lab.db", experiment="sweep", config={"lr": 2}, seed=seed) as log:
            log.log({"x": seed})
    assert len(mle.open("lab.db").experiments()) == 1
    assert mle.open("lab.db").runs("sweep")["seed"] == [0, 0, 1]


def test_without_a_file_it_says_how_to_name_one():
    with pytest.raises(mle.InvalidError, match="MLE_DB"):
        mle.Logger()


class Slow:
    """A number whose conversion lets other threads run, as those on a GPU do."""

    def __float__(self):
        import time

        time.sleep(0.001)
        return 1.0


def test_numbers_that_take_their_time_block_nobody():
    with mle.Logger("lab.db") as log:

        def work(name):
            for _ in range(50):
                log.log({name: Slow()})

        threads = [threading.Thread(target=work, args=(f"t{i}",), daemon=True) for i in range(4)]
        [thread.start() for thread in threads]
        [thread.join(60) for thread in threads]
        assert not any(thread.is_alive() for thread in threads)
    assert all(values("lab.db", f"t{i}") == [1.0] * 50 for i in range(4))


def test_a_number_may_log_itself():
    log = mle.Logger("lab.db")

    class Nested:
        def __float__(self):
            log.log({"inner": 2.0})
            return 1.0

    log.log({"outer": Nested()})
    log.close()
    assert values("lab.db", "inner") == [2.0] and values("lab.db", "outer") == [1.0]


def test_threads_that_fork_at_once_do_not_wait_for_each_other():
    db = mle.open("lab.db", create=True)
    experiment = db.protocol().add("forks")
    log = mle.Logger("lab.db", experiment=experiment)
    statuses = []

    def work(name):
        for step in range(10):
            db.native.update_extra(experiment, {name: step})
            log.log({name: step})
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = 0 if db.protocol().show(experiment)["extra"][name] == step else 2
                finally:
                    os._exit(code)
            statuses.append(os.waitpid(pid, 0)[1])

    threads = [threading.Thread(target=work, args=(f"t{i}",), daemon=True) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join(120) for thread in threads]
    assert not any(thread.is_alive() for thread in threads)
    assert statuses == [0] * 40
    log.close()
    assert all(values("lab.db", f"t{i}") == list(range(10)) for i in range(4))


def test_a_number_that_is_too_large_and_a_closed_logger_are_named(tmp_path):
    logger = mle.Logger(tmp_path / "x.db")
    for row in ({"loss": 10**400}, {"train": {"loss": 10**400}}):
        with pytest.raises(OverflowError, match="loss: a whole number is too large for a float"):
            logger.log(row)
    logger.log({"loss": 10**300})
    logger.close()
    with pytest.raises(mle.ConflictError, match="logger of this run is closed"):
        logger.log({"loss": 1})
    assert mle.open(tmp_path / "x.db").sql("SELECT value FROM points")["value"] == [1e300]


def test_a_full_disk_is_said_with_the_file_and_keeps_what_was_committed(tmp_path):
    disk = tmp_path / "small"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("only the superuser can make a small disk")
    try:
        script = "\n".join([
            "import mle, sys",
            "logger = mle.Logger(sys.argv[1])",
            "try:",
            "    for step in range(10**6):",
            "        logger.log({'a': step, 'b': step})",
            "except mle.FailedError as error:",
            "    print(error)",
            "try:",
            "    logger.close()",
            "except mle.FailedError as error:",
            "    print(error)",
        ])  # fmt: skip
        done = subprocess.run([sys.executable, "-c", script, disk / "x.db"], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        assert lines and all("x.db: " in line and "free some disk space" in line for line in lines), done
        db = mle.open(disk / "x.db")
        assert db.sql("SELECT count(*) FROM points").one() > 1000
        assert db.sql("SELECT count(*) FROM metrics").one() == 2
        db.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@dataclasses.dataclass
class Inner:
    width: int = 3


@dataclasses.dataclass
class Options:
    lr: float = 0.1
    inner: Inner = dataclasses.field(default_factory=Inner)


def test_a_config_may_be_a_namespace_or_a_dataclass():
    with mle.Logger("lab.db", config=argparse.Namespace(lr=0.1, name="a")) as log:
        assert log.config == {"lr": 0.1, "name": "a"}
    with mle.Logger("lab.db", config=Options()) as log:
        assert log.config == {"lr": 0.1, "inner": {"width": 3}}
    with pytest.raises(mle.InvalidError, match="is no dict"):
        mle.Logger("lab.db", config=Options)
