#!/bin/sh
# compare.sh STEP_BENCH [options of Google Benchmark]
# Runs all of STEP_BENCH; then, where python3 has PyTorch, the two training steps here and there in turns,
# ROUNDS (5) times each, and prints the medians. PYTHON names another interpreter, THREADS a number of
# threads for both; without it each side chooses its own.
set -eu

bench=$1
shift
here=$(cd -- "$(dirname -- "$0")" && pwd)
rounds=${ROUNDS:-5}
threads=${THREADS:-0}
# Settings that keep old OpenBLAS builds from crashing slow newer ones down.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export CUTAPE_BENCH_THREADS="$threads"

"$bench" "$@"

python=
for candidate in ${PYTHON:-python3 /usr/bin/python3}; do
    if "$candidate" -c 'import torch' 2>/dev/null; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
    echo 'no PyTorch (Debian: python3-torch; PyPI: torch): nothing to compare with'
    exit 0
fi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
echo
echo "in turns with PyTorch $("$python" -c 'import torch; print(torch.__version__)'), $rounds rounds"
round=0
while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    # One manner at a time, as a CSV table has one set of counters. Its lines: "replay/4-4-4/real_time",100,2.5,...
    for manner in replay record; do
        "$bench" --benchmark_filter="^$manner/(784|32)" --benchmark_format=csv 2>/dev/null |
            sed -n 's|^"\([a-z]*\)/\([0-9-]*\)/real_time",[0-9]*,\([0-9.e+]*\),.*|\2 cutape-\1 \3|p' >>"$results"
    done
    "$python" "$here/peer_torch.py" --threads "$threads" | sed 's/ / torch-/' >>"$results"
done

# Medians of each manner, and how many times a replayed step they are.
sort -k1,1r -k2,2 -k3,3g "$results" | awk '
    function close_group() {
        if (!n) return
        median = n % 2 ? value[(n + 1) / 2] : (value[n / 2] + value[n / 2 + 1]) / 2
        if (manner == "cutape-replay") replay[network] = median
        networks[++m] = network; manners[m] = manner; medians[m] = median; least[m] = value[1]; most[m] = value[n]
        n = 0
    }
    { if ($1 != network || $2 != manner) close_group()
      network = $1; manner = $2; value[++n] = $3 }
    END {
        close_group()
        printf "%-12s %-15s %10s %10s %10s %9s\n", "network", "manner", "us/step", "least", "most", "x replay"
        for (i = 1; i <= m; i++)
            printf "%-12s %-15s %10.1f %10.1f %10.1f %9.2f\n", networks[i], manners[i], medians[i], least[i], most[i],
                   medians[i] / replay[networks[i]]
    }'
