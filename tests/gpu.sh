#!/bin/sh
# Everything that needs a GPU, in one call on a machine that has one:
#   sh tests/gpu.sh BUILD_DIR OUT_DIR [SECTION...]
#     build      the program runs and sees a device
#     test       the device tests (BUILD_DIR/gpu_tests lists them) on the CUDA backend, four at a time
#     ptx        the same, machine code made by the driver from PTX
#     memcheck   the same under compute-sanitizer: accesses out of bounds
#     racecheck  the same: races within a block; the programs that run every kernel of training and adding
#     racesearch racecheck of the search: claims about every kind of scan
#     bench      bench_kernels; BENCH says which of its sections and options
#     spec       experiments/gpu_*.yaml, from the data to the export
# Without sections: build test bench spec. What was said goes to OUT_DIR/<section>.log; the table of
# sections comes last. Exit 1 where anything failed. BUILD_DIR may come from another machine: its
# libraries are then looked for in BUILD_DIR/lib. Other knobs: JOBS at a time (4), LIMIT seconds of
# each (500), TESTS instead of the listed ones: a program, program:claims ("test_parity:*assign*"), or
# program:claims:share, which is IVFBENCH_TEST_SHARE (tests/testing.h) for those.
set -u

[ $# -ge 2 ] || {
    sed -n '2,/^set/s/^# *//p' "$0" >&2
    exit 2
}
mkdir -p "$2" || exit 2
build=$(cd "$1" && pwd) && out=$(cd "$2" && pwd) || exit 2
shift 2
cd "$(dirname "$0")/.." || exit 2
[ $# -gt 0 ] || set -- build test bench spec
if [ -d "$build/lib" ]; then
    export LD_LIBRARY_PATH="$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
export IVFBENCH_BINARY="$build/ivfbench" OMP_WAIT_POLICY=passive
export LIMIT="${LIMIT-500}"
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# One program, or some of its claims, under "$TOOL": its log, and a line of what became of it last. For xargs, below.
cat >"$work/one" <<'END'
build=$1 work=$2 out=$3 name=$4
IFS=: read -r program claims share <<NAME
$name
NAME
[ -z "$share" ] || export IVFBENCH_TEST_SHARE="$share"
start=$(date +%s)
# TOOL is words: a command and its options
timeout "$LIMIT" $TOOL "$build/$program" ${claims:+"$claims"} >"$work/$name.log" 2>&1
rc=$?
case $rc in
0) word=OK ;;
77) word=SKIPPED ;;
124) word="FAILED (past $LIMIT s)" ;;
*) word="FAILED ($rc)" ;;
esac
! grep -q 'Running 0 test' "$work/$name.log" || word="FAILED (no such claim)"
[ -x "$build/$program" ] || word="FAILED (not built)"
echo "$name $(($(date +%s) - start)) s: $word" | tee "$work/$name.word" >>"$work/$name.log"
cat "$work/$name.word"
cat "$work/$name.log" >>"$out" # as soon as it is known: the call may be stopped
END

