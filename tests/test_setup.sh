# Claims of experiments/setup.sh, with stand-ins for dpkg-query, apt-get, id and sudo.
set -u

top=$PWD
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
broken=0
for tool in env sed sh tr; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done

# stand_in NAME BODY: a command of that name which notes its call in $bin/calls.
stand_in() {
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n%s\n' "$1" "$bin" "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}

# try PACKAGE...: what setup.sh does where make is there and pkgconf stands for pkg-config.
try() {
    : >"$bin/calls"
    (
        PATH=$bin
        . "$top/experiments/setup.sh"
        install_packages "$@"
    ) >"$bin/said" 2>&1
    rc=$?
}

# claim WORDS CONDITION...
claim() {
    words=$1
    shift
    if ! "$@"; then
        echo "does not hold: $words (exit code $rc); calls and output:"
        cat "$bin/calls" "$bin/said"
        broken=1
    fi
}

stand_in dpkg-query 'printf "installed make \ninstalled pkgconf pkg-config (= 1.8), x\nconfig-files gnuplot-nox \n"'
stand_in apt-get ''
stand_in id 'echo 0'

try make pkg-config
claim "nothing missing: no apt-get" test "$rc" = 0 -a -z "$(grep apt-get "$bin/calls")"

try make cmake gnuplot-nox
claim "what is missing is installed, and that alone" \
    grep -q '^apt-get install -y --no-install-recommends cmake gnuplot-nox *$' "$bin/calls"
claim "package lists are fetched first" grep -q '^apt-get update' "$bin/calls"

stand_in apt-get 'exit 100'
try cmake
claim "a failed apt-get fails the set-up" test "$rc" != 0

stand_in id 'echo 1000'
stand_in sudo 'exec "$@"'
stand_in apt-get ''
try cmake
claim "who is not root uses sudo" grep -q '^sudo env DEBIAN_FRONTEND=noninteractive' "$bin/calls"

rm "$bin/sudo"
try make cmake
claim "neither root nor sudo: exit code 2" test "$rc" = 2
claim "and the line to type" \
    grep -q '^apt-get update && apt-get install -y --no-install-recommends cmake' "$bin/said"
exit $broken
