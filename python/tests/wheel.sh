#!/usr/bin/env bash
# Installs a wheel where there is no compiler and no Rust, without a network, and uses it: bash python/tests/wheel.sh WHEEL [PYTHON]
set -euo pipefail
wheel=$(realpath "${1:?which wheel}")
python=${2:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
cd "$folder"
# No program of this machine but those of the environment.
PATH=$folder/venv/bin PIP_NO_INDEX=1 "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
env -i HOME="$folder" PATH="$folder/venv/bin:/usr/bin:/bin" "$folder/venv/bin/python" - <<'PY'
import subprocess
import mle
with mle.Logger("x.db", config={"lr": 0.1}, objective="loss") as log:
    log.log({"loss": 0.5})
assert mle.open("x.db").leaderboard()["mean"] == [0.5]
done = mle.Experiment({"name": "e", "command": ["sh", "-c", "mle log loss=1"], "metric": "loss"}, db="x.db").run()
assert done.state == "complete" and done.runs()["value"] == [1.0]
print(subprocess.run(["mle", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
PY
# The module and the programs, and the newest version of the C library any of them asks for.
"$folder/venv/bin/python" - "$folder/venv" <<'PY'
import pathlib, re, sys
venv = pathlib.Path(sys.argv[1])
files = [*venv.glob("lib/python3*/site-packages/mle/*.so"), *(venv / "bin").glob("mle*")]
newest = max(tuple(map(int, v.split(b"."))) for f in files for v in re.findall(rb"GLIBC_(2\.[0-9]+)", f.read_bytes()))
print(f"{len(files)} files, glibc {'.'.join(map(str, newest))} or newer")
PY
