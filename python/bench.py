"""What a logger's calls cost, and how fast a file is read: figures beside a list's `append`, for this machine.

Run it as `python python/bench.py [updates]`, with the package installed (a release build).
"""

import os
import sys
import tempfile
import time

import mle

N = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000


def microseconds(seconds, n):
    return f"{seconds / n * 1e6:8.3f} µs"


def updates(take, n):
    """Return the CPU time of this thread, and of the process until all is written [s]."""
    thread, process = time.thread_time(), time.process_time()
    for step in range(n):
        take({"loss": 0.1, "acc": 0.2, "lr": 0.3, "norm": 0.4, "time": step * 1.0}, step)
    return time.thread_time() - thread, process


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.db")
        kept = []
        caller, _ = updates(lambda values, step: kept.append((values, step)), N)
        print(f"list.append, 5 metrics       caller {microseconds(caller, N)}")
        for options, n in (({}, N), ({"sync": True}, max(N // 50, 1))):
            log = mle.Logger(path, **options)
            caller, started = updates(log.log, n)
            log.flush()
            both = time.process_time() - started
            log.close()
            print(f"log, 5 metrics {str(options or ''):14}caller {microseconds(caller, n)}   with the writer {microseconds(both, n)}")
        log = mle.Logger(path)
        for step in range(10 * N):
            log.log({"value": step * 1.5}, step)
        log.close()
        db = mle.open(path)
        for name, read in (("series", lambda: db.series(log.run_id, "value")), ("metrics", lambda: db.metrics(run=log.run_id))):
            best = min(timed(read) for _ in range(3))
            print(f"{name} of {10 * N:,} points    {best * 1e3:8.1f} ms")


def timed(body):
    started = time.perf_counter()
    body()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
