#!/usr/bin/env bash
# Installs the Python package into a virtual environment of its own and runs its tests. Words go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
venv=${MLE_TEST_VENV:-$root/target/python-venv}
if [ ! -x "$venv/bin/pip" ]; then
    # Debian keeps what makes environments in a package of its own.
    if ! python3 -c "import ensurepip" 2>/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    fi
    python3 -m venv "$venv" || { echo "tests need python3 with the module venv; please install it" >&2; exit 2; }
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check pytest numpy pandas matplotlib mypy h5py pyyaml rich nevergrad dotmap scipy \
    nbclient ipykernel tensorboard safetensors scikit-learn optuna cmaes lightgbm
# The profile of `cargo test`, whose dependencies are compiled already.
MATURIN_PEP517_ARGS="--profile dev" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall \
    --no-deps ./python ./python/dropins
(cd python && "$venv/bin/mypy" --cache-dir "$root/target/mypy")
cd "$venv"
PYTHONPATH=$root/python/tests exec "$venv/bin/python" -m pytest -p lab -p no:cacheprovider --rootdir "$root/python" -q \
    --doctest-modules --doctest-ignore-import-errors "$root/python/tests" "$root/python/dropins/tests" --pyargs mle mle_logging mle_hyperopt "$@"
