#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
. "$(dirname "$0")/lib.sh"

status_is "without a command: usage" 2 q
has "and the commands are listed" "$err" "checkpoint "
status_is "an unknown command: usage" 2 q dance
has "and it is named" "$err" '"dance"'
status_is "a mistyped command: usage" 2 q chekpoint
has "and the right one is said" "$err" "did you mean checkpoint?"
status_is "help is no error" 0 q help
status_is "help --help neither" 0 q help --help
status_is "help can be asked about, as it is in its own list" 0 q help help
has "help goes to stdout" "$out" "Usage: qckpt COMMAND"
status_is "--help too" 0 q --help
status_is "--version prints one" 0 q --version
has "the version has a number" "$out" "qckpt 0."

for command in run checkpoint restart show verify complexes; do
    status_is "$command --help" 0 q "$command" --help
    text=$out
    has "$command --help has its usage" "$text" "Usage: qckpt $command"
    q help "$command" >help
    is "help $command is the same" "$(<help)" "$text"
    status_is "$command refuses an unknown option" 2 q "$command" --dance
    has "$command names it" "$err" "--dance"
    [ "$command" = complexes ] || status_is "$command wants a value for -d" 2 q "$command" -d
done

for hook in qckpt-checkpoint qckpt-migrate qckpt-migrate-cpu qckpt-clean dmtcp_cleanup \
    qckpt-sensor qckpt-jsv; do
    ln -s "$QCKPT" "$hook"
    status_is "$hook --help" 0 "./$hook" --help
    has "$hook --help has its usage" "$out" "Usage: $hook ["
done

status_is "run wants a command" 2 q run -d d
status_is "run refuses a bad time" 2 q run --interval soon -- true
has "and names it" "$err" "--interval soon"
status_is "run refuses to keep nothing" 2 q run --keep 0 -- true
status_is "run refuses a name without a value" 2 q run --name project -- true
: >in-the-way
for command in checkpoint restart show verify; do
    status_is "$command takes no words" 2 q "$command" here
    has "$command says how a directory is given" "$err" "-d"
    status_is "$command without a directory: nothing there" 4 q "$command" -d nowhere
    is "$command says once how one is named" "$(grep -c "there is no directory nowhere; name" <<<"$err")" 1
done
[ ! -e nowhere ]
is "and none was made" $? 0

mkdir -m 700 empty
status_is "nothing to restart from: nothing there" 4 q restart -d empty
is "is said, and once" "$err" "qckpt: nothing was started: empty holds no checkpoint that can be restarted"
status_is "a generation that is not there" 4 q restart -d empty -g 3
is "is said once" "$err" \
    "qckpt: nothing was started: generation 3 is not usable: empty has no generation 3"
status_is "a mistyped variable does not matter" 0 env QCKPT_INTERVALL=1h "$QCKPT" run -d typo -- true
has "but is said" "$err" "did you mean QCKPT_INTERVAL?"
status_is "a bad variable is named" 2 env QCKPT_INTERVAL=soon "$QCKPT" run -- true
has "by its name" "$err" "QCKPT_INTERVAL"
status_is "an unknown engine is named" 2 env QCKPT_ENGINE=steam "$QCKPT" run -- true
has "by its name" "$err" "steam"
[ ! -e qckpt.ckpt ]
is "nothing was made before the command line was understood" $? 0

status_is "an empty name is no directory" 2 q run -d "" -- true
has "and is said" "$err" "name of the job's directory is empty"
status_is "a file is none either" 1 q run -d in-the-way -- true
has "and is not to be removed first" "$err" "in-the-way is not a directory: name another, or remove it"
mkdir -m 700 full
echo data >full/data
status_is "a directory of something else is refused" 2 q run -d full -- true
is "and left alone" "$(<full/data)" data

exec 3>/dev/full
status_is "output that cannot be written is a failure" 1 bash -c '"$1" help >&3' - "$QCKPT"

# The man page and --help name the same options.
man=${MAN_DIR:-}/qckpt.1.scd
if [ -f "$man" ]; then
    for command in run checkpoint restart show verify complexes; do
        q "$command" --help | grep -o -- '--[a-z]*' | sort -u >in-help
        sed -n "/^\*qckpt $command\*/,/^\*qckpt /p" "$man" | sed '$d' |
            grep -o -- '--[a-z]*' | sort -u >in-man
        same_file "the man page has the options of $command" in-man in-help
    done
    for hook in qckpt-sensor qckpt-jsv; do
        "./$hook" --help | sed -n 's/^ .*\(--[a-z-]*\) .*/\1/p' | grep -v -- --help | sort >in-help
        sed -n 's/^\*\(--[a-z-]*\)\*.*/\1/p' "${man%/*}/$hook.8.scd" | sort >in-man
        same_file "the man page has the options of $hook" in-man in-help
    done
else
    not_ok "there is a man page $man"
fi
done_testing
