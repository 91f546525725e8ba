"""`python -m mle …` is the program `mle`; `python -m mle autolog …` is :func:`mle.autolog` for any program."""

import os
import sys

from ._programs import program

if __name__ == "__main__":
    if sys.argv[1:2] == ["autolog"]:
        from ._events import command

        raise SystemExit(command(sys.argv[2:]))
    os.execv(program("mle"), ["mle", *sys.argv[1:]])
