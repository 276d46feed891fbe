# Completion of adit for fish. It evaluates neither what is typed nor what the
# program answers.

function __adit_complete
    set -l words (commandline -opc)
    set -l raw (commandline -ct)
    set -l current (string unescape -- $raw 2>/dev/null)
    or set current (string replace -r '^[\'"]' '' -- $raw)
    set -l program $words[1]
    string match -q -- '~/*' $program; and set program $HOME/(string sub -s 3 -- $program)
    type -q -- $program; or set program adit
    set -l lines (command $program __complete $words[2..-1] "$current" 2>/dev/null)
    set -l directive (string replace -r '^:' '' -- $lines[-1])
    string match -qr '^[0-9]+$' -- $directive; or return
    set -e lines[-1]
    # Of --flag=VALUE the program answers with the value, fish wants the word.
    set -l lead (string match -r -- '^-[^=]*=' $current)
    if test (math "bitand($directive, 1)") -ne 0
        return
    else if test (math "bitand($directive, 8)") -ne 0
        set -l path (string replace -- "$lead" '' $current)
        set -l found
        for extension in $lines
            set -a found (__fish_complete_path $path | string match -r '^[^\t]*(?:/|\.'$extension')(?:\t.*)?$')
        end
        test (count $found) -gt 0; or set found (__fish_complete_path $path)
        set lines (printf '%s\n' $found | sort -u)
    else if test (math "bitand($directive, 16)") -ne 0
        set lines (__fish_complete_directories (string replace -- "$lead" '' $current))
    else if test (count $lines) -eq 0 -a (math "bitand($directive, 4)") -eq 0
        set lines (__fish_complete_path (string replace -- "$lead" '' $current))
    end
    for line in $lines
        printf '%s%s\n' "$lead" $line
    end
end

complete -c adit -e
complete -c adit -f -k -a '(__adit_complete)'
