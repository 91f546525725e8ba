#!/usr/bin/env python3
"""Train a small neural network on 8x8 images of handwritten digits.

One hidden layer, a softmax on top, and plain stochastic gradient descent, one
image at a time. It needs nothing but Python itself (3.9 or newer), so it is no
fast trainer, but the data is small: a run takes a second or so.

All it does for the tracker is print. After every epoch it writes one line:

    ::mle {"step": 3, "train_loss": 0.1234, "test_accuracy": 0.93}

Run by hand, those lines are just a little extra output.

With --save FILE it keeps what it has learnt when it is done, and with --resume
FILE it goes on from there: --epochs then counts from the very beginning. That
is all a search needs that trains promising settings further (epochs.yaml).
"""

import argparse
import gzip
import json
import math
import os
import random
from operator import mul, sub
from pathlib import Path

DATA = Path(__file__).resolve().parent / "digits.csv.gz"
PIXELS = 64
CLASSES = 10
N_TRAIN = 500
N_TEST = 250


def load_digits():
    """Return (train, test), two lists of (where, ink, label).

    Half of an image is blank paper. Only the other pixels are kept: `where`
    holds their positions, `ink` how dark each of them is, from 0 to 1.
    """
    with gzip.open(DATA, "rt") as f:
        lines = f.readlines()
    # The split is the same for every seed: runs differ in their starting
    # weights and in the order of the images, never in the images themselves.
    random.Random(0).shuffle(lines)
    images = []
    for line in lines[:N_TRAIN + N_TEST]:
        *pixels, label = map(int, line.split(","))
        where = [i for i, v in enumerate(pixels) if v]
        ink = [pixels[i] / 16 for i in where]
        images.append((where, ink, label))
    return images[:N_TRAIN], images[N_TRAIN:]


def softmax(z):
    """Turn scores into probabilities; never raise, whatever is in z.

    With far too high a learning rate the scores grow until they are inf or
    NaN. The probabilities are then NaN, and so is the loss that gets reported.
    """
    top = max(z)
    e = [math.exp(a - top) if a <= top else math.nan for a in z]
    total = sum(e)
    return [a / total for a in e]


class Net:
    def __init__(self, hidden, act, rng):
        self.relu = act == "relu"
        # w1 has a row for each pixel, w2 a row for each class. About 32 of the
        # 64 pixels of an image are not blank, hence the 32.
        s1 = math.sqrt((2 if self.relu else 1) / 32)
        s2 = math.sqrt(1 / hidden)
        self.w1 = [[rng.gauss(0, s1) for _ in range(hidden)] for _ in range(PIXELS)]
        self.w2 = [[rng.gauss(0, s2) for _ in range(hidden)] for _ in range(CLASSES)]
        self.b1 = [0.0] * hidden
        self.b2 = [0.0] * CLASSES

    def forward(self, where, ink):
        """Return the hidden units and the probability of each class."""
        columns = zip(*[self.w1[i] for i in where])
        h = [b + sum(map(mul, ink, column)) for b, column in zip(self.b1, columns)]
        if self.relu:
            h = [0.0 if a < 0 else a for a in h]
        else:
            h = [math.tanh(a) for a in h]
        return h, softmax([b + sum(map(mul, row, h)) for b, row in zip(self.b2, self.w2)])

    def learn(self, where, ink, label, lr):
        """Take one gradient step on one image and return its loss."""
        h, p = self.forward(where, ink)
        loss = math.nan if math.isnan(p[label]) else -math.log(max(p[label], 1e-12))

        # Gradients at the output (p - 1 for the right class) and at the hidden layer.
        p[label] -= 1.0
        back = [sum(map(mul, p, column)) for column in zip(*self.w2)]
        if self.relu:
            back = [g if a > 0 else 0.0 for g, a in zip(back, h)]
        else:
            back = [g * (1 - a * a) for g, a in zip(back, h)]

        for k, d in enumerate(p):
            d *= lr
            self.w2[k] = [w - d * a for w, a in zip(self.w2[k], h)]
            self.b2[k] -= d
        # There are only 16 shades of ink: work out the step for each just once.
        steps = {v: [lr * v * g for g in back] for v in set(ink)}
        for i, v in zip(where, ink):
            self.w1[i] = list(map(sub, self.w1[i], steps[v]))
        self.b1 = [b - lr * g for b, g in zip(self.b1, back)]
        return loss

    def state(self):
        return [self.w1, self.w2, self.b1, self.b2]

    def restore(self, state):
        self.w1, self.w2, self.b1, self.b2 = state

    def accuracy(self, images):
        right = 0
        for where, ink, label in images:
            _, p = self.forward(where, ink)
            right += p.index(max(p)) == label
        return right / len(images)


def main():
    ap = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    ap.add_argument("--lr", type=float, default=0.03, help="learning rate (default 0.03)")
    ap.add_argument("--hidden", type=int, default=32, help="hidden units (default 32)")
    ap.add_argument("--act", choices=["relu", "tanh"], default="relu", help="default relu")
    ap.add_argument("--epochs", type=int, default=5, help="passes over the images (default 5)")
    ap.add_argument("--seed", type=int, default=0, help="default 0")
    ap.add_argument("--resume", default="", metavar="FILE", help="go on from what --save wrote")
    ap.add_argument("--save", default="", metavar="FILE", help="keep what was learnt")
    args = ap.parse_args()

    train, test = load_digits()
    rng = random.Random(args.seed)
    net = Net(args.hidden, args.act, rng)
    print(f"{len(train)} images to train on, {len(test)} to test on; lr {args.lr:g}, "
          f"{args.hidden} {args.act} units, seed {args.seed}", flush=True)

    done = 0
    if args.resume:
        with open(args.resume) as f:
            saved = json.load(f)
        done = saved["epoch"]
        net.restore(saved["net"])
        print(f"going on after epoch {done}", flush=True)
    for epoch in range(1, args.epochs + 1):
        rng.shuffle(train)
        if epoch <= done:
            continue  # the images come in the order they would have come in
        loss = sum(net.learn(*image, args.lr) for image in train) / len(train)
        accuracy = net.accuracy(test)
        report = {
            "step": epoch,
            "train_loss": round(loss, 4),
            "test_accuracy": round(accuracy, 4),
        }
        print("::mle " + json.dumps(report), flush=True)
        if epoch % 3 == 0 or epoch == args.epochs:
            print(f"epoch {epoch}: loss {loss:.3f}, {accuracy:.1%} of the test images right",
                  flush=True)
    if args.save:
        # All of it or nothing is there, also when this is killed meanwhile.
        with open(args.save + ".part", "w") as f:
            json.dump({"epoch": max(done, args.epochs), "net": net.state()}, f)
        os.replace(args.save + ".part", args.save)


if __name__ == "__main__":
    main()
