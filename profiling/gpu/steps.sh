#!/bin/sh
# steps.sh FUNCTION [arguments]: the steps of on_gpu.sh and their parts, which calls each by its name and sets
# `root`, `build`, `bin`, `work`, `folder`, `json`, `googletest`, `python` and `cores`.
# shellcheck disable=SC2317 # functions are called by their names
# shellcheck disable=SC2154 # variables are those of on_gpu.sh
set -eu

self=$root/profiling/gpu/steps.sh

# A part of step $letter: a name, the most seconds it may take, and a command or a function of this file.
part()
{
    name=$1 limit=$2
    shift 2
    printf '\n==== %s: %s\n' "$letter" "$name"
    echo "$name" >"$work/running" # for on_gpu.sh, if the step ends before the part does
    begun=$(date +%s)
    result=passed
    # In the foreground: one process group a step, so that the step's end ends its parts.
    timeout --foreground -k 3 "$limit" "$@" || case $? in
    77) result=skipped ;;
    124 | 137) result='cut short' failed=1 ;;
    *) result="failed ($?)" failed=1 ;;
    esac
    seconds=$(($(date +%s) - begun))
    printf '==== %s: %s: %s, %s s\n' "$letter" "$name" "$result" "$seconds"
    echo "$letter|$name|$result|$seconds" >>"$work/parts"
    rm "$work/running"
}

own() { name=$1 limit=$2 && shift 2 && part "$name" "$limit" sh "$self" "$@"; }

skip()
{
    echo "skipped: $*"
    exit 77
}

# ---- a: build, card, smoke ----------------------------------------------------------------------------------

# A query and no more: no setting of the card is ever changed here.
query() { nvidia-smi --query-gpu="$1" --format=csv,noheader; }

card()
{
    for field in name driver_version compute_cap memory.total clocks.sm clocks.mem clocks.max.sm clocks.max.mem \
        clocks_event_reasons.active pstate temperature.gpu power.draw power.limit ecc.mode.current persistence_mode \
        compute_mode mig.mode.current; do
        printf '%-30s %s\n' "$field" "$(query "$field" 2>&1 | head -n 1)"
    done
    for tool in nvcc cmake ninja ncu nsys compute-sanitizer; do
        version=$("$tool" --version 2>/dev/null | sed -n '/[0-9]\.[0-9]/{p;q;}')
        printf '%-30s %s\n' "$tool" "${version:-none}"
    done
    printf '%-30s %s\n' PyTorch "$("$python" -c 'import torch; print(torch.__version__)' 2>/dev/null || echo none)"
    printf '%-30s %s\n' host "$(uname -srm), $cores cores"
    query name >/dev/null # fails where there is no card
}

configure()
{
    set -- -DCUTAPE_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90 -DCUTAPE_BENCHMARKS=ON -DCUTAPE_SIMT=OFF "$@"
    if [ -n "$googletest" ]; then
        set -- -DBUILD_TESTING=ON "-DCUTAPE_GOOGLETEST_DIR=$googletest" "$@"
    elif printf '#include <gtest/gtest.h>\n' | "${CXX:-c++}" -std=c++17 -x c++ -E - >/dev/null 2>&1; then
        set -- -DBUILD_TESTING=ON "$@"
    else
        echo 'no GoogleTest: the tests are left out; name its sources with --googletest'
        set -- -DBUILD_TESTING=OFF "$@"
    fi
    if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then set -- -G Ninja "$@"; fi
    cd "$root" && cmake --preset release -B "$build" "$@"
}

# Goes on after an error, so that one broken target does not take the others with it.
make_targets()
{
    go_on=-k
    if [ -f "$build/build.ninja" ]; then go_on='-k 0'; fi
    # shellcheck disable=SC2086 # two words
    cmake --build "$build" --parallel "$cores" ${1:+--target "$@"} -- $go_on
}

smoke()
{
    for device in cpu cuda; do
        "$bin/cutape" train --data spirals --epochs 3 --device "$device" --output "$work/$device.csv" || return 1
    done
    # Rounding alone lies between the two: a mean loss may differ by a part in a thousand.
    awk -F, -v json="$json" '
        FNR == 1 { next }
        NR == FNR { loss[$1] = $4; next }
        {
            apart = ($4 - loss[$1]) / loss[$1]
            if (apart < 0) apart = -apart
            printf "epoch %d: loss %s on the CPU, %s on the GPU, apart by %.1e\n", $1, loss[$1], $4, apart
            printf "{\"subject\": \"smoke\", \"case\": \"epoch %d\", \"loss on the CPU\": \"%s\", " \
                   "\"on the GPU\": \"%s\", \"apart by\": \"%.1e\"}\n", $1, loss[$1], $4, apart >>json
            epochs++
            if (!(apart <= 1e-3)) wrong = 1
        }
        END { exit (wrong || epochs != 3) }' "$work/cpu.csv" "$work/cuda.csv"
}

step_a()
{
    own 'card and tools' 20 card
    own 'configure' 60 configure "$@"
    own 'build: library and programs' 185 make_targets cutape_shared cutape_cuda cutape train_bench
    own 'training on the CPU and on the GPU' 30 smoke
    own 'build: probes' 120 make_targets micro_bench capture_probe cublaslt_probe fault_probe
    own 'build: tests and the rest' 185 make_targets
}

# ---- b to h -------------------------------------------------------------------------------------------------

step_b()
{
    for subject in node_gap fork_join launch_time unroll while_node grid_sync cluster set_scalars; do
        part "$subject" 20 "$bin/micro_bench" --json "$json" "$subject"
    done
}

