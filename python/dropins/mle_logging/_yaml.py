"""Simple YAML, read and written without a YAML library: a key and a number or a word a line, as most configs are.

Loading the library takes a job longer than all it logs. What is here is a part of YAML on which there is nothing to
disagree about: :func:`load` and :func:`dump` return None for everything else, which is the library's.
"""

import re

_KEY = r"[A-Za-z_][A-Za-z0-9_]*"
#: No number, date or time begins with a letter; neither does anything that is quoted or nested.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*\Z")
_LINE = re.compile(rf"({_KEY}):[ ]+([^\s#]+)[ ]*\Z")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_REAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
#: Words that YAML 1.1, as the library reads it, takes for something else.
_OTHERS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_VALUES = {"true": True, "false": False, "null": None}


def load(text):
    """Return the mapping that a text of such lines is; None for any other text.

    >>> load("lrate: 1e-3\\nact: relu\\n")
    {'lrate': 0.001, 'act': 'relu'}
    >>> load("acts: [relu, tanh]\\n")
    """
    found = {}
    for line in text.split("\n"):
        if not line or line.startswith("#") and line.isprintable():
            continue
        parts = _LINE.match(line)
        if parts is None:
            return None
        key, value = parts.groups()
        if key in found or key.lower() in _OTHERS:
            return None
        if value in _VALUES:
            found[key] = _VALUES[value]
        elif _INTEGER.match(value):
            found[key] = int(value)
        elif _REAL.match(value) and ("." in value or "e" in value.lower()):
            found[key] = float(value)
        elif _WORD.match(value) and value.lower() not in _OTHERS:
            found[key] = value
        else:
            return None
    return found or None


def dump(document):
    """Return a mapping as the library writes it; None where it is not of numbers and words.

    >>> dump({"lrate": 1e-05, "act": "relu"})
    'lrate: 1.0e-05\\nact: relu\\n'
    >>> dump({"acts": ["relu", "tanh"]})
    """
    lines = []
    for key, value in document.items() if type(document) is dict else ():
        if type(key) is not str or not _WORD.match(key) or len(key) > 100 or key.lower() in _OTHERS:
            return None
        if type(value) is float and value - value == 0.0:
            value = repr(value)
            if "." not in value:
                # Without a point YAML 1.1 takes it for a word.
                value = value.replace("e", ".0e", 1)
        elif value is None or type(value) is bool:
            value = {None: "null", True: "true", False: "false"}[value]
        elif type(value) is str:
            if not _WORD.match(value) or value.lower() in _OTHERS or len(value) > 60:
                return None
        elif type(value) is not int:
            return None
        lines.append(f"{key}: {value}\n")
    return "".join(lines) or None
