#!/bin/sh
# Everything that only a GPU can tell, from a bare checkout and within ten minutes. `on_gpu.sh --help` tells how.
# The results are one folder, written as the run goes on; results/README.md tells what is in it.
set -eu

# Letter, seconds at most, title. What a step leaves of its time goes to those behind it.
steps='a 180 build, card, training on the CPU and on the GPU
b 55 microbenchmarks
c 45 cuBLASLt
d 80 tests on the device
e 80 compute-sanitizer
f 50 training, beside PyTorch
g 65 profile and hottest kernels
h 25 after a fault'

usage()
{
    cat <<'END'
usage: profiling/on_gpu.sh [options] [-- options of cmake]

  --out DIR         where the folder of results is made (profiling/results)
  --googletest DIR  GoogleTest's sources (/usr/src/googletest, if they are there)
  --steps LETTERS   only some of the steps (abcdefgh)
  --minutes N       for all of them together (10)

END
    echo "$steps" | sed 's/^\(.\) [0-9]* /  \1  /'
    cat <<'END'

A step that fails or takes too long does not stop those behind it; the exit status is 0 if all went well. A part
that cannot be had on this machine, such as a profiler, is skipped and does no harm. Settings of the GPU are read
and never changed. PYTHON names the Python that has PyTorch.
END
}

die()
{
    echo "on_gpu.sh: $*" >&2
    exit 2
}

# ---- the run ------------------------------------------------------------------------------------------------

# Seconds that the steps behind $1 may take.
seconds_behind()
{
    echo "$steps" | awk -v at="$1" -v wanted="$wanted" -v minutes="$minutes" '
        index(wanted, $1) && found { sum += int($2 * minutes / 10) }
        $1 == at { found = 1 }
        END { print sum + 0 }'
}

step_line() { echo "$1|$2|$3|$4" >>"$work/steps"; }

one_step()
{
    letter=$1 title=$2
    shift 2
    left=$((deadline - $(date +%s) - $(seconds_behind "$letter")))
    if [ $left -lt 1 ]; then
        step_line "$letter" "$title" 'no time left' 0
        return 1
    fi
    echo "on_gpu.sh: $letter, $title (at most $left s)"
    begun=$(date +%s)
    timeout -k 5 "$left" sh "$here/gpu/steps.sh" run_step "$letter" "$@" >>"$folder/log.txt" 2>&1 </dev/null &
    running=$!
    result=passed
    wait $running || case $? in
    77) result=skipped ;;
    124 | 137) result='cut short' ;;
    *) result=failed ;;
    esac
    running=
    if [ -f "$work/running" ]; then
        echo "$letter|$(cat "$work/running")|$result|" >>"$work/parts"
        rm "$work/running"
    fi
    step_line "$letter" "$title" "$result" $(($(date +%s) - begun))
    case $result in passed | skipped) ;; *) return 1 ;; esac
}

commit()
{
    text=$(git -C "$root" log -1 --format='%h %cs' 2>/dev/null) || text=unknown
    [ -z "$(git -C "$root" status --porcelain --untracked-files=no 2>/dev/null)" ] || text="$text, with changes"
    echo "$text"
}

# Rewritten after each step, from the files that the steps write.
summary()
{
    {
        printf '# %s, %s\n\n' "$card_name" "$day"
        printf 'Driver %s, commit %s. ' "${driver:-unknown}" "$(commit)"
        echo "Times are in microseconds, as the median with the 10th and the 90th of a hundred."
        printf '\n| step | | result | s |\n| --- | --- | --- | --- |\n'
        while IFS='|' read -r letter title result seconds; do
            echo "| **$letter** | **$title** | **$result** | **$seconds** |"
            grep "^$letter|" "$work/parts" | sed 's/^[^|]*|\(.*\)|\(.*\)|\(.*\)$/| | \1 | \2 | \3 |/'
        done <"$work/steps"
        echo
        "$python" "$here/gpu/summary.py" "$json" || echo 'The figures are in measurements.jsonl.'
    } >"$work/summary.md"
    # Paths of this machine are of no use elsewhere.
    for file in "$work/summary.md" "$folder/log.txt"; do
        sed "s|$root/||g" "$file" >"$work/scrubbed"
        cat "$work/scrubbed" >"$folder/${file##*/}"
    done
}

make_folder()
{
    card_name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
    card_name=${card_name:-no GPU}
    day=$(date +%Y-%m-%d)
    name=$out/$(printf '%s' "$card_name" | tr '[:upper:]' '[:lower:]' | tr -cs '[:lower:][:digit:]' '-')-$day
    folder=$name n=1
    while [ -e "$folder" ]; do
        n=$((n + 1))
        folder=$name-$n
    done
    mkdir -p "$folder" "$work"
    folder=$(cd -- "$folder" && pwd)
    json=$folder/measurements.jsonl
    rm -f "$work/running"
    for file in "$work/steps" "$work/parts" "$json" "$folder/log.txt"; do : >"$file"; done
}

# shellcheck disable=SC2317 # a trap calls it
stop()
{
    [ -z "$running" ] || kill "$running" 2>/dev/null || true
    exit 130
}

run()
{
    deadline=$(($(date +%s) + minutes * 60 - 10)) # the end takes some seconds too
    make_folder
    export root build bin work folder json googletest python cores
    running='' bad=0
    trap stop INT TERM HUP
    for letter in a b c d e f g h; do
        case $wanted in *"$letter"*) ;; *) continue ;; esac
        title=$(echo "$steps" | sed -n "s/^$letter [0-9]* //p")
        one_step "$letter" "$title" "$@" || bad=1
        summary
    done
    sed -n '/^| step/,/^$/p' "$work/summary.md"
    echo "on_gpu.sh: the results are in $folder"
    exit $bad
}

here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
build=$root/build/gpu bin=$root/build/gpu/bin work=$root/build/gpu/on_gpu
out=$here/results googletest='' wanted=abcdefgh minutes=10
python=${PYTHON:-python3}
cores=$(nproc 2>/dev/null || echo 4)
if [ -f /usr/src/googletest/CMakeLists.txt ]; then googletest=/usr/src/googletest; fi
if ! command -v nvcc >/dev/null && [ -x /usr/local/cuda/bin/nvcc ]; then PATH=$PATH:/usr/local/cuda/bin; fi

while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    --help | -h) usage && exit ;;
    --out | --googletest | --steps | --minutes) [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "no option $1; --help shows those there are" ;;
    esac
    case $1 in
    --out) out=$2 ;;
    --googletest)
        [ -f "$2/CMakeLists.txt" ] || die "$2 holds no CMakeLists.txt of GoogleTest"
        googletest=$(cd -- "$2" && pwd)
        ;;
    --steps) wanted=$2 ;;
    --minutes) minutes=$2 ;;
    esac
    shift 2
done
case $wanted in '' | *[!abcdefgh]*) die "--steps takes letters from a to h" ;; esac
case $minutes in '' | 0* | *[!0-9]*) die "--minutes takes a whole number from 1" ;; esac
run "$@"
