# Bash completion for ivfbench. It asks the program, so that it knows neither more nor less than that.
_ivfbench()
{
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words=$("${COMP_WORDS[0]}" help 2>/dev/null | sed -n 's/^  \([a-z]*\)  *[^ ].*/\1/p')
    elif [[ $word == -* ]]; then
        words=$("${COMP_WORDS[0]}" "$verb" --help 2>/dev/null | grep -o -e '--[a-z-]*' | sort -u)
    else
        return # files: bash's own
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _ivfbench ivfbench
