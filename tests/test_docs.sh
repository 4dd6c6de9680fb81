# README.md and CONTRIBUTING.md tell the truth: their specs pass `check`, their commands exist, their links lead somewhere.
set -u

ivfbench=${IVFBENCH_BINARY:-build/ivfbench}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
broken=0

wrong() {
    echo "$*"
    broken=1
}

awk -v tmp="$tmp" '/^```yaml$/ { file = tmp "/" ++n ".yaml"; next } /^```$/ { file = "" }
    file { print > file }' README.md
[ -f "$tmp/1.yaml" ] || wrong "README.md: no spec found"
IVFBENCH_DATA=$tmp # where no data set is: what can be said without one
export IVFBENCH_DATA
for spec in "$tmp"/*.yaml experiments/*.yaml; do
    "$ivfbench" check --quiet "$spec" || wrong "$spec: a spec that we show does not pass check"
done

verbs=$(awk -F '|' '/^## / { on = /Commands/ } on && /^\| `/ { print $2 }' README.md | grep -o '`[a-z]*' | tr -d '`')
[ -n "$verbs" ] || wrong "README.md: no table of commands found"
for verb in $verbs; do
    "$ivfbench" "$verb" --help >/dev/null || wrong "README.md: there is no ivfbench $verb"
done

keys=$(awk '/^## / { on = /bench_gpu_1bn/ } on && /^\|/' README.md | grep -o '`[a-z][a-z0-9_.]*' | tr -d '`')
[ -n "$keys" ] || wrong "README.md: no table of the script's options found"
for key in $keys; do
    "$ivfbench" help "$key" >/dev/null || wrong "README.md: there is no key $key"
done

for page in README.md CONTRIBUTING.md; do
    for link in $(sed 's/](/\n](/g' $page | sed -n 's/^](\([^):]*\)).*/\1/p'); do
        [ -e "$link" ] || wrong "$page: $link is not there"
    done
done

for command in experiments/quickstart.sh tests/run.sh; do
    head -n 12 README.md | grep -q "^    sh $command" || wrong "README.md: $command left its first screen"
done
exit $broken
