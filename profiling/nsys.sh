#!/bin/sh
# What the GPU did, by the records of cutape: runs a program under Nsight Systems, and prints its GPU time as
# nsys_table.py joins it with records. `nsys.sh --help` tells how.
set -eu

usage()
{
    cat <<'END'
usage: profiling/nsys.sh [options] [-- command...]

Runs command, by default `cutape profile --data spirals` of build/gpu or build/release, under Nsight Systems; exports
the report to SQLite and prints the table of it by records. What is captured:

                from ct_profile_begin to ct_profile_end, without any of the next two: steps are played launch by
                launch, and the NVTX range of a record stands around its launches
  --replay      the first ct_replay, as it runs: the nodes of its graph. Their records are known from the file that
                ct_profile_trace writes beside a trace, so the program has to profile too; or with --whole
  --whole       all of the run; ranges of what graphs are captured from tell their nodes' records

  --out DIR     for the results, which are overwritten (build/nsys)
  --nodes FILE  the .nodes.csv that command writes (DIR/trace.json.nodes.csv, if it writes that)
  --sort ORDER  of the table: time, record, op or phase (time)
  --csv         the table as CSV
  --dry-run     print the commands instead

DIR gets report.nsys-rep, for nsys-ui; report.sqlite, for nsys_table.py; and the default program's trace.json, for
Perfetto. Exit status: 0; 1 if something failed; 2 for wrong use; 77 if there is no nsys. PYTHON names a Python 3.
END
}

say() { echo "nsys.sh: $*" >&2; }

die()
{
    say "$@"
    exit "${status:-2}"
}

# The words of a command, as a shell reads them.
show()
{
    line=
    for word in "$@"; do
        case $word in
        '' | *[!A-Za-z0-9_./=,:@%+-]*) word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'" ;;
        esac
        line="$line${line:+ }$word"
    done
    printf '%s\n' "$line"
}

run()
{
    if [ -n "$dry" ]; then
        show "$@"
    else
        "$@"
    fi
}

find_nsys()
{
    if [ -z "$dry" ] && ! command -v nsys >/dev/null; then
        status=77
        die 'no nsys on the PATH: it comes with the CUDA toolkit, or as the package nsight-systems'
    fi
}

find_cutape()
{
    for dir in gpu release; do
        cutape=$root/build/$dir/bin/cutape
        if [ -x "$cutape" ]; then return; fi
    done
    die 'no bin/cutape in build/gpu or build/release: ./dev profile builds it; or name a command behind --'
}

# Flags of nsys. Where only registered strings are looked at, replay@cutape is never met: its text is not one.
capture_flags()
{
    case $capture in
    profile) echo --capture-range=cudaProfilerApi --capture-range-end=stop ;;
    replay)
        echo --capture-range=nvtx --nvtx-capture=replay@cutape --capture-range-end=stop \
            --env-var=NSYS_NVTX_PROFILER_REGISTER_ONLY=0
        ;;
    esac
}

# Payloads of ranges, where this version would leave them out.
blob_flags()
{
    if nsys export --help 2>/dev/null | grep -q -e --include-blobs; then echo --include-blobs=true; fi
}

nothing_captured()
{
    case $capture in
    profile) why='the program has to call ct_profile_begin with a context on a GPU' ;;
    replay) why='the program has to call ct_replay, with a library that was built with NVTX' ;;
    whole) why='nsys says more above' ;;
    esac
    die "nsys has captured nothing: $why"
}

# $@: the program
profile()
{
    if [ -z "$dry" ]; then
        mkdir -p "$out"
        rm -f "$report.nsys-rep" "$report.sqlite" "$out/trace.json" "$out/trace.json.nodes.csv"
    fi
    # shellcheck disable=SC2046 # flags, none of which has blanks
    run nsys profile --trace=cuda,nvtx --cuda-graph-trace=node --sample=none --cpuctxsw=none $(capture_flags) \
        --force-overwrite=true --output="$report" "$@" || die "nsys profile, or the program, failed: status $?"
    [ -n "$dry" ] || [ -f "$report.nsys-rep" ] || nothing_captured
}

table()
{
    # shellcheck disable=SC2046
    run nsys export --type=sqlite --force-overwrite=true --quiet=true $(blob_flags) --output="$report.sqlite" \
        "$report.nsys-rep" || die "nsys export failed: status $?"
    if [ -z "$nodes" ] && { [ -n "$dry" ] || [ -f "$out/trace.json.nodes.csv" ]; }; then
        nodes=$out/trace.json.nodes.csv
    fi
    run "$python" "$here/nsys_table.py" "$report.sqlite" ${nodes:+--nodes "$nodes"} --sort "$sort" $csv
}

here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
out=$root/build/nsys capture=profile nodes='' sort=time csv='' dry=''
python=${PYTHON:-python3}
if ! command -v nsys >/dev/null && [ -x /usr/local/cuda/bin/nsys ]; then PATH=$PATH:/usr/local/cuda/bin; fi

while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    --help | -h) usage && exit ;;
    --replay | --whole)
        [ "$capture" = profile ] || die 'one of --replay and --whole'
        capture=${1#--}
        shift && continue
        ;;
    --csv) csv=--csv && shift && continue ;;
    --dry-run) dry=yes && shift && continue ;;
    --out | --nodes | --sort) [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "no option $1; --help shows those there are; a command stands behind --" ;;
    esac
    case $1 in
    --out) out=$2 ;;
    --nodes) nodes=$2 ;;
    --sort) sort=$2 ;;
    esac
    shift 2
done
case $sort in time | record | op | phase) ;; *) die '--sort takes time, record, op or phase' ;; esac

report=$out/report
find_nsys
if [ $# -eq 0 ]; then
    find_cutape
    set -- "$cutape" profile --data spirals --trace "$out/trace.json"
fi
status=1
profile "$@"
table
[ -n "$dry" ] || say "the report is $report.nsys-rep"
