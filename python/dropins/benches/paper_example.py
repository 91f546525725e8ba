"""The paper's illustrative example, by the original packages and by ours: the time that neither the user's training nor the
start of interpreters takes.

    python -m venv peers
    peers/bin/pip install mle-logging mle-hyperopt mle-scheduler mle-monitor "pickledb<1" "numpy<2"
    python paper_example.py peers/bin/python [ROUNDS]

Run it with the interpreter that has our wheels. A round runs three things, one after the other: the example with the original
packages, with ours, and `bare`: the same four trainings, two configs with two seeds, started at once by a script that logs,
searches, records and merges nothing, with the interpreter of the packages it stands for. What a package costs is its wall time
less that of its `bare`. Medians over the rounds are printed, with the least and the most.

The example and the training script are those of the tests, word for word; for the original packages two imports are replaced,
as their releases do not have the names that the paper imports.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from test_paper_example import EXAMPLE, TRAIN  # noqa: E402

BARE_TRAIN = """
import sys
config, seed = dict(lrate=0.1, batch_size=2, arch="cnn"), int(sys.argv[1])
for update in range(5):
    loss = config["lrate"] * config["batch_size"] + 0.1 * seed + (config["arch"] == "cnn") + 1 / (1 + update)
"""

BARE = """
import subprocess, sys
jobs = [subprocess.Popen([sys.executable, "bare_train.py", str(seed)]) for config in range(2) for seed in (1, 2)]
assert [job.wait() for job in jobs] == [0] * 4
"""

# Names that the paper's scripts import and the releases have elsewhere.
ELSEWHERE = {
    "from mle_logging import load_meta_log": "from mle_logging.load import load_meta_log",
    "from mle_logging.utils import load_yaml_config": "from mle_logging.utils.helpers import load_yaml_config",
}


def wall(interpreter, script, theirs):
    """Return the seconds that a script takes in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        texts = {"train.py": TRAIN, "example.py": EXAMPLE, "bare_train.py": BARE_TRAIN, "bare.py": BARE}
        for name, text in texts.items():
            for ours, other in ELSEWHERE.items() if theirs else ():
                text = text.replace(ours, other)
            Path(folder, name).write_text(text)
        Path(folder, "base_config.yaml").write_text("lrate: 0.1\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLE_")}
        environment["HOME"] = folder
        begun = time.monotonic()
        done = subprocess.run(
            [interpreter, script], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        took = time.monotonic() - begun
        log = Path(folder, "logs_search/meta_log.hdf5")
        if done.returncode or script == "example.py" and not log.is_file():
            sys.exit(f"{interpreter} {script} failed:\n{done.stdout}")
        return took


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    peers, rounds = shutil.which(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    if peers is None:
        sys.exit(f"there is no interpreter {sys.argv[1]}")
    # Not resolved: what a link of a virtual environment leads to is another interpreter.
    peers = os.path.abspath(peers)
    took = {"original": [], "original, bare": [], "ours": [], "ours, bare": []}
    for turn in range(rounds + 1):
        for name, interpreter, script, theirs in (
            ("original", peers, "example.py", True),
            ("ours", sys.executable, "example.py", False),
            ("original, bare", peers, "bare.py", True),
            ("ours, bare", sys.executable, "bare.py", False),
        ):
            found = wall(interpreter, script, theirs)
            if turn:  # The first fills caches.
                took[name].append(found)
    for name, all_of in took.items():
        print(f"{name:16} {statistics.median(all_of):7.3f} s  ({min(all_of):.3f} to {max(all_of):.3f})")
    cost = {name: statistics.median(took[name]) - statistics.median(took[f"{name}, bare"]) for name in ("original", "ours")}
    print(f"cost             original {cost['original']:.3f} s, ours {cost['ours']:.3f} s: {cost['original'] / cost['ours']:.1f} times less")


if __name__ == "__main__":
    main()
