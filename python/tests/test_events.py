"""Scalars of scripts that know nothing of us, and event files for TensorBoard."""

import math
import os
import struct
import subprocess
import sys

import pytest

import mle
from mle import _mle


def points(metric, db="lab.db", run=None):
    found = mle.open(db).metrics(run=run, metric=metric)
    return list(zip(found["step"], found["value"]))


def test_a_csv_is_taken_row_by_row():
    os.makedirs("logs/train")
    with mle.autolog("logs", db="lab.db", every=60) as watched:
        with open("logs/train/metrics.csv", "w") as file:
            file.write("epoch,loss,note,time\n0,0.5,good,1e9\n")
            file.flush()
            assert watched.look() == 1
            file.write("2,0.25,,1e9\n3,0.1")
            file.flush()
            assert watched.look() == 1, "a line without its end is not there yet"
        with open("logs/other.csv", "w") as file:
            file.write('# a remark\n"a, b",c\n1,nan\n\n2,inf\n')
    assert points("train/loss") == [(0, 0.5), (2, 0.25), (3, 0.1)]
    assert points("other/a, b") == [(0, 1.0), (1, 2.0)]
    assert math.isnan(points("other/c")[0][1]) and points("other/c")[1][1] == math.inf
    assert sorted(mle.open("lab.db").summary()["metric"]) == ["other/a, b", "other/c", "train/loss"]
    assert mle.open("lab.db").runs()["state"] == ["complete"]


def test_what_was_there_is_left_out_unless_asked_for():
    with open("log.csv", "w") as file:
        file.write("loss\n1\n2\n")
    with mle.autolog("log.csv", db="new.db", every=60) as watched:
        with open("log.csv", "a") as file:
            file.write("3\n")
    assert watched.points == 1 and points("loss", "new.db") == [(2, 3.0)]
    with mle.autolog("log.csv", db="all.db", existing=True) as watched:
        pass
    assert points("loss", "all.db") == [(0, 1.0), (1, 2.0), (2, 3.0)]


def csv(loss, n, mode="w"):
    with open("log.csv", mode) as file:
        file.write(("" if mode == "a" else "loss\n") + "".join(f"{loss + x:.3f}\n" for x in range(n)))


@pytest.mark.parametrize("n", [3, 5, 8])
def test_a_file_written_anew_is_read_from_its_beginning(n):
    csv(1.0, 5)
    os.utime("log.csv", (1e9, 1e9))
    with mle.autolog("log.csv", db="lab.db", every=60) as watched:
        assert watched.look() == 0
        csv(2.0, n)
    assert points("loss") == [(x, 2.0 + x) for x in range(n)]


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_the_same_rows_written_again_are_this_run_s(looks):
    csv(1.0, 5)
    os.utime("log.csv", (1e9, 1e9))
    with mle.autolog("log.csv", db="lab.db", every=60) as watched:
        csv(1.0, 5)
        for _ in range(looks):
            watched.look()
        csv(6.0, 1, "a")
    assert watched.points == (1 if looks < 2 else 6), "what begins as it was counts as gone on with, unless it was seen whole"
    with mle.autolog("log.csv", db="again.db", every=60) as watched:
        os.utime("log.csv", (2e9, 2e9))
    assert watched.points == 6


def test_a_history_that_is_written_anew_each_epoch_is_taken_once():
    with mle.autolog("log.csv", db="lab.db", every=60) as watched:
        for epoch in range(1, 5):
            csv(1.0, epoch)
            assert watched.look() == 1
        csv(3.0, 4)
        assert watched.look() == 4, "other numbers"


def test_events_written_anew_are_read_from_their_beginning():
    name = "events.out.tfevents.1.host"

    def write(first, n, mode="wb"):
        with open(name, mode) as file:
            file.write(_mle.event_head(1.0) + _mle.event_records("loss", *series(n, first), 1.0))

    write(0, 5)
    with mle.autolog(".", db="lab.db", every=60) as watched:
        write(100, 9)
        assert watched.look() == 9
    assert [step for step, _ in points("loss")] == list(range(100, 109))
    with mle.autolog(".", db="again.db", every=60) as watched:
        write(7, 2, "ab")
    assert [step for step, _ in points("loss", "again.db")] == [7, 8]


def test_the_watching_needs_no_call():
    db = mle.open("lab.db", create=True)
    with mle.autolog("later", mle.Logger(db), every=0.01) as watched:
        os.makedirs("later")
        with open("later/progress.csv", "w") as file:
            file.write("loss\n1\n")
        while not watched.points:
            db.wait(0.05)
        watched.log.flush()
        assert points("loss") == [(0, 1.0)]
    assert db.runs()["state"] == ["running"], "the logger was given, and is not ours to close"
    watched.log.close()


def series(n, start=0):
    steps = bytearray(struct.pack(f"{n}q", *range(start, start + n)))
    values = bytearray(struct.pack(f"{n}d", *(x * 0.5 for x in range(n))))
    return steps, values, bytearray(8 * n)


