#compdef adit
# Completion of adit for zsh. It evaluates neither what is typed nor what the
# program answers.

_adit()
{
    local program=${(Q)words[1]} answer directive line word
    local -a lines matches shown options
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    whence -p -- $program >/dev/null || program=adit
    answer=$("$program" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    lines=("${(@f)answer}")
    directive=${lines[-1]#:}
    [[ ${lines[-1]} == :* && $directive == <-> ]] || return 1
    lines[-1]=()
    # Of --flag=VALUE the value alone is completed.
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    if (( directive & 1 )); then
        return 1
    elif (( directive & 8 )); then
        _files -g "*.(${(j:|:)lines})(-.)" || _files
        return
    elif (( directive & 16 )); then
        _files -/
        return
    fi
    for line in $lines; do
        [[ -n $line ]] || continue
        word=${line%%$'\t'*}
        matches+=("$word")
        if [[ $line == *$'\t'* ]]; then
            shown+=("${(r:24:)word} -- ${line#*$'\t'}")
            (( $#word >= 24 )) && shown[-1]="$word -- ${line#*$'\t'}"
        else
            shown+=("$word")
        fi
    done
    (( directive & 2 )) && options+=(-S '')
    (( directive & 32 )) && options+=(-V adit)
    if (( $#matches )); then
        compadd -l "${options[@]}" -d shown -a matches
        return
    fi
    (( directive & 4 )) && return 1
    _files
}

if [[ ${funcstack[1]-} == _adit ]]; then
    _adit "$@"
elif (( ${+functions[compdef]} )); then
    compdef _adit adit
fi
