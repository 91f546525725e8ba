"""Processes that functions of a search run in."""

from __future__ import annotations

from ._errors import FailedError, InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor
    from typing import Any, List

    from ._strategy import Trial

DIED = "its process died (killed, or out of memory)"


class Processes:
    """Processes that trials run in; those that die are replaced."""

    def __init__(self, workers: int) -> None:
        import threading

        from ._logger import watch_children

        self.workers = workers
        self.lock = threading.Lock()
        self.pools: List[ProcessPoolExecutor] = []
        self.closed = False
        self.pool = self._make(workers)
        watch_children()

    def _make(self, workers: int) -> ProcessPoolExecutor:
        import concurrent.futures

        # Ctrl-C reaches all processes of a terminal: what it means is decided here.
        made = concurrent.futures.ProcessPoolExecutor(workers, initializer=_begin_process)
        self.pools.append(made)
        return made

    def call(self, trial: Trial, function: Any, takes_trial: bool) -> Any:
        """Run a trial. When a process of the pool dies all that is at work there is lost: each is tried again alone, once.

        Raises
        ------
        FailedError
            When its process died then too.
        """
        from concurrent.futures.process import BrokenProcessPool

        while True:
            pool = self.pool
            try:
                future = pool.submit(in_process, function, trial, takes_trial)
            except BrokenProcessPool:
                # It was broken by another trial, before this one began.
                self._replace(pool, trial)
                continue
            try:
                return future.result()
            except BrokenProcessPool:
                # Else the function's own.
                if not getattr(pool, "_broken", True):
                    raise
            self._replace(pool, trial)
            break
        with self.lock:
            self._check_open(trial)
            alone = self._make(1)
        try:
            return alone.submit(in_process, function, trial, takes_trial).result()
        except BrokenProcessPool:
            if not getattr(alone, "_broken", True):
                raise
            raise self._died(trial) from None
        finally:
            alone.shutdown(wait=False)

    def _replace(self, pool: ProcessPoolExecutor, trial: Trial) -> None:
        with self.lock:
            self._check_open(trial)
            if self.pool is pool:
                pool.shutdown(wait=False)
                self.pools.remove(pool)
                self.pool = self._make(self.workers)

    def _check_open(self, trial: Trial) -> None:
        if self.closed:
            raise self._died(trial)

    def _died(self, trial: Trial) -> FailedError:
        import multiprocessing

        is_fork = multiprocessing.get_start_method() == "fork"
        steps = None if is_fork else 'or the script has no `if __name__ == "__main__":` around what it does'
        return FailedError(f"trial {trial.number}: {DIED}", steps)

    def close(self, at_once: bool) -> None:
        with self.lock:
            self.closed = True
        for pool in self.pools:
            for process in list((pool._processes or {}).values()) if at_once else []:
                process.terminate()
            pool.shutdown(wait=not at_once)


def _begin_process() -> None:
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="mle-parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that made it is gone: nobody would take what it finds."""
    import multiprocessing
    import os
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # Processes that are forked later hold the other end of the pipe too: where the parent is the one that made us, ask also.
    is_near = os.getppid() == parent.pid
    while not wait([parent.sentinel], 1.0):
        if is_near and os.getppid() != parent.pid:
            break
    os._exit(1)


def check_importable(function: Any) -> None:
    """Refuse what another process cannot find by its name."""
    import pickle

    try:
        pickle.dumps(function)
    except Exception:
        name = getattr(function, "__qualname__", repr(function))
        raise InvalidError(
            f"processes=True: other processes cannot import {name}",
            "define it at the top of a module, or leave processes=True out: workers=n alone are threads",
        ) from None


def in_process(function: Any, trial: Trial, takes_trial: bool) -> Any:
    told = function(trial if takes_trial else trial.params)
    return told.tolist() if hasattr(told, "tolist") else told
