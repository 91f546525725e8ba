"""`python -m mle …` is the program `mle`."""

import os
import sys

from ._programs import program

if __name__ == "__main__":
    os.execv(program("mle"), ["mle", *sys.argv[1:]])
