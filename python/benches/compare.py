"""Logging, reading, merging and importing beside other packages, in one run on one machine.

    pip install ./python numpy mle-logging trackio wandb mlflow tensorboard tensorboardX
    python python/benches/compare.py [--only log,sync,import,read,merge] [--json FILE] [--scale 0.1]

A package that is not installed is named and left out. Each case runs in a process of its own, one after the other, so that
none pays for another's threads or imports. `caller` is the processor time of the thread that logs, `all` that of the process,
its threads and children until everything is stored, `wall` the time until then; all by update. Best of three where a case
is short. Where a peer is too slow for the full size it gets a smaller one, which is shown; nothing is extrapolated.

Cases
-----
log     10,000 updates of 5 metrics (ours 100,000), then close or finish
sync    2,000 updates of 5 metrics, each of which is stored when the call returns; beside them what SQLite takes for five
        rows, or for one row, a transaction
import  processor time of `python -c "import …"` above that of `python -c pass`
read    one series into numpy arrays: ours 1,000,000 points
merge   mean, standard deviation and percentiles over 100 runs × 10,000 steps × 5 metrics
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

METRICS = ["loss", "accuracy", "grad_norm", "lr", "reward"]
SCALE = float(os.environ.get("COMPARE_SCALE", "1"))


def sized(n):
    return max(int(n * SCALE), 10)


def update(step):
    """Return an update; its numbers are not whole."""
    x = 1.0 / (step + 1.5)
    return {"loss": x, "accuracy": 1.0 - x, "grad_norm": x * 3.3, "lr": x * 0.1, "reward": x * 7.7}


def cpu():
    """Return the processor time of this process and its ended children [s]."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, kinds))


def logged(take, n, close):
    """Call `take(update, step)` n times, then close; return times by update [µs]."""
    all_updates = [update(step) for step in range(n)]
    take(all_updates[0], 0)
    thread, process, wall = time.thread_time(), cpu(), time.perf_counter()
    for step in range(1, n):
        take(all_updates[step], step)
    caller = time.thread_time() - thread
    close()
    each = 1e6 / (n - 1)
    return {"n": n, "caller": caller * each, "all": (cpu() - process) * each, "wall": (time.perf_counter() - wall) * each}


# -- log and sync -----------------------------------------------------------------------------------------------------


def log_list(folder):
    kept = []
    return logged(lambda values, step: kept.append((dict(values), step)), sized(100_000), lambda: None)


def log_mle(folder, sync=False, n=100_000):
    import mle

    log = mle.Logger(os.path.join(folder, "x.db"), sync=sync)
    return logged(log.log, sized(n), log.close)


def sync_mle(folder):
    return log_mle(folder, True, 2_000)


def sync_sqlite(folder, wide=False):
    import sqlite3  # In a process without ours.

    db = sqlite3.connect(os.path.join(folder, "x.db"), isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE point (run, metric, step, value REAL, PRIMARY KEY (run, metric, step)) WITHOUT ROWID")
    db.execute("CREATE TABLE wide (id INTEGER PRIMARY KEY, step, value TEXT)")

    def take(values, step):
        db.execute("BEGIN IMMEDIATE")
        if wide:
            db.execute("INSERT INTO wide (step, value) VALUES (?, ?)", (step, json.dumps(values)))
        else:
            for metric, value in enumerate(values.values()):
                db.execute("INSERT INTO point VALUES (1, ?, ?, ?)", (metric, step, value))
        db.execute("COMMIT")

    return logged(take, sized(2_000), db.close)


def sync_sqlite_wide(folder):
    return sync_sqlite(folder, True)


def log_mle_logging(folder, every=0, n=10_000):
    from mle_logging import MLELogger

    log = MLELogger(folder, ["step"], METRICS, seed_id=1, config_dict={"lr": 0.1})

    def take(values, step):
        log.update({"step": step}, values, save=bool(every) and step % every == every - 1)

    return logged(take, sized(n), log.save)


def sync_mle_logging(folder):
    return log_mle_logging(folder, 1, 200)


def log_trackio(folder):
    os.environ["TRACKIO_DIR"] = folder
    import trackio

    trackio.init("x", auto_log_gpu=False, auto_log_cpu=False, embed=False)
    return logged(lambda values, step: trackio.log(values, step=step), sized(10_000), trackio.finish)


def log_wandb(folder):
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=folder)
    import wandb

    run = wandb.init(project="x", dir=folder, settings=wandb.Settings(console="off", x_disable_stats=True))
    return logged(lambda values, step: run.log(values, step=step), sized(10_000), run.finish)


