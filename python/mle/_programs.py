"""The programs that come with the package."""

from __future__ import annotations

import os
import sys
from ._errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional


def program(name: str) -> str:
    """Return the path of `mle`, `mle-worker`, `mle-scheduler`, `mle-searcher` or `mle-reporter`.

    Looked for in the folder `MLE_PROGRAMS` names, beside the interpreter, and on the PATH.

    Raises
    ------
    NotFoundError
    """
    import shutil
    import sysconfig

    folders = [
        os.environ.get("MLE_PROGRAMS", ""),
        sysconfig.get_path("scripts"),
        os.path.dirname(sys.executable),
        os.path.join(os.path.expanduser("~"), ".local", "bin"),
    ]
    for folder in folders:
        path = os.path.join(folder, name) if folder else ""
        if path and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which(name)
    if found is None:
        raise NotFoundError(f"there is no program {name}", "install the package's wheel, or set MLE_PROGRAMS to its folder")
    return found


def environment() -> Dict[str, str]:
    """Return the environment for a program that is started here.

    Without what a worker told its job, as the program is on its own; with this interpreter and our programs first on the
    PATH, so that jobs find them.
    """
    told = ("RUN", "JOB", "ATTEMPT", "WORKER", "PARAMS", "SEED", "CONFIG", "RESUME", "EXP_DIR")
    found = {name: value for name, value in os.environ.items() if name not in {f"MLE_{word}" for word in told}}
    folders = [os.path.dirname(sys.executable), os.path.dirname(program("mle")), found.get("PATH", "")]
    found["PATH"] = os.pathsep.join(dict.fromkeys(folder for folder in folders if folder))
    return found


def said(text: str) -> "tuple[str, Optional[str]]":
    """Return what one of our programs says went wrong with `--json`, and the next step."""
    import json

    try:
        found = json.loads(text)
        return str(found["error"]), found.get("hint")
    except (ValueError, KeyError, TypeError):
        return text[-2000:], None


def call(words: List[str]) -> str:
    """Run one of our programs, told `--json`, to its end; return what it printed.

    Raises
    ------
    InvalidError, NotFoundError, WrongFileError, BusyError, FailedError
        With what it said, by its exit code.
    """
    import subprocess

    from . import _errors

    done = subprocess.run(
        words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        known = {
            2: _errors.InvalidError,
            3: _errors.NotFoundError,
            4: _errors.WrongFileError,
            75: _errors.BusyError,
        }
        raise known.get(done.returncode, _errors.FailedError)(*said(done.stderr.strip() or done.stdout.strip()))
    return done.stdout


class Running:
    """A program that was started here.

    Attributes
    ----------
    process : subprocess.Popen
    """

    def __init__(self, words: List[str]) -> None:
        import subprocess
        import tempfile

        # A file, as nobody reads a pipe while the program runs.
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors
        )

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def wait(self, timeout_s: Optional[float] = None) -> int:
        """Wait for its end; return its exit code.

        Raises
        ------
        TimeoutError
            When it is not over in time. It goes on.
        """
        import subprocess

        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{os.path.basename(str(self.process.args[0]))} goes on after {timeout_s} s") from None  # type: ignore[index]

    def stop(self) -> int:
        """Ask it to leave: jobs are stopped and given back. Return its exit code."""
        self.process.terminate()
        return self.wait()

    def said(self) -> str:
        """Return the end of what it said went wrong."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]
