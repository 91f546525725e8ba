"""Signals that end a program: what its loggers hold is written before, and their runs end.

Python runs handlers in its main thread, between two of its own steps: a signal that comes during a long call of native code
is heard when that returns.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

#: Of these the first comes from schedulers and `kill`, the second when a terminal goes away. Python makes an exception of the
#: third, so that one matters only where a script changed that.
_NAMES = ("SIGTERM", "SIGHUP", "SIGINT")

#: The handlers of the script, by signal, for as long as ours stand before them.
_before: Dict[int, Any] = {}
#: What writes and ends: with the signal's name runs fail, with None they only write.
_end: Optional[Callable[[Optional[str]], None]] = None
#: The signal whose handler in the script raised an exception, which is on its way out.
raised: Optional[str] = None


def watch(end: Callable[[Optional[str]], None]) -> None:
    """Have `end` called before a signal ends the program; elsewhere than in the main thread nothing happens."""
    global _end
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        return
    _end = end
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is None:
            continue
        handler = signal.getsignal(number)
        # None: not Python's. What is ignored does not end anything.
        if handler in (None, signal.SIG_IGN, signal.default_int_handler, _handle):
            continue
        try:
            signal.signal(number, _handle)
        except ValueError:
            # A second interpreter of the process may set none.
            return
        _before[number] = handler


def unwatch() -> None:
    """Put the script's handlers back where ours stand."""
    if not _before:
        return
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in list(_before.items()):
        if signal.getsignal(number) is _handle:
            signal.signal(number, handler)
        del _before[number]


def _handle(number: int, frame: Any) -> None:
    global raised
    import signal

    name = signal.Signals(number).name
    handler = _before.get(number, signal.SIG_DFL)
    if callable(handler):
        # The script says whether this is its end.
        _call(None)
        try:
            handler(number, frame)
        except BaseException:
            raised = name
            raise
        return
    _call(name)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _call(name: Optional[str]) -> None:
    if _end is not None:
        _end(name)