# All device tests, or those of TESTS, under a tool, four at a time; fails where one failed.
run_tests() {
    section=$1
    export TOOL="$2"
    rm -f "$work"/*.log "$work"/*.word
    : >"$out/$section.log"
    tests=${TESTS-$(cat "$build/gpu_tests")}
    set -f # claims have stars
    # shellcheck disable=SC2086 # a list of words
    set -- $tests
    set +f
    printf '%s\n' "$@" | xargs -P "${JOBS-4}" -I NAME sh "$work/one" "$build" "$work" "$out/$section.log" NAME
    grep -hE '^\[  (FAILED|SKIPPED)|^=+ (ERROR SUMMARY|RACECHECK SUMMARY)' "$out/$section.log" | sort | uniq -c
    for name; do
        grep -q ': OK$\|: SKIPPED$' "$work/$name.word" || return 1
    done
    if ! grep -q ': OK$' "$work"/*.word; then return 77; fi
}

section_build() {
    "$build/ivfbench" version && "$build/ivfbench" devices >"$work/devices" || return 1
    cat "$work/devices"
    ! grep -q '^cuda: none' "$work/devices"
}

section_test() {
    IVFBENCH_TEST_BACKEND=cuda run_tests test ""
}

section_ptx() {
    IVFBENCH_TEST_BACKEND=cuda CUDA_FORCE_PTX_JIT=1 run_tests ptx ""
}

# One program:claim:share a claim of the program, as its source has them.
claims_of() {
    sed -n "s/^static void $1__\(.*\)(void \*\*state)\$/$1:*__\1:$2/p" "tests/$1.c"
}

# The sanitizer's own exit code is kept apart from a test's.
# Ten times slower and more: a share of the cases that sweep over shapes, and the longest programs by claims.
section_memcheck() {
    TESTS=${TESTS-"$(grep -v '^test_cuda_search$\|^test_cuda_values$' "$build/gpu_tests"
        claims_of test_cuda_search 3+4
        claims_of test_cuda_values 3+4)"} \
        IVFBENCH_TEST_SHARE=${IVFBENCH_TEST_SHARE-3+15} IVFBENCH_TEST_BACKEND=cuda run_tests memcheck \
        "compute-sanitizer --tool memcheck --target-processes all --error-exitcode 99"
}

racecheck="compute-sanitizer --tool racecheck --racecheck-report all --error-exitcode 99"

# A hundred times slower.
section_racecheck() {
    TESTS=${TESTS-"test_parity test_synthetic"} IVFBENCH_TEST_SHARE=${IVFBENCH_TEST_SHARE-3+25} \
        IVFBENCH_TEST_BACKEND=cuda run_tests racecheck "$racecheck"
}

racesearch="test_parity_lists:*flat_search*:60 test_parity_lists:*pq_search*:60 test_parity_lists:*a_thousand*
    test_parity_lists:*options*:12 test_cuda_values:*queries_may_be_bytes*:60 test_cuda_search:*few_queries*:5"

# Without product_wgmma: of more tiles than its ring has stages racecheck reports what kernels/README.md shows to be false.
section_racesearch() {
    TESTS=${TESTS-"$racesearch"} IVFBENCH_TEST_BACKEND=cuda run_tests racesearch \
        "$racecheck --kernel-name-exclude kns=product_wgmma"
}

section_bench() {
    # shellcheck disable=SC2086 # words: options and sections
    "$build/bench_kernels" --csv "$out/bench.csv" ${BENCH-kmeans truth add} >"$work/bench" 2>&1
    rc=$?
    tee "$out/bench.log" <"$work/bench"
    return "$rc"
}

section_spec() {
    : >"$out/spec.log"
    rc=77
    for spec in experiments/gpu_*.yaml; do
        [ -f "$spec" ] || continue
        [ "$rc" = 77 ] && rc=0
        "$build/ivfbench" run "$spec" --db "$work/spec.db" >>"$out/spec.log" 2>&1 || rc=1
        echo "$spec: exit $rc"
    done
    [ "$rc" = 77 ] && return 77
    "$build/ivfbench" export --db "$work/spec.db" --format csv >"$out/spec.csv" || rc=1
    cat "$out/spec.csv"
    tail -n 5 "$out/spec.log"
    return "$rc"
}

run_section() {
    case $1 in
    build) section_build ;;
    test) section_test ;;
    ptx) section_ptx ;;
    memcheck) section_memcheck ;;
    racecheck) section_racecheck ;;
    racesearch) section_racesearch ;;
    bench) section_bench ;;
    spec) section_spec ;;
    *) echo "there is no section $1" && return 2 ;;
    esac
}

failed=0
for section; do
    echo "== $section"
    start=$(date +%s)
    run_section "$section"
    case $? in
    0) word=OK ;;
    77) word=SKIPPED ;;
    *) word=FAILED failed=1 ;;
    esac
    printf '%-10s %4d s  %s\n' "$section" $(($(date +%s) - start)) $word >>"$work/table"
done
echo "== sections"
cat "$work/table"
exit $failed
