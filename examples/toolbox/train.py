#!/usr/bin/env python3
"""A stand-in for a training script, on the command line mle-toolbox uses:

    python3 train.py -config FILE -exp_dir DIR -seed N

There is no network in here. The "loss" is a formula with its best point at
lrate 0.28, batch_size 16 and arch mlp; the seed adds some noise. Twenty steps
take a few milliseconds, so a whole search is over before you look up. It needs
nothing but Python itself (3.9 or newer).
"""

import argparse
import json
import math
import random
from pathlib import Path

STEPS = 20
ARCH_PENALTY = {"mlp": 0.0, "cnn": 0.1, "rnn": 0.3}


def read_config(fname):
    """Read a JSON file, or a simple YAML one, into a dict."""
    text = Path(fname).read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        return json.loads(text)
    return simple_yaml(text, fname)


def simple_yaml(text, fname):
    """Read the little bit of YAML these examples use, and refuse the rest.

    That bit is `key: value` lines, and sections: a line `name:` with such
    lines, indented, below it. Sections do not nest. A list is `[a, b]`, or
    lines `- a` below its name.
    """
    config, section, empty = {}, None, None
    for number, line in enumerate(text.splitlines(), 1):
        line = (" " + line).split(" #")[0][1:].rstrip()
        if not line.strip() or line == "---":
            continue
        if line.strip().startswith("- ") and empty:
            place, key = empty
            place[key] = (place[key] or []) + [scalar(line.strip()[2:])]
            continue
        indented = line[0] == " "
        key, colon, value = line.strip().partition(":")
        if not colon or (indented and section is None):
            raise ValueError(f"{fname}, line {number}: expected `key: value`, got {line!r}")
        place, key = (section if indented else config), scalar(key)
        place[key] = scalar(value) if value else {}
        empty = None if value else (place, key)
        if not indented:
            section = None if value else place[key]
    return config


def scalar(text):
    """Turn the text of one YAML value into a Python value."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return [scalar(item) for item in text[1:-1].split(",") if item.strip()]
    words = {"true": True, "false": False, "null": None, "~": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def objective(lrate, batch_size, arch="mlp"):
    """The loss a run heads for, before any noise."""
    return (0.1 + 4 * (lrate - 0.28) ** 2 + ((batch_size - 16) / 32) ** 2
            + ARCH_PENALTY.get(arch, 0.5))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    ap.add_argument("-config", "--config_fname", required=True)
    ap.add_argument("-exp_dir", "--experiment_dir", default="experiments/by_hand")
    ap.add_argument("-seed", "--seed_id", type=int, default=0)
    # Whoever starts us may pass more than we know about; that is all right.
    args, extra = ap.parse_known_args()

    config = read_config(args.config_fname)
    # As in mle-toolbox, the parameters are in the section train_config. A file
    # without that section is read as if all of it were one.
    train_config = config.get("train_config", config)
    lrate = float(train_config.get("lrate", 0.1))
    batch_size = int(train_config.get("batch_size", 8))
    arch = str(train_config.get("arch", "mlp"))

    print(f"lrate {lrate:g}, batch_size {batch_size}, arch {arch}, seed {args.seed_id}")
    if extra:
        print("ignored on the command line:", " ".join(extra))

    rng = random.Random(args.seed_id)
    floor = objective(lrate, batch_size, arch) + rng.gauss(0, 0.01)
    for step in range(1, STEPS + 1):
        train_loss = floor + 2 * math.exp(-step / 4) + rng.gauss(0, 0.005)
        test_loss = train_loss + 0.05 + rng.gauss(0, 0.005)
        report = {
            "step": step,
            "train_loss": round(train_loss, 4),
            "test_loss": round(test_loss, 4),
        }
        print("::mle " + json.dumps(report), flush=True)

    # Leave the result behind for post_process.py. Runs may share the folder, so
    # the file is named after what tells them apart.
    result = {"lrate": lrate, "batch_size": batch_size, "arch": arch,
              "seed": args.seed_id, "test_loss": report["test_loss"]}
    folder = Path(args.experiment_dir)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"result_{lrate:g}_{batch_size}_{arch}_seed_{args.seed_id}.json"
    (folder / name).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
