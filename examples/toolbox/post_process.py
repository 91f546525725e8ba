#!/usr/bin/env python3
"""Runs once, after the search: ranks the settings by their mean test loss.

Collects the result_*.json files that train.py left anywhere under the
experiment's folder, and writes ranking.txt into its figures folder.
"""

import argparse
import json
from pathlib import Path
from statistics import mean


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    ap.add_argument("-exp_dir", "--experiment_dir", default="experiments/grid")
    ap.add_argument("-figures_dir", "--figures_dir", default="figures")
    args, _ = ap.parse_known_args()

    experiment = Path(args.experiment_dir)
    by_setting = {}
    for path in sorted(experiment.rglob("result_*.json")):
        r = json.loads(path.read_text(encoding="utf-8"))
        setting = (r["lrate"], r["batch_size"], r["arch"])
        by_setting.setdefault(setting, []).append(r["test_loss"])

    lines = [f"{'lrate':>8} {'batch':>6} {'arch':>6} {'runs':>5} {'test loss':>10}"]
    for (lrate, batch_size, arch), losses in sorted(by_setting.items(), key=lambda i: mean(i[1])):
        lines.append(f"{lrate:8.4g} {batch_size:6d} {arch:>6} {len(losses):5d} {mean(losses):10.4f}")
    if not by_setting:
        lines.append(f"(no results under {experiment})")

    folder = experiment / args.figures_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ranking.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
