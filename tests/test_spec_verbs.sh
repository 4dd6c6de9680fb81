#!/bin/sh
# check, plan and schema as a person or a script meets them: exit codes, and what goes where.
set -u
ivfbench=${IVFBENCH_BINARY:-build/ivfbench}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# claim WORDS EXIT_CODE OUT ERR COMMAND...: the code is right; OUT, ERR: a word that stdout and
# stderr hold, or "" for a stream that stays empty
claim()
{
    words=$1 code=$2 out=$3 err=$4
    shift 4
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got -eq "$code" ] || complain "exit code $got, not $code"
    look "$out" "$work/out" stdout
    look "$err" "$work/err" stderr
}

look()
{
    if [ -z "$1" ]; then
        [ ! -s "$2" ] || complain "$3 is not empty: $(head -3 "$2")"
    else
        grep -qF -- "$1" "$2" || complain "$3 lacks \"$1\": $(head -3 "$2")"
    fi
}

complain()
{
    echo "$words: $1"
    failures=$((failures + 1))
}

spec()
{
    cat >"$work/$1.yaml"
}

small='version: 1
dataset: {name: synthetic, n: 1000, d: 16, nq: 10}
search: {nprobe: [1, 4, 64]}'

spec right <<END
$small
index: ["IVF16,Flat", "IVF64,PQ4"]
END
spec wrong <<END
$small
index: "IVF16,PQ3"
replicas: 2
nporbe: 1
END
spec later <<END
$small
index: "IVF16,Flat"
gpus: 2
END
spec ruled_out <<END
$small
index: "IVF16,Flat"
exclude: [{index: "*"}]
END
spec huge <<END
version: 1
dataset: {name: synthetic, n: 1000000000000, d: 128}
index: "IVF16,Flat"
search: {nprobe: 1}
END
spec no_data <<END
version: 1
dataset: {name: SIFT1M, root: $work/nowhere}
index: "IVF16,Flat"
search: {nprobe: 1}
END

claim "check says right on stdout" 0 "right.yaml: right: 6 trials in 2 groups; 5 to run, 1 skipped" \
    "" $ivfbench check "$work/right.yaml"
claim "check --quiet says nothing" 0 "" "" $ivfbench check --quiet "$work/right.yaml"
claim "check finds the index" 2 "" "wrong.yaml:4:8: error: index \"IVF16,PQ3\"" \
    $ivfbench check "$work/wrong.yaml"
claim "check finds the replicas too" 2 "" "wrong.yaml:5:11: error: replicas 2 is over gpus 1" \
    $ivfbench check "$work/wrong.yaml"
claim "check finds the key too" 2 "" "wrong.yaml:6:1: error: unknown key \"nporbe\"; did you mean" \
    $ivfbench check "$work/wrong.yaml"
claim "one wrong spec of several counts" 2 "right.yaml: right" "3 errors" \
    $ivfbench check "$work/wrong.yaml" "$work/right.yaml"
claim "check knows a spec that comes later" 0 "3 with a later version" "" \
    $ivfbench check "$work/later.yaml" --set search.nprobe='[1, 2, 4]'
claim "check does without the data" 0 "1 to run" "not checked against data" \
    $ivfbench check "$work/no_data.yaml"
claim "plan does not" 2 "" "nowhere" $ivfbench plan "$work/no_data.yaml"
claim "check of no file" 2 "" "absent.yaml" $ivfbench check "$work/absent.yaml"
claim "check of nothing" 2 "" "check wants a spec" $ivfbench check
claim "plan shows what is skipped and why" 0 "nprobe 64: nprobe 64 > nlist 16" "" \
    $ivfbench plan "$work/right.yaml"
claim "--set wins" 0 "nprobe 2" "" $ivfbench plan "$work/right.yaml" --set search.nprobe=2
claim "--set is checked" 2 "" "--set search.nporbe=2: error: unknown key" \
    $ivfbench plan "$work/right.yaml" --set search.nporbe=2
claim "--only chooses" 0 "not selected by --only" "" \
    $ivfbench plan "$work/right.yaml" --only '*,PQ4'
claim "--only that matches nothing" 4 "" "matches no index" \
    $ivfbench plan "$work/right.yaml" --only 'IVF9*'
claim "nothing left but what comes later" 2 "gpus 2: with a later version" "nothing is left to run" \
    $ivfbench plan "$work/later.yaml"
claim "all skipped by rule is done" 0 "excluded by exclude[0] (line 5)" "" \
    $ivfbench plan "$work/ruled_out.yaml"
claim "what does not fit is refused" 2 "does not fit: the index needs" "nothing is left to run" \
    $ivfbench plan "$work/huge.yaml"
claim "schema is JSON on stdout" 0 '"$schema"' "" $ivfbench schema

[ $failures -eq 0 ] || exit 1