def log_mlflow(folder, n=500):
    os.environ.update(MLFLOW_ENABLE_TELEMETRY="false", DO_NOT_TRACK="true")
    import logging

    logging.disable(logging.WARNING)
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/m.db")
    mlflow.set_experiment("x")
    with mlflow.start_run():
        return logged(lambda values, step: mlflow.log_metrics(values, step=step), sized(n), lambda: None)


def sync_mlflow(folder):
    return log_mlflow(folder, 200)


def log_tensorboard(folder):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(folder)

    def take(values, step):
        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        writer.add_event(Event(step=step, summary=Summary(value=points)))

    return logged(take, sized(10_000), writer.close)


def log_tensorboardx(folder):
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(folder)

    def take(values, step):
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return logged(take, sized(5_000), writer.close)


# -- read -------------------------------------------------------------------------------------------------------------


def best_of(body, times=3):
    found = []
    for _ in range(times):
        process, wall = cpu(), time.perf_counter()
        body()
        found.append((cpu() - process, time.perf_counter() - wall))
    return {"cpu_ms": min(one for one, _ in found) * 1e3, "wall_ms": min(one for _, one in found) * 1e3}


def read_mle(folder):
    import mle

    n = sized(1_000_000)
    with mle.Logger(os.path.join(folder, "x.db")) as log:
        for step in range(n):
            log.log({"loss": step * 0.37}, step)
    db = mle.open(log.path)
    steps, values = db.series(log.run_id, "loss")
    assert len(steps) == len(values) == n and values[-1] == (n - 1) * 0.37
    return {"n": n, **best_of(lambda: db.series(log.run_id, "loss"), 7)}


def read_mle_logging(folder):
    from mle_logging import MLELogger, load_log

    n = sized(20_000)
    log = MLELogger(folder, ["step"], ["loss"], seed_id=1, config_dict={})
    for step in range(n):
        log.update({"step": step}, {"loss": step * 0.37})
    log.save()
    return {"n": n, **best_of(lambda: load_log(folder, aggregate_seeds=False))}


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    n = sized(100_000)
    writer = EventFileWriter(folder)
    for step in range(n):
        writer.add_event(Event(step=step, summary=Summary(value=[Summary.Value(tag="loss", simple_value=step * 0.37)])))
    writer.close()

    def load():
        events = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        assert len(events.Scalars("loss")) == n

    return {"n": n, **best_of(load)}


def read_mlflow(folder):
    os.environ.update(MLFLOW_ENABLE_TELEMETRY="false", DO_NOT_TRACK="true")
    import logging

    logging.disable(logging.WARNING)
    import mlflow
    from mlflow.entities import Metric

    n = sized(10_000)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/m.db")
    mlflow.set_experiment("x")
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        for start in range(0, n, 1000):
            points = [Metric("loss", step * 0.37, 0, step) for step in range(start, start + 1000)]
            client.log_batch(run.info.run_id, metrics=points)
    return {"n": n, **best_of(lambda: client.get_metric_history(run.info.run_id, "loss"))}


# -- merge ------------------------------------------------------------------------------------------------------------


def noise(run, metric, n):
    import numpy

    return numpy.random.default_rng([run, metric]).random(n, dtype="float32").astype("float64").tolist()


