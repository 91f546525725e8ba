"""The loop of :meth:`mle.Study.optimize`: asks, calls, tells, with threads or processes beside each other."""

from __future__ import annotations

import sys

from ._errors import Error, FailedError, InvalidError, Pruned
from ._processes import DIED, Processes, in_process
from ._strategy import Exhausted, Waiting, as_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

    from ._strategy import Stopper, Trial
    from ._study import Study
    from ._types import Function


class Loop:
    """The trials of one call of `optimize`."""

    def __init__(
        self, study: Study, function: Function, n: Optional[int], workers: int, on_error: str, stopper: Optional[Stopper]
    ) -> None:
        self.study, self.function, self.left, self.workers, self.on_error = study, function, n, workers, on_error
        import threading

        self.lock = threading.Lock()
        self.error: Optional[BaseException] = None
        #: Held while a trial is told, and while those at work are given up.
        self.ending = threading.Lock()
        self.at_work: Dict[int, Trial] = {}
        self.given_up = False
        #: Set once threads are started, and once none is at work.
        self.begun, self.over = threading.Event(), threading.Event()
        self.stopper = stopper
        self.takes_trial = stopper is not None or study._has_epochs()
        self.others: Tuple[float, List[Tuple[str, Optional[float], List[float]]]] = (0.0, [])

    def run(self, processes: bool) -> None:
        import threading

        call: Callable[[Trial], Any] = self._call
        pool: Optional[Processes] = None
        if processes:
            function, takes_trial = self.function, self.takes_trial
            pool = Processes(self.workers)
            processes_of = pool
            call = lambda trial: processes_of.call(trial, function, takes_trial)  # noqa: E731
        try:
            if self.workers == 1 and not processes:
                self._work(call)
            else:
                self._work_beside(threading.Thread(target=self._work_together, args=(call,), daemon=True))
        finally:
            if pool is not None:
                pool.close(at_once=self.given_up)
            try:
                self.study.db.native.leave()
            except Error:
                # The row of this process stays until somebody finds that it is gone.
                pass
        if self.error is not None:
            raise self.error

    def _work_beside(self, together: threading.Thread) -> None:
        """Wait for the thread that starts the others and waits for them, while this one hears of Ctrl-C."""
        # Not by `join`: a thread whose join was interrupted counts as over, in Python before 3.13.
        try:
            together.start()
            self._wait_until_over()
        except KeyboardInterrupt as error:
            self.error = self.error or error
            try:
                if self.begun.wait(1.0):
                    self._say_what_for()
                    self._wait_until_over()
            except KeyboardInterrupt:
                self._give_up()

    def _wait_until_over(self) -> None:
        while not self.over.wait(0.2):
            pass

    def _say_what_for(self) -> None:
        with self.ending:
            numbers = sorted(self.at_work)
        if numbers:
            trials = f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
            again = "Ctrl-C again ends at once, and they have failed"
            print(f"interrupted: study {self.study.name!r} waits for {trials} to end; {again}", file=sys.stderr, flush=True)

    def _give_up(self) -> None:
        """Leave the trials at work: what becomes of them is told to nobody."""
        with self.ending:
            self.given_up = True
            for trial in self.at_work.values():
                self.study.tell(trial, status="failed", error="interrupted")
            self.at_work.clear()

    def _end(self, trial: Trial, values: Any = None, **how: Any) -> None:
        with self.ending:
            if not self.given_up:
                self.at_work.pop(trial.number, None)
                self.study.tell(trial, values, **how)

    def _why_stop(self, trial: Trial) -> Optional[str]:
        """Ask the stopper, by the curves of the trials that ended; those are read at most once a second."""
        import time

        assert self.stopper is not None
        if time.monotonic() - self.others[0] > 1.0:
            found = self.study.db._view(
                "SELECT state, value, curve FROM trials WHERE study_id = ? AND curve IS NOT NULL"
                " AND state IN ('complete', 'failed', 'pruned') ORDER BY number",
                [self.study.id],
            )
            curves = [[_number(value) for value in curve] for curve in found["curve"]]
            values = [None if value is None else _number(value) for value in found["value"]]
            # A complete trial whose value is no number is one that failed.
            states = ["failed" if v is None and s == "complete" else s for s, v in zip(found["state"], values)]
            self.others = (time.monotonic(), list(zip(states, values, curves)))
        return self.stopper.stops(trial.curve, self.others[1])

    def _call(self, trial: Trial) -> Any:
        if self.stopper is not None:
            trial._judge = self._why_stop
        return in_process(self.function, trial, self.takes_trial)

    def _take(self) -> Optional[Trial]:
        """Return the next trial; waits for one. None when there is nothing more to do."""
        while True:
            with self.lock:
                if self.error is not None or self.left == 0:
                    return None
                try:
                    trial = self.study._ask_held()
                except Exhausted:
                    return None
                except Waiting:
                    pass
                else:
                    if self.left is not None:
                        self.left -= 1
                    with self.ending:
                        self.at_work[trial.number] = trial
                    return trial
            self.study.db.wait(0.05)

    def _work_together(self, call: Callable[[Trial], Any]) -> None:
        import threading

        self.begun.set()
        try:
            threads = [threading.Thread(target=self._work, args=(call,), daemon=True) for _ in range(self.workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException as error:
            self.error = self.error or error
        finally:
            self.over.set()

    def _work(self, call: Callable[[Trial], Any]) -> None:
        try:
            while True:
                trial = self._take()
                if trial is None:
                    return
                self._try(call, trial)
        except BaseException as error:
            self.error = self.error or error

    def _try(self, call: Callable[[Trial], Any], trial: Trial) -> None:
        try:
            told = call(trial)
            names = [name for name, _ in self.study.objectives]
            curve: Sequence[float] = trial.curve
            if self.takes_trial and isinstance(told, tuple) and len(told) == 2 and isinstance(told[1], (list, tuple)):
                told, curve = told
            values = as_values(told, names)
            if told is None:
                steps = f"return a number, or a dict with {', '.join(names)}; to skip a trial, raise mle.Pruned()"
                raise InvalidError(f"trial {trial.number}: the function returned nothing", steps)
            if values is None or len(values) != len(names):
                raise InvalidError(f"trial {trial.number}: {told!r} is not one number for each of {', '.join(names)}")
        except Pruned as pruned:
            self._end(trial, status="pruned", curve=pruned.curve)
        except BaseException as error:
            self._end(trial, status="failed", error=_why(error))
            if self.on_error == "raise" or not isinstance(error, Exception):
                raise
        else:
            self._end(trial, values, curve=curve)


def _why(error: BaseException) -> str:
    if isinstance(error, FailedError) and DIED in str(error):
        return DIED
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