def test_events_are_read_as_they_come_and_broken_ones_are_told():
    os.makedirs("tb/run")
    whole = _mle.event_head(1.0) + _mle.event_records("loss", *series(3), 1.0)
    path = "tb/run/events.out.tfevents.1"
    with mle.autolog("tb", db="lab.db", every=60) as watched:
        with open(path, "wb") as file:
            file.write(whole[:-5])
            file.flush()
            assert watched.look() == 2
            file.write(whole[-5:])
            file.flush()
            assert watched.look() == 1
            file.write(bytes(40))
            file.flush()
            with pytest.warns(RuntimeWarning, match="checksum"):
                watched.look()
    assert points("run/loss") == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert list(watched.problems) == [os.path.abspath(path)]


def test_any_bytes_are_no_reason_to_crash():
    import random

    noise = random.Random(0)
    good = _mle.event_records("x", *series(2), 0.0)
    for _ in range(3000):
        data = bytearray(good)
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        try:
            found, used = _mle.event_scalars(bytes(data))
            assert len(found) <= 2 and used <= len(good)
        except mle.FailedError:
            pass
        _mle.event_scalars(noise.randbytes(10)) if hasattr(noise, "randbytes") else None


def test_an_export_holds_what_was_logged(tmp_path):
    with mle.Logger("lab.db", name="a/b <x>") as log:
        for step in (0, 5, 7):
            log.log({"loss": step / 4, "acc": math.inf}, step=step)
        log.text("note", "no number")
    (path,) = mle.open("lab.db").tensorboard("tb", experiment="a/b <x>")
    assert os.path.dirname(path) == os.path.join("tb", "a_b__x_-1")
    with open(path, "rb") as file:
        found, used = _mle.event_scalars(file.read())
    assert used == os.path.getsize(path)
    assert [(step, tag, value) for _, step, tag, value in found] == [
        *((step, "acc", math.inf) for step in (0, 5, 7)),
        *((step, "loss", step / 4) for step in (0, 5, 7)),
    ]
    assert mle.open("lab.db").tensorboard("tb", run=1) == [path], "again: in its place"
    with pytest.raises(mle.NotFoundError):
        mle.open("lab.db").tensorboard("tb", run=9)


def test_tensorboard_reads_our_files_and_we_read_its(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    with mle.Logger("lab.db", name="x") as log:
        for step in range(100):
            log.log({"train/loss": 1 / (step + 1)}, step=10 * step)
    (path,) = log.db.tensorboard("tb")
    events = accumulators.EventAccumulator(path)
    events.Reload()
    found = [(one.step, one.value) for one in events.Scalars("train/loss")]
    assert found == [(10 * step, pytest.approx(1 / (step + 1), rel=1e-6)) for step in range(100)]

    writer = EventFileWriter("theirs")
    writer.add_event(Event(step=3, summary=Summary(value=[Summary.Value(tag="a", simple_value=0.5), Summary.Value(tag="b", simple_value=2)])))
    tensor = TensorProto(dtype=1, float_val=[0.25])
    writer.add_event(Event(step=-4, wall_time=1.0, summary=Summary(value=[Summary.Value(tag="t", tensor=tensor)])))
    content = TensorProto(dtype=2, tensor_content=struct.pack("<d", 1.5))
    writer.add_event(Event(step=5, summary=Summary(value=[Summary.Value(tag="d", tensor=content)])))
    writer.close()
    with mle.autolog("theirs", db="theirs.db", existing=True):
        pass
    assert [points(name, "theirs.db") for name in "abtd"] == [[(3, 0.5)], [(3, 2.0)], [(-4, 0.25)], [(5, 1.5)]]


SCRIPT = """
import csv, sys
with open("out/metrics.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["step", "loss"])
    for step in range(5):
        rows.writerow([step, 1 / (step + 1)])
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("status", [0, 3])
def test_an_unchanged_program_is_run_and_watched(status):
    os.mkdir("out")
    with open("train.py", "w") as file:
        file.write(SCRIPT)
    words = [sys.executable, "-m", "mle", "autolog", "--watch", "out", "--db", "lab.db", "--name", "mine", "--"]
    done = subprocess.run([*words, sys.executable, "train.py", str(status)])
    assert done.returncode == status
    assert points("loss") == [(step, 1 / (step + 1)) for step in range(5)]
    run = mle.open("lab.db").runs().rows()[0]
    assert (run["experiment"], run["state"]) == ("mine", "failed" if status else "complete")
    assert run["error"] == ("exit status 3" if status else None)


def test_in_a_job_it_logs_to_the_job():
    os.mkdir("out")
    with open("train.py", "w") as file:
        file.write(SCRIPT)
    command = [sys.executable, "-m", "mle", "autolog", "--watch", "out", "--", sys.executable, "train.py", "0"]
    done = mle.Experiment({"name": "watched", "command": command, "metric": "loss"}, db="lab.db").run()
    assert done.state == "complete" and done.runs()["value"] == [0.2]
