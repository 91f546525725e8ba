"""What scripts call has the parameters of the original packages, in their order: `signatures.txt` lists them.

Where a default is another here, the README says so or it is a title or a label of a figure; there are more parameters only
behind those, and with defaults.
"""

import importlib
import inspect
from pathlib import Path

import pytest

pytest.importorskip("mle_hyperopt.strategies")

ROWS = []
_module = ""
for line in Path(__file__).with_name("signatures.txt").read_text().splitlines():
    if line.startswith("["):
        _module = line[1:-1]
    elif line and not line.startswith("#"):
        ROWS.append((_module, *line[:-1].split("(", 1)))


def text_of(default):
    # A tuple here may be a list there; nobody changes it.
    return repr(list(default) if isinstance(default, tuple) else default).replace(" ", "")


@pytest.mark.parametrize("module", sorted({row[0] for row in ROWS}))
def test_signatures(module):
    for _, name, wanted in (row for row in ROWS if row[0] == module):
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        there = [one for one in inspect.signature(found).parameters.values() if one.name != "self"]
        for at, word in enumerate(wanted.split(" ") if wanted else []):
            parameter, has_default, default = word.partition("=")
            assert at < len(there) and there[at].name == parameter, f"{module}.{name}: {parameter} is not number {at}"
            if has_default:
                assert text_of(there[at].default) == default, f"{module}.{name}: {parameter}"
        for more in there[len(wanted.split(" ")) if wanted else 0 :]:
            has = more.default is not more.empty or more.kind in (more.VAR_KEYWORD, more.VAR_POSITIONAL)
            assert has, f"{module}.{name}: {more.name} must not be needed"


def test_the_list_is_read():
    assert len(ROWS) > 250 and ("mle_logging", "load_log", "experiment_dir aggregate_seeds=False reload_log=False") in ROWS