step_c() { part 'epilogues, precisions and sizes' 120 "$bin/cublaslt_probe" --json "$json"; }

# The stand-in's tests need no GPU; those that build the project anew take too long.
device_tests()
{
    CUTAPE_TEST_DEVICES=cuda ctest --test-dir "$build" --parallel 4 --timeout 60 --output-on-failure \
        --test-output-size-failed 20000 --no-tests=error --label-exclude 'mutation|simt' --exclude-regex '^install'
}

step_d()
{
    part 'calls during a capture' 20 "$bin/capture_probe" --json "$json"
    own 'tests' 300 device_tests
}

# The short list: every op once by its samples, random bits and batches, training with captures and replays.
# $1: a tool of compute-sanitizer.
sanitizer()
{
    tool=$1 status=0
    command -v compute-sanitizer >/dev/null || {
        echo 'no compute-sanitizer here'
        return 1
    }
    export CT_POOL_DEBUG=1 CUTAPE_TEST_DEVICES=cuda
    set -- compute-sanitizer --tool "$tool" --error-exitcode 86 --print-limit 10
    "$@" "$bin/cutape" train --data spirals --epochs 1 --device cuda || status=1
    "$@" "$build/tests/train_tests" --gtest_filter='*DeviceParity*-*200Steps*' || status=1
    GTEST_TOTAL_SHARDS=8 GTEST_SHARD_INDEX=0 "$@" "$build/tests/ops_tests" --gtest_filter='*Parity*' || status=1
    return "$status"
}

step_e()
{
    own memcheck 60 sanitizer memcheck
    for tool in racecheck initcheck synccheck; do own "$tool" 40 sanitizer "$tool"; done
}

step_f()
{
    part 'in turns with PyTorch' 120 \
        "$python" "$root/profiling/gpu/in_turns.py" --json "$json" "$bin/train_bench"
}

# ncu with these options over some training steps. The clocks are left as they are.
ncu_over()
{
    ncu --clock-control none --graph-profiling node --kernel-name-base function --kill on "$@" \
        "$bin/train_bench" --steps 50 784-128-10 replay-1
}

# First a pass that finds the five, then ncu's basic set of each. That ncu ends the program early is no failure.
hottest()
{
    command -v ncu >/dev/null || skip 'no ncu here'
    "$bin/train_bench" --steps 3 784-128-10 replay-1 || return 1 # it has to run without ncu
    ncu_over --csv --metrics gpu__time_duration.sum --launch-skip 60 --launch-count 60 >"$work/ncu.csv" || true
    names=$("$python" "$root/profiling/gpu/hottest.py" --json "$json" "$work/ncu.csv") || case $? in
    77)
        grep -v '^"' "$work/ncu.csv" | head -n 20
        skip 'ncu measured nothing: it may not be allowed to read the counters'
        ;;
    *) return 1 ;;
    esac
    ncu_over --set basic --kernel-name "$names" --launch-skip 10 --launch-count 12 >"$work/basic.txt" || true
    cat "$work/basic.txt"
    grep -q Duration "$work/basic.txt"
}

# nsys.sh's two ways: launches of a profile, and nodes of replayed graphs, each by its record.
timeline()
{
    command -v nsys >/dev/null || skip 'no nsys here'
    "$root/profiling/nsys.sh" --out "$work/nsys" || skip 'nsys does not work here'
    "$root/profiling/nsys.sh" --out "$work/nsys" --replay
}

# Noise in the format and of the size of MNIST: the kernels take the same time for it.
noise_as_images()
{
    "$python" - "$work/images" "$work/labels" <<'END'
import random, struct, sys

random.seed(1)
for path, shape, most in (sys.argv[1], (8192, 28, 28), 256), (sys.argv[2], (8192,), 10):
    size = 1
    for n in shape:
        size *= n
    with open(path, "wb") as file:
        file.write(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape))
        file.write(bytes(random.choices(range(most), k=size)))
END
}

# What `cutape profile` tells of a step, by its own events: the same launches as in a replay, one by one.
profile()
{
    noise_as_images || return 1
    set -- "$bin/cutape" profile --device cuda --data idx --images "$work/images" --labels "$work/labels" --steps 20
    "$@" --replays 2000 --trace "$folder/profile.json" --html "$folder/profile.html" >"$folder/profile.txt" || return 1
    cat "$folder/profile.txt"
    "$bin/cutape" profile --device cuda --data spirals --steps 20 --replays 2000
}

# Each kernel alone with a cold cache, beside cuBLASLt and CUB where they have the like.
kernels() { "$bin/kernel_bench" --repeats 20; }

step_g()
{
    own 'profile: 784-128-10 and spirals' 30 profile
    own 'ncu: the five hottest of 784-128-10' 60 hottest
    own 'nsys: kernels by record' 40 timeline
    own 'kernels alone' 60 kernels
}

step_h()
{
    part 'a program over freed memory' 20 "$bin/fault_probe" --json "$json" freed
    part 'a stray kernel' 20 "$bin/fault_probe" --json "$json" stray
}

run_step()
{
    letter=$1 failed=0
    shift
    "step_$letter" "$@"
    printf '\n==== %s: clocks, temperature, power\n' "$letter"
    nvidia-smi --format=csv \
        --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_event_reasons.active || true
    grep -q "^$letter|.*|passed|" "$work/parts" || [ "$failed" -eq 1 ] || exit 77
    exit "$failed"
}

"$@"
