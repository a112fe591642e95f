#!/bin/sh
# Nsight Compute over the kernels of one op, or of one record, in a program that uses cutape. `ncu.sh --help` tells how;
# README.md tells why each flag of ncu is there, and what to look at.
set -eu

usage()
{
    cat <<'END'
usage: profiling/ncu.sh [options] [-- command...]

  --op NAME       kernels of this op, by their symbols: linear, sum, adam
  --range NAME    kernels of records with this range: linear, or 'linear#3 backward dw (layers.0.weight)';
                  regex:EXPRESSION takes those that match
  --launches N    the first N of them (all)
  --set WHICH     what is measured: basic, full or roofline (basic)
  --warm          leave the caches as they are; they are emptied before each measurement otherwise
  --output FILE   write a report for ncu-ui, FILE.ncu-rep, instead of printing; an old one is kept
  --replay        nodes of CUDA graphs, in ct_replay, and not what a profile plays launch by launch
  --dry-run       print the command and run nothing

The command is a program that calls ct_profile_begin and ct_profile_end, or with --replay ct_replay; without one, it is
one step of 'cutape profile --data spirals'. NCU names another ncu than the first on the PATH. Exit status 77: there
is none.
END
}

die()
{
    echo "ncu.sh: $*" >&2
    exit 2
}

# ---- what is measured ---------------------------------------------------------------------------------------

# The kernels of op $1, as alternatives of a regular expression: of its name, as a rule.
kernels_of()
{
    case $1 in
    linear | matmul) echo 'gemm|gemm_epilogue' ;;
    sum) echo 'reduce_all|reduce_rows|reduce_columns' ;;
    act_grad) echo 'act_grad_[a-z_]+' ;;
    reshape | transpose | expand | slice | assign) echo copy ;;
    pad) echo concat ;;
    embedding_grad) echo 'embedding_order|embedding_grad' ;;
    *) echo "$1" ;;
    esac
}

# All of them but what the profiler itself launches, so that no launch waits for the host.
kernel_filter()
{
    if [ -z "$op" ]; then
        echo 'regex:^(?!ct_hold$)'
        return
    fi
    kernels=$(kernels_of "$op")
    # In a graph, independent launches share a kernel.
    if [ $replay = yes ]; then kernels="$kernels|group_launch"; fi
    echo "regex:^ct_($kernels)(_(f32|f64|i32|i64|u8|bits[0-9]+))?\$"
}

# Range $1 of the domain, for --nvtx-include: a push/pop range ends in a slash, or in a bracket if no other is within
# it; what else means something in a name has a backslash before it.
range_filter()
{
    end=/
    if [ $replay = yes ]; then end=']'; fi
    case $1 in
    regex:'['*) printf 'regex:cutape@/%s%s' "${1#regex:}" "$end" ;; # not the bottom of the stack
    regex:*) printf 'regex:cutape@%s%s' "${1#regex:}" "$end" ;;
    *) printf 'cutape@%s%s' "$(printf '%s' "$1" | sed 's/[][@,/*+]/\\&/g')" "$end" ;;
    esac
}

check_op()
{
    case $op in *[!a-z0-9_]*) die "--op takes the name of an op, not '$op'" ;; esac
    grep -q "CT_OP($op)" "$root/runtime/ops/ops.def" ||
        die "no op '$op'; for one of your own, take the name of its range: --range $op"
}

check_range()
{
    case $range in
    regex:?*) ;;
    regex: | '') die '--range takes a name, or regex:EXPRESSION' ;;
    *\\*) die "--range takes no name with a backslash: '$range'; regex:EXPRESSION may do" ;;
    *'#'*' backward'* | *'#'*' hook'*) ;;
    *'#'*) die "'$range': but for what leads to a gradient, a record's range is its op: --range ${range%%#*}" ;;
    esac
}

# ---- running ------------------------------------------------------------------------------------------------

# The program of a usual build.
find_cutape()
{
    for folder in gpu release; do
        if [ -x "$root/build/$folder/bin/cutape" ]; then
            echo "$root/build/$folder/bin/cutape"
            return
        fi
    done
    die 'no bin/cutape in build/gpu or build/release: ./dev profile builds it; or name a command behind --'
}

# As a shell takes it.
show()
{
    line=
    for word; do
        case $word in
        '' | *[!a-zA-Z0-9_./=:,@%+-]*) word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'" ;;
        esac
        line="$line${line:+ }$word"
    done
    printf '%s\n' "$line"
}

# The command is "$@".
run()
{
    if [ -n "$output" ]; then set -- --export "$output" "$@"; fi
    if [ -n "$launches" ]; then set -- --launch-count "$launches" "$@"; fi
    if [ $warm = yes ]; then set -- --cache-control none "$@"; fi
    set -- --set "$which" --clock-control none "$@"
    set -- --kernel-name-base function --kernel-name "$(kernel_filter)" "$@"
    if [ $replay = yes ]; then
        set -- --nvtx --nvtx-include "$(range_filter "${range:-replay}")" --graph-profiling node "$@"
    else
        if [ -n "$range" ]; then set -- --nvtx-include "$(range_filter "$range")" "$@"; fi
        set -- --nvtx --profile-from-start off "$@"
    fi
    if [ $dry = yes ]; then
        show "$ncu" "$@"
        exit
    fi
    if ! command -v "$ncu" >/dev/null; then
        echo "ncu.sh: skipped: no $ncu here; it comes with the CUDA toolkit, as Nsight Compute" >&2
        exit 77
    fi
    exec "$ncu" "$@"
}

root=$(dirname -- "$(cd -- "$(dirname -- "$0")" && pwd)")
ncu=ncu
if ! command -v ncu >/dev/null && [ -x /usr/local/cuda/bin/ncu ]; then ncu=/usr/local/cuda/bin/ncu; fi
ncu=${NCU:-$ncu}
op='' range='' launches='' which=basic output='' warm=no replay=no dry=no
while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    --help | -h) usage && exit ;;
    --warm) warm=yes && shift && continue ;;
    --replay) replay=yes && shift && continue ;;
    --dry-run) dry=yes && shift && continue ;;
    --op | --range | --launches | --set | --output) [ $# -ge 2 ] || die "$1 needs a value" ;;
    -*) die "no option $1; --help shows those there are" ;;
    *) die "a command stands behind --: -- $1" ;;
    esac
    case $1 in
    --op) op=$2 && check_op ;;
    --range) range=$2 && check_range ;;
    --launches) launches=$2 ;;
    --set) which=$2 ;;
    --output) output=$2 ;;
    esac
    shift 2
done
case $replay$range in yesregex:*) die '--replay takes the name of a range, and no expression' ;; esac
case $launches in 0* | *[!0-9]*) die "--launches takes a whole number from 1, not '$launches'" ;; esac
case $which in basic | full | roofline) ;; *) die "--set takes basic, full or roofline, not '$which'" ;; esac
if [ $# -eq 0 ]; then
    cutape=$(find_cutape)
    set -- "$cutape" profile --data spirals --device cuda --steps 1 --replays
    if [ $replay = yes ]; then set -- "$@" 1; else set -- "$@" 0; fi
fi
run "$@"
