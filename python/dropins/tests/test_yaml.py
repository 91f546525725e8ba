"""Simple YAML is read and written as the library does; the rest is left to it."""

import math
import random

import pytest

yaml = pytest.importorskip("yaml")
from mle_hyperopt.utils import save_yaml  # noqa: E402
from mle_logging import _yaml  # noqa: E402
from mle_logging.utils import load_yaml_config  # noqa: E402
from mle_logging.utils.helpers import _loader  # noqa: E402

WORDS = [
    "relu", "a/b", "mlp-2", "data.csv", "v1.2", "x_1", "Yes", "no", "ON", "off", "y", "N", "true", "TRUE", "False", "null", "Null", "NULL",
    "~", "1e-3", "1E5", "-2.5e+10", "1.", ".5", "0.1", "-0", "007", "0x1F", "0o7", "1_000", "1:30", "12:30:45", "2026-11-26", "inf", ".inf", "nan",
    ".nan", "-.inf", "'x'", '"x"', "[1, 2]", "{a: 1}", "a b", "a: b", "a #b", "a#b", "#a", "-a", "- a", "*a", "&a", "!a", "!!str 1", "|", ">", "%a",
    "@a", "é", "a\u2028b", "a\x85b", "a\tb", "=", "<<", "-", "--", "a-", "a.", "12345678901234567890", "1e", "e5", "1e400", "0.10", "+1", "+.5", "a,b",
]  # fmt: skip


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isnan(one) and math.isnan(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) and one == other


def test_what_is_read_is_what_the_library_reads():
    read = 0
    texts = [f"key: {word}\n" for word in WORDS] + [f"{word}: 1\n" for word in WORDS] + [f"a: 1\n{word}\nb: x\n" for word in WORDS]
    texts += [f"a: {word}" for word in WORDS] + [f"# {word}\na:   {word}  \n\n" for word in WORDS]
    texts += ["", "\n", "---\na: 1\n", "a: 1\n...\n", "a: 1\na: 2\n", " a: 1\n", "a:\n  b: 1\n", "a:\n", "a: 1\n b\n", "a : 1\n", "\ufeffa: 1\n", "a: 1\r\n"]
    for text in texts:
        found = _yaml.load(text)
        if found is not None:
            read += 1
            assert same(found, yaml.load(text, Loader=_loader())), text
    assert read > 50


def test_what_is_written_is_what_the_library_writes():
    written = 0
    values = [*WORDS, 0, -1, 10**30, True, False, None, 0.0, -0.0, 1.0, 1e-5, 1.5e-7, 1e16, 1e22, 123456.789, 1e300, math.inf, -math.inf, math.nan, "", "x" * 200]
    generator = random.Random(3)
    values += [generator.choice([-1, 1]) * generator.random() * 10.0 ** generator.randint(-320, 300) for _ in range(2000)]
    for value in values:
        for document in ({"key": value}, {value: 1} if isinstance(value, str) else {"a": 1, "b": value}):
            text = _yaml.dump(document)
            if text is not None:
                written += 1
                assert text == yaml.safe_dump(document, sort_keys=False, default_flow_style=False, allow_unicode=True)
    assert written > 4000
    assert _yaml.dump({}) is None and _yaml.dump({"a": [1]}) is None and _yaml.dump({"a": {"b": 1}}) is None and _yaml.dump([1]) is None


def test_a_config_comes_back_whoever_reads_it(tmp_path):
    path = tmp_path / "eval_0.yaml"
    for config in ({"lrate": 1e-05, "batch_size": 3, "arch": "cnn", "bias": True, "none": None}, {"on": "off", "layers": [1, {"a": 2.5}], "text": "1e-3"}):
        save_yaml(config, path)
        assert load_yaml_config(path) == config
        assert yaml.load(path.read_text(), Loader=_loader()) == config


def test_files_that_cannot_be_read_are_named(tmp_path):
    from mle_hyperopt import RandomSearch
    from mle_logging import load_config

    space = {"real": {"x": {"begin": 0, "end": 1, "prior": "uniform"}}}
    for name in ("bad.yaml", "bad.json"):
        (tmp_path / name).write_bytes(b"a: \xff\n")
        with pytest.raises(ValueError, match=name):
            load_config(tmp_path / name)
    (tmp_path / "log.json").write_text("{")
    with pytest.raises(ValueError, match="log.json"):
        RandomSearch(**space, reload_path=str(tmp_path / "log.json"))
    strategy = RandomSearch(**space)
    with pytest.raises(ValueError, match="'good' is no number"):
        strategy.tell(strategy.ask(), "good")
    assert len(strategy) == 0
