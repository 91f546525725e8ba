#!/usr/bin/env bash
# The same game as train.py for those who start their training from a shell
# script. It needs bash, sed, tr and awk.
#
#     bash train.sh -config FILE -exp_dir DIR -seed N

set -eu

config="" exp_dir="experiments/by_hand" seed=0
while [ $# -gt 0 ]; do
    case "$1" in
        -config|-exp_dir|-seed)
            if [ $# -lt 2 ]; then echo "train.sh: $1 needs a value" >&2; exit 2; fi
            case "$1" in
                -config)  config="$2" ;;
                -exp_dir) exp_dir="$2" ;;
                -seed)    seed="$2" ;;
            esac
            shift 2 ;;
        *)  shift ;;   # not ours: ignore it
    esac
done
if [ -z "$config" ]; then echo "train.sh: -config is missing" >&2; exit 2; fi
if [ ! -r "$config" ]; then echo "train.sh: cannot read $config" >&2; exit 2; fi

# value KEY DEFAULT: a number out of the config, be it JSON or YAML. All it does
# is put every pair on a line of its own and look for "KEY:".
value() {
    local found
    found=$(sed 's/#.*//' "$config" | tr -d '"{} \t' | tr ',' '\n' | sed -n "s/^\(.*:\)\{0,1\}$1://p")
    found=${found%%$'\n'*}
    printf '%s\n' "${found:-$2}"
}
lrate=$(value lrate 0.1)
batch_size=$(value batch_size 8)

mkdir -p "$exp_dir"
echo "lrate $lrate, batch_size $batch_size, seed $seed"
LC_ALL=C awk -v lrate="$lrate" -v batch="$batch_size" -v seed="$seed" '
    function noise(size) { return size * (2 * rand() - 1) }
    BEGIN {
        srand(seed + 1)
        goal = 0.1 + 4 * (lrate - 0.28)^2 + ((batch - 16) / 32)^2 + noise(0.02)
        for (step = 1; step <= 20; step++) {
            train = goal + 2 * exp(-step / 4) + noise(0.01)
            test = train + 0.05 + noise(0.01)
            printf "::mle {\"step\": %d, \"train_loss\": %.4f, \"test_loss\": %.4f}\n", step, train, test
        }
    }' | tee "$exp_dir/train_sh_seed_$seed.log"