def merge_mle(folder):
    import mle

    runs, n = 100, sized(10_000)
    for run in range(runs):
        columns = [noise(run, metric, n) for metric in range(5)]
        with mle.Logger(os.path.join(folder, "x.db"), name="x", experiment="x" if run else None, seed=run) as log:
            for step, values in enumerate(zip(*columns)):
                log.log(dict(zip(METRICS, values)), step)
    db = mle.open(log.path)
    over = db.over_seeds(experiment="x")
    assert set(over) == set(METRICS) and len(over["loss"]["mean"]) == n
    found = best_of(lambda: {name: frame.numpy() for name, frame in db.over_seeds(experiment="x").items()}, 5)
    return {"n": runs, "check": over["loss"]["mean"][:3], **found}


def merge_mle_logging(folder):
    from mle_logging import MLELogger, load_log, merge_seed_logs

    runs, n = 100, sized(10_000)
    for run in range(runs):
        log = MLELogger(folder, ["step"], METRICS, seed_id=run, config_dict={"lr": 0.1})
        # The columns as its `update` leaves them: a million calls would only make the preparation longer.
        for clock in log.stats_log.time_to_track:
            log.stats_log.clock_tracked[clock] = ["26-11-26/12:00"] * n if clock == "time" else list(range(n))
        for metric, name in enumerate(METRICS):
            log.stats_log.stats_tracked[name] = noise(run, metric, n)
        log.save()
    process, wall = cpu(), time.perf_counter()
    merge_seed_logs(os.path.join(folder, "logs", "log.hdf5"), folder, runs, delete_files=True)
    merged_cpu, merged_wall = cpu() - process, time.perf_counter() - wall
    loaded = load_log(folder, aggregate_seeds=True)
    return {
        "n": runs,
        "check": [float(x) for x in loaded[loaded.eval_ids[0]].stats.loss.mean[:3]],
        "cpu_ms": (cpu() - process) * 1e3,
        "wall_ms": (time.perf_counter() - wall) * 1e3,
        "of_it_merging_ms": {"cpu": merged_cpu * 1e3, "wall": merged_wall * 1e3},
    }


def merge_numpy(folder):
    """What numpy takes once all is in memory."""
    import numpy

    all_runs = numpy.array([[noise(run, metric, sized(10_000)) for run in range(100)] for metric in range(5)])

    def statistics():
        for of in all_runs:
            of.mean(0), of.std(0), of.min(0), of.max(0), numpy.percentile(of, [10, 25, 50, 75, 90], axis=0)

    return {"n": 100, **best_of(statistics)}


# -- import -----------------------------------------------------------------------------------------------------------


def import_times(modules):
    """Return the least processor and wall time of an interpreter that imports a module [ms], taken in turns."""
    found = {name: [] for name in modules}
    # As installers leave packages: compiled. The first turn does that, and is not counted.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for turn in range(8):
        for name in modules:
            # TensorBoard itself imports nothing before it is used.
            module = "tensorboard.summary.writer.event_file_writer" if name == "tensorboard" else name
            code = "pass" if name == "pass" else f"import {module}"
            wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run([sys.executable, "-c", code], check=True, env=environment, **quiet)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if turn > 0:
                found[name].append((used * 1e3, (time.perf_counter() - wall) * 1e3))
    return {name: tuple(map(min, zip(*each))) for name, each in found.items()}


