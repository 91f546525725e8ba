#!/usr/bin/env bash
# Runs all tests. On Debian as root it installs the programs the tests use; elsewhere it says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
for program in cargo python3 sqlite3 git cc; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ "${#missing[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    packages=()
    for program in "${missing[@]}"; do
        case "$program" in
            cargo) ;; # Debian's is too old: rust-version in Cargo.toml says what is needed.
            cc) packages+=(gcc libc6-dev) ;;
            python3) packages+=(python3 python3-venv) ;;
            *) packages+=("$program") ;;
        esac
    done
    if [ "${#packages[@]}" -gt 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    fi
fi
for program in "${missing[@]}"; do
    command -v "$program" >/dev/null || { echo "tests need $program; please install it" >&2; exit 2; }
done
cargo fmt --all --check
cargo build --bins
cargo test "$@"
# Words choose among the Rust tests; without any the Python package is tested too.
[ "$#" -gt 0 ] || exec bash python/tests/run.sh
