# bash completion of sinter(1). What there is to complete comes from the help of the command itself.

_sinter_commands() { "$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

_sinter_options() {
    "$1" "${@:2}" --help 2>/dev/null | grep -oE '(^|[ ,])--[a-z][a-z_-]*(\[?=)?' | tr -d ' ,[' | sort -u
}

# Processes that have the library.
_sinter_processes() {
    grep -lsF libsinter.so /proc/[0-9]*/maps 2>/dev/null | cut -d/ -f3
}

# Where the program that is to be run stands among the words; 0: not yet.
_sinter_program_at() {
    local i takes='^(-[alfior]|--(load|ready|idle|for|rounds|against|output))$'
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            echo $((i + 1))
            return
        elif [[ ${COMP_WORDS[i]} =~ $takes && ${COMP_WORDS[1]} == report ]]; then
            ((i++))
        elif [[ ${COMP_WORDS[i]} != -* && ${COMP_WORDS[i]} != = && ${COMP_WORDS[i - 1]} != = ]]; then
            echo "$i"
            return
        fi
    done
    echo 0
}

_sinter() {
    local sinter=$1 word=${COMP_WORDS[COMP_CWORD]} at
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_sinter_commands "$sinter") --help --version" -- "$word")
        return
    fi
    if [[ ${COMP_WORDS[1]} == run || ${COMP_WORDS[1]} == report ]]; then
        at=$(_sinter_program_at)
        if ((at > 0)); then
            if declare -F _command_offset >/dev/null; then
                _command_offset "$at"
            elif ((COMP_CWORD == at)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi
            return
        fi
    fi
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_sinter_options "$sinter" "${COMP_WORDS[1]}")" -- "$word")
        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
    elif [[ ${COMP_WORDS[1]} == run || ${COMP_WORDS[1]} == report ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_sinter_processes)" -- "$word")
        ((${#COMPREPLY[@]})) || mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _sinter sinter
