#!/bin/sh
# The whole suite, from a fresh clone: installs what is missing, builds, runs ctest on the release
# build and then on one with ASan and UBSan. `sh tests/run.sh fast` leaves the second one out.
# Tests on real vectors read them from $IVFBENCH_DATA and say so where they skip.
set -eu
cd "$(dirname "$0")/.."
. experiments/setup.sh

case ${1-} in
'') presets="release asan" ;;
fast) presets="release" ;;
*)
    echo "usage: sh tests/run.sh [fast]" >&2
    exit 2
    ;;
esac

# An attribute of the first line of ctest's JUnit file.
count() {
    sed -n "s/^[^>]*[^a-z]$1=\"\([0-9]*\)\".*/\1/p" "$report" | head -n 1
}

install_packages $build_packages $test_packages
passed=0 failed=0 skipped=0
for preset in $presets; do
    say "building $preset"
    build_preset "$preset" all
    say "testing $preset"
    report=$PWD/$dir/ctest.xml
    rm -f "$report"
    ctest --test-dir "$dir" --output-on-failure -j "$(nproc)" --output-junit "$report" || :
    # what a program skipped of its tests, ctest keeps to itself
    grep -h '^\[  SKIPPED \] test_' "$dir/Testing/Temporary/LastTest.log" | sort -u || :
    failed=$((failed + $(count failures)))
    skipped=$((skipped + $(count skipped)))
    passed=$((passed + $(count tests) - $(count failures) - $(count skipped)))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
