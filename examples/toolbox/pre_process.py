#!/usr/bin/env python3
"""Runs once, before the search: tabulates the loss without its noise.

In real life this is where a data set would be fetched or cut up. The table goes
to landscape.csv in the figures folder, which is inside the experiment's folder.
"""

import argparse
import csv
from pathlib import Path

from train import objective


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    ap.add_argument("-exp_dir", "--experiment_dir", default="experiments/grid")
    ap.add_argument("-figures_dir", "--figures_dir", default="figures")
    args, _ = ap.parse_known_args()

    folder = Path(args.experiment_dir) / args.figures_dir
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "landscape.csv", "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["lrate", "batch_size", "loss"])
        for tenths in range(1, 10):
            for batch_size in (4, 8, 16, 32):
                loss = objective(tenths / 10, batch_size)
                out.writerow([tenths / 10, batch_size, round(loss, 4)])
    print("wrote", folder / "landscape.csv")


if __name__ == "__main__":
    main()
