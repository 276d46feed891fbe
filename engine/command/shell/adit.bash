# Completion of adit for bash, 3.2 and newer. It needs nothing else, and evaluates
# neither what is typed nor what the program answers.

__adit_complete()
{
    local program=${COMP_WORDS[0]} width=${COLUMNS:-80} orders='' line extension
    local begun=
    COMPREPLY=()
    program=${program/#\~\//$HOME/}
    type -P -- "$program" >/dev/null 2>&1 || program=adit
    # What is inserted one after the other can have no description.
    case ${COMP_TYPE:-9} in 37 | 42) width=0 ;; esac
    while IFS= read -r line; do
        if [[ -z $begun ]]; then
            orders=" $line "
            begun=yes
        else
            COMPREPLY+=("$line")
        fi
    done < <("$program" __completeLine "${COMP_LINE:0:COMP_POINT}" "$2" "$width" 2>/dev/null)
    case $orders in
        " files "* | " directories "*)
            for extension in ${orders# files }; do
                [[ $orders == " files "* ]] || break
                while IFS= read -r line; do
                    COMPREPLY+=("$line")
                done < <(compgen -f -X "!*.$extension" -- "$2")
            done
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen -d -- "$2")
            compopt -o filenames 2>/dev/null
            return 0
            ;;
    esac
    case $orders in *" nospace "*) compopt -o nospace 2>/dev/null ;; esac
    case $orders in *" nofiles "*) compopt +o default 2>/dev/null ;; esac
    case $orders in *" nosort "*) compopt -o nosort 2>/dev/null ;; esac
    return 0
}

complete -o default -F __adit_complete adit
