# bash completion of immure(1)

# Names of keys, one per line, from the immured on the command line. Names that JSON escapes are
# left out.
_immure_names()
{
    immure key list --json --timeout 500ms "$@" 2>/dev/null |
        sed -n 's/^{"name":"\([^"\\]*\)".*/\1/p'
}

_immure()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local -a words=() socket=()
    local i name options=
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
            --timeout | --certificate | --module | --into | --name | --count) ((++i)) ;;
            -*) ;;
            *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done

    case $previous in
        --socket | --certificate | --module | --into)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --timeout)
            mapfile -t COMPREPLY < <(compgen -W "500ms 1s 5s 30s" -- "$current")
            return ;;
        --name)
            mapfile -t COMPREPLY < <(compgen -W "openssl_conf nodejs_conf" -- "$current")
            return ;;
        --count)
            return ;;
    esac

    case ${words[*]} in
        "") options="key status top openssl-config check --help --version" ;;
        key) options="list reference test" ;;
        "key list" | "key test"* | status) options="--socket --timeout --json --help" ;;
        "key reference"*) options="--socket --timeout --certificate --help" ;;
        top) options="--socket --timeout --json --count --help" ;;
        openssl-config) options="--module --into --name --help" ;;
        check*) options="--timeout --json --certificate --help" ;;
    esac
    # Complete an option if the word begins with "-", otherwise an operand.
    if [[ $current == -* || ${words[*]} == "" || ${words[*]} == key ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case ${words[*]} in
        "key reference" | "key test")
            while IFS= read -r name; do
                printf -v name %q "$name"
                [[ $name == "$current"* ]] && COMPREPLY+=("$name")
            done < <(_immure_names "${socket[@]}") ;;
        check)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}

complete -F _immure immure
