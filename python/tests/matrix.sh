#!/usr/bin/env bash
# Runs the tests of logging, files and ends, forks, signals and kills among them, on several interpreters, each with numpy 1, 2 and none:
#   bash python/tests/matrix.sh [WHEEL] [PYTHON …]
# Without a wheel one is built; without interpreters all from 3.9 on that are found are taken. One line a combination.
set -uo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
wheel=
if [[ ${1:-} == *.whl ]]; then
    wheel=$(realpath "$1")
    shift
fi
pythons=("$@")
if [ "${#pythons[@]}" -eq 0 ]; then
    shopt -s nullglob
    for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]*; do
        # Of the same minor version the first one.
        version=$("$python" -c 'import sys; print("%d.%02d" % sys.version_info[:2])' 2>/dev/null) || continue
        [[ $version > 3.08 && -z ${seen[${version/./}]:-} ]] || continue
        seen[${version/./}]=1
        pythons+=("$python")
    done
fi
[ "${#pythons[@]}" -gt 0 ] || { echo "no interpreter was found; name some" >&2; exit 2; }
if [ -z "$wheel" ]; then
    mkdir -p target/matrix
    MATURIN_PEP517_ARGS="--profile dev" "${pythons[0]}" -m pip wheel --quiet --no-deps --wheel-dir target/matrix ./python
    wheel=$(ls -t "$root"/target/matrix/mle-*.whl | head -1)
fi
bad=0
for python in "${pythons[@]}"; do
    for numpy in none "numpy<2" "numpy>=2"; do
        version=$("$python" -c 'import platform; print(platform.python_version())')
        venv=$root/target/matrix/$version-${numpy//[^a-z0-9]/}
        [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv" || exit 2
        packages=(pytest)
        [ "$numpy" = none ] || packages+=("$numpy")
        # A version of numpy that was never made for an interpreter is no failure of ours.
        if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "${packages[@]}" 2>"$venv/pip.log"; then
            echo "$version $numpy: left out, $(tail -1 "$venv/pip.log")"
            continue
        fi
        "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel" || exit 2
        said=$(cd "$venv" && PYTHONPATH=$root/python/tests "$venv/bin/python" -m pytest -p lab -p no:cacheprovider -q -x \
            --rootdir "$root/python" "$root/python/tests/test_logger.py" "$root/python/tests/test_file.py" \
            "$root/python/tests/test_ends.py" 2>&1) || bad=1
        echo "$version $numpy: $(tail -1 <<<"$said")"
        grep -E "^(FAILED|ERROR)" <<<"$said"
    done
done
exit "$bad"
