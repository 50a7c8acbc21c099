# bash completion of immure(1)

# Names of keys, one per line, from the immured on the command line. Names that JSON escapes are
# left out.
_immure_names()
{
    immure key list --json --timeout 500ms "$@" 2>/dev/null |
        sed -n 's/^{"name":"\([^"\\]*\)".*/\1/p'
}

# The first names of the certificates of the running immure-proxy.
_immure_certificates()
{
    immure certificate list --json "$@" 2>/dev/null | sed -n 's/.*"names": \["\([^"\\]*\)".*/\1/p'
}

# The backends of the running immure-proxy.
_immure_backends()
{
    immure backend list --json "$@" 2>/dev/null | sed -n 's/^{"backend": "\([^"\\]*\)".*/\1/p' | sort -u
}

# The servers of a backend, which the last argument names.
_immure_servers()
{
    immure backend list --json "$@" 2>/dev/null | sed -n 's/.*"server": "\([^"\\]*\)".*/\1/p'
}

_immure()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local -a words=() socket=() proxy=()
    local i name typed options=
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
            --proxy) proxy=(--proxy "${COMP_WORDS[++i]}") ;;
            --timeout | --certificate | --module | --into | --name | --count | --folder | --as) ((++i)) ;;
            -*) ;;
            *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done

    case $previous in
        --socket | --certificate | --module | --into | --proxy | --folder)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --timeout)
            mapfile -t COMPREPLY < <(compgen -W "500ms 1s 5s 30s" -- "$current")
            return ;;
        --name)
            mapfile -t COMPREPLY < <(compgen -W "openssl_conf nodejs_conf" -- "$current")
            return ;;
        --count | --as)
            return ;;
    esac

    case ${words[*]} in
        "") options="key certificate backend status top openssl-config check --help --version" ;;
        key) options="list reference test" ;;
        certificate) options="list show check add replace remove" ;;
        backend) options="list drain disable enable weight" ;;
        "backend "*) options="--proxy --json --help" ;;
        "certificate add"*) options="--proxy --json --folder --as --help" ;;
        "certificate "*) options="--proxy --json --help" ;;
        "key list" | "key test"* | status) options="--socket --timeout --json --help" ;;
        "key reference"*) options="--socket --timeout --certificate --help" ;;
        top) options="--socket --timeout --json --count --help" ;;
        openssl-config) options="--module --into --name --help" ;;
        check*) options="--timeout --json --certificate --help" ;;
    esac
    # Complete an option if the word begins with "-", otherwise an operand.
    if [[ $current == -* || ${words[*]} == "" || ${words[*]} == key || ${words[*]} == certificate ||
        ${words[*]} == backend ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case ${words[*]} in
        "key reference" | "key test")
            while IFS= read -r name; do
                printf -v name %q "$name"
                [[ $name == "$current"* ]] && COMPREPLY+=("$name")
            done < <(_immure_names "${socket[@]}") ;;
        "certificate show" | "certificate replace" | "certificate remove")
            while IFS= read -r name; do
                printf -v name %q "$name"
                [[ $name == "$current"* ]] && COMPREPLY+=("$name")
            done < <(_immure_certificates "${proxy[@]}") ;;
        "backend list" | "backend drain" | "backend disable" | "backend enable" | "backend weight")
            while IFS= read -r name; do
                printf -v name %q "$name"
                [[ $name == "$current"* ]] && COMPREPLY+=("$name")
            done < <(_immure_backends "${proxy[@]}") ;;
        "backend drain "* | "backend disable "* | "backend enable "* | "backend weight "*)
            # Bash takes the colons of an address for words, and replaces what follows the last one.
            typed=$(printf %s "${words[@]:3}" "$current")
            [[ $current == "" && $typed != "" ]] && return
            while IFS= read -r name; do
                [[ $name == "$typed"* ]] && COMPREPLY+=("${name#"${typed%"${typed##*:}"}"}")
            done < <(_immure_servers "${proxy[@]}" "${words[2]}") ;;
        check | "certificate add"* | "certificate replace "*)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}

complete -F _immure immure
