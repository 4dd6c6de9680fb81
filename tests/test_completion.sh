# Claims of harness/completion.bash.
set -u

if ! command -v bash >/dev/null; then
    echo "skipped: no bash here"
    exit 77
fi
bash -u <<'END'
. harness/completion.bash
program=${IVFBENCH_BINARY:-build/ivfbench}

# offers WORD...: what is offered for the last of these words.
offers() {
    COMP_WORDS=("$program" "$@")
    COMP_CWORD=$#
    _ivfbench
    echo "${COMPREPLY[*]}"
}

broken=0
claim() {
    if [ "$2" != "$3" ]; then
        echo "does not hold: $1; offered: $2"
        broken=1
    fi
}
claim "a verb is completed" "$(offers hel)" help
claim "a spec is left to bash" "$(offers run exp)" ""
claim "an option is completed" "$(offers run --qu)" --quiet
claim "an unknown one is not" "$(offers run --zz)" ""
for verb in $(offers ""); do
    "$program" "$verb" --help >/dev/null || claim "what is offered is a verb" "$verb" ""
done
exit $broken
END