#: Case: rows of a label, the package it needs, and the function.
CASES = {
    "log": [
        ("list.append of a copy", None, log_list),
        ("mle.Logger", "mle", log_mle),
        ("mle-logging, one save at the end", "mle_logging", log_mle_logging),
        ("trackio", "trackio", log_trackio),
        ("W&B offline", "wandb", log_wandb),
        ("TensorBoard, one event of 5", "tensorboard", log_tensorboard),
        ("tensorboardX, add_scalar × 5", "tensorboardX", log_tensorboardx),
        ("MLflow, SQLite", "mlflow", log_mlflow),
    ],
    "sync": [
        ("SQLite alone, one row", None, sync_sqlite_wide),
        ("SQLite alone, five rows", None, sync_sqlite),
        ("mle.Logger(sync=True)", "mle", sync_mle),
        ("mle-logging, a save each", "mle_logging", sync_mle_logging),
        ("MLflow, SQLite", "mlflow", sync_mlflow),
    ],
    "read": [
        ("mle: Database.series", "mle", read_mle),
        ("mle-logging: load_log", "mle_logging", read_mle_logging),
        ("TensorBoard: EventAccumulator", "tensorboard", read_tensorboard),
        ("MLflow: get_metric_history", "mlflow", read_mlflow),
    ],
    "merge": [
        ("numpy, all in memory", "numpy", merge_numpy),
        ("mle: Database.over_seeds", "mle", merge_mle),
        ("mle-logging: merge_seed_logs, load_log", "mle_logging", merge_mle_logging),
    ],
}


def has(package):
    return package is None or importlib.util.find_spec(package) is not None


def run_case(function):
    """Run a case in a process of its own."""
    folder = tempfile.mkdtemp(prefix="compare-")
    try:
        words = [sys.executable, os.path.abspath(__file__), "--case", function.__name__, folder]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return {"error": (done.stderr.strip().splitlines() or ["?"])[-1]}
        return json.loads(done.stdout.strip().splitlines()[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show_imports(found):
    least = found["pass"]
    print("\nimport                                     cpu      wall   [ms above `python -c pass`]")
    print(f"{'python -c pass itself':36}{least[0]:10.1f}{least[1]:10.1f}")
    for name, (used, wall) in found.items():
        if name != "pass":
            print(f"{name:36}{used - least[0]:10.1f}{wall - least[1]:10.1f}")


def show(case, label, found, ours):
    if "error" in found:
        print(f"{label:40} failed: {found['error']}")
    elif case in ("log", "sync"):
        ratio = f"{found['all'] / ours['all']:9.1f}" if ours else ""
        print(f"{label:40}{found['n']:9,}{found['caller']:10.2f}{found['all']:10.2f}{found['wall']:10.2f}{ratio}")
    else:
        unit = found["n"] if case == "read" else 1
        ratio = f"{found['cpu_ms'] / unit / ours['cpu_ms'] * (ours['n'] if case == 'read' else 1):9.1f}" if ours else ""
        print(f"{label:40}{found['n']:9,}{found['cpu_ms']:10.1f}{found['wall_ms']:10.1f}{ratio}")


HEADS = {
    "log": "updates    caller       all      wall   [µs an update]   all / ours",
    "sync": "updates    caller       all      wall   [µs an update]   all / ours",
    "read": " points       cpu      wall   [ms]   cpu a point / ours",
    "merge": "   runs       cpu      wall   [ms]   cpu / ours",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="import,log,sync,read,merge")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes times this, for a quick look")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(globals()[given.case[0]](given.case[1])))
        return
    os.environ["COMPARE_SCALE"] = str(given.scale)
    packages = ["mle", "mle_logging", "trackio", "wandb", "mlflow", "tensorboard", "tensorboardX"]
    missing = [package for package in packages if not has(package)]
    load = os.getloadavg()[0]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {load:.1f}; not installed: {', '.join(missing) or 'none'}")
    everything = {"load": load, "missing": missing}
    if "import" in given.only:
        found = import_times(["pass", *(package for package in packages if package not in missing)])
        everything["import"] = found
        show_imports(found)
    for case, rows in CASES.items():
        if case not in given.only.split(","):
            continue
        print(f"\n{case:40}{HEADS[case]}")
        results = {label: run_case(function) for label, package, function in rows if has(package)}
        ours = next((found for label, found in results.items() if label.startswith("mle") and "mle-l" not in label), None)
        for label, found in results.items():
            show(case, label, found, ours if ours and "error" not in ours else None)
        everything[case] = results
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(everything, file, indent=1)


if __name__ == "__main__":
    main()
