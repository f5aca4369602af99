#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A job does not notice the starter: every form of submission prints, and ends with, the
# same as in a queue without a starter_method; with and without a checkpoint environment.
. "${0%/*}/lib.sh"
cell_begin

local_jobs=$shared/jobs

# The queue's shell_start_mode counts, so there are two pairs: all.q and direct.q, and
# the same for scripts that the shell reads from its standard input.
# direct.q and stdin-direct.q have no starter.
{
    make_queue direct.q NONE unix_behavior
    make_queue stdin.q $starter script_from_stdin
    make_queue stdin-direct.q NONE script_from_stdin
} >"$work/queues.log" 2>&1 || diag "$(cat "$work/queues.log")"

cat >"$local_jobs/script.sh" <<'S'
#!/bin/bash
echo "script $# [$1] [$2] [$3] name ${0##*/}" | sed 's/[0-9]*$//'
shopt -q login_shell && echo login
exec /srv/shared/jobs/witness.py "$@" </dev/null
S
cat >"$local_jobs/bare.sh" <<'S'
echo "bare ${BASH_VERSION:+bash} $#"
exec /srv/shared/jobs/witness.py "$@" </dev/null
S
cat >"$local_jobs/input.sh" <<'S'
read -r line
echo "next line of the script: $line"
read is eaten
exec /srv/shared/jobs/witness.py "$@"
one more line
S
printf '#!/usr/bin/python3 -B\nimport sys\nprint(sys.argv[1:], sys.flags.dont_write_bytecode)\n' \
    >"$local_jobs/python-script"
printf '#!/nowhere/interpreter\n' >"$local_jobs/no-interpreter"
printf '#!/bin/sh\nkill -SEGV $$\n' >"$local_jobs/segv.sh"
printf '#!/bin/sh\nkill -TERM $$\n' >"$local_jobs/term.sh"
printf '#!/bin/sh\nexit 3\n' >"$local_jobs/three.sh"
printf '#!/bin/sh\nexit 100\n' >"$local_jobs/hundred.sh"
cat >"$local_jobs/again.sh" <<'S'
#!/bin/sh
mark=/srv/shared/again.$JOB_NAME
[ -e "$mark" ] && echo second && exit 0
echo first && touch "$mark" && exit 99
S
# Grid Engine warns all processes of a job, in whatever group or session they are.
cat >"$local_jobs/warned" <<'S'
#!/usr/bin/python3
import os, signal, sys, time
seen = []
signal.signal(signal.SIGUSR1, lambda signo, frame: seen.append(signo))
child = os.fork()
if child == 0:
    os.setsid()
end = time.time() + 120
while not seen and time.time() < end:
    time.sleep(0.1)
# Grid Engine may send it once to the group, and once more to all.
time.sleep(5)
if child:
    os.waitpid(child, 0)
print("main" if child else "child", set(seen), flush=True)
S
chmod +x "$local_jobs"/{warned,script.sh,python-script,no-interpreter,segv.sh,term.sh,three.sh,again.sh}

form_names=()
declare -A form_command=() form_queue=()

# form NAME QUEUE QSUB-ARGUMENT...
form() {
    local name=$1
    form_names+=("$name")
    form_queue[$name]=$2
    shift 2
    form_command[$name]=$(printf '%q ' "$@")
}

form script all $jobs/script.sh "two words" "" "a'b\"c\$d*"
form bare all $jobs/bare.sh 1 2
form bare-sh all -S /bin/sh $jobs/bare.sh 1
form python all $jobs/python-script "two words" ""
form piped all "<" script.sh
form cwd all -cwd $jobs/script.sh
form env all -v "TEXT=two words" $jobs/script.sh
form binary all -b y $jobs/witness.py "two words" "" "a'b\"c\$d*"
form binary-no-shell all -b y -shell n $jobs/witness.py "two words" "" "a'b\"c\$d*"
form binary-path all -b y python3 $jobs/witness.py 1
form binary-relative all -b y -wd $jobs ./witness.py 1
form binary-input all -b y -i $jobs/bare.sh $jobs/witness.py
form binary-missing all -b y $jobs/does-not-exist
form input all -i $jobs/bare.sh -b y cat
# Without root the shepherd does not see the end of a job with a terminal.
[ "$(id -u)" -ne 0 ] || form terminal all -pty y $jobs/bare.sh 1
form warned all -l s_rt=10 -b y $jobs/warned
form no-interpreter-binary all -b y $jobs/no-interpreter
form three all $jobs/three.sh
form segv all $jobs/segv.sh
form term all -b y $jobs/term.sh
form hundred all $jobs/hundred.sh
form again all -r y $jobs/again.sh
form array all -t 2-4:2 $jobs/script.sh 1
form stdin stdin $jobs/input.sh "two words" ""
form stdin-bang stdin $jobs/script.sh 1
form stdin-binary stdin -b y $jobs/three.sh 1
form errors all -e /srv/shared/errors.err -b y ls /nowhere

queue_of() {
    case $1-$2 in
    all-direct) echo direct.q ;;
    all-*) echo all.q ;;
    stdin-direct) echo stdin-direct.q ;;
    stdin-*) echo stdin.q ;;
    esac
}

declare -A id=()
ways="direct starter ckpt"

# One script on the master submits everything and prints the numbers.
#
# submissions WAYS NAME...
submissions() {
    local name way options command input ways=$1
    shift
    for name; do
        for way in $ways; do
            options= input=/dev/null command=${form_command[$name]}
            [ $way != ckpt ] || options="-ckpt $ckpt_name"
            case $command in
            "\\< "*) input=$jobs/${command#* } command= ;;
            esac
            # shellcheck disable=SC2016
            echo "echo $name.$way \$(qsub -terse -N f-$name-$way -j y ${engine_options[*]} $options \
                -o '/srv/shared/$name.$way.\$TASK_ID' \
                -q $(queue_of "${form_queue[$name]}" $way) $command <$input 2>&1)"
        done
    done
}
submit_forms() {
    local what number
    while read -r what number; do
        id[$what]=${number%%[.:]*}
    done < <(submissions "$@" | cell as-user bash)
}
submit_forms "$ways" "${form_names[@]}"

# Ended, or in an error state and waiting for somebody to look.
settled() {
    cell as-user qstat -u '*' >"$work/qstat" &&
        awk 'NR > 2 && $5 !~ /E/ { found = 1 } END { exit found }' "$work/qstat"
}
ok "all jobs end" wait_until 90 settled || diag "$(cell as-user qstat)"

# How the job ended, as Grid Engine saw it: for each of its runs and tasks. accounting(5)
end_of() {
    awk -F: -v job="$1" '$6 == job { print "task", $36, "failed", $12, "status", $13 }' \
        "$cell_dir/srv/ge/cell/common/accounting" | sort
    echo "state $(awk -v job="$1" '$1 == job { print $5 }' "$work/qstat")"
}
output_of() {
    local file
    for file in "$shared/$1".*; do
        [ -e "$file" ] && echo "== ${file##*.}" &&
            sed -e 's|/spool/n[123]/|/spool/HOST/|g' -e "s/${id[$1]}/ID/g" "$file"
    done
}

ok "how they ended is known" accounted

# An execution daemon repeats its report of a job's end until it is answered. Of a job that
# runs again at once the queue master may take the second for the end of its second run
# (8.1.9; seen on a loaded machine): then one end is in accounting twice, and one run too
# many. That is no news of the starter.
counted_twice() {
    awk -F: -v job="$1" '$6 == job && ends[$2, $10, $11, $13, $36]++ { twice = 1 }
        END { exit !twice }' "$cell_dir/srv/ge/cell/common/accounting"
}
for try in 1 2 3; do
    repeated=
    for way in $ways; do
        counted_twice "${id[again.$way]}" || continue
        diag "again, $way: Grid Engine has counted one end twice (try $try)"
        repeated="$repeated $way"
        rm -f "$shared/again.$way".* "$shared/again.f-again-$way"
    done
    [ -n "$repeated" ] || break
    submit_forms "$repeated" again
    wait_until 60 settled
    accounted
done
for name in "${form_names[@]}"; do
    is "$name, starter: output" "$(output_of "$name.starter")" "$(output_of "$name.direct")"
    is "$name, ckpt: output" "$(output_of "$name.ckpt" | without_engine)" \
        "$(output_of "$name.direct")"
    for way in starter ckpt; do
        is "$name, $way: end" "$(end_of "${id[$name.$way]}")" "$(end_of "${id[$name.direct]}")"
    done
done

# Without a starter Grid Engine itself finds that the script cannot be executed. A
# starter cannot say so, but the job must not be lost: the error state, both times.
for way in $ways; do
    job=$(submit "no-interpreter.$way" -q "$(queue_of all $way)" \
        $([ $way != ckpt ] || echo "-ckpt $ckpt_name ${engine_options[*]}") $jobs/no-interpreter)
    ok "no-interpreter, $way: waits for a person" wait_until 20 eval '[ "$(state $job)" = Eqw ]'
done

# qrsh needs a terminal to offer one: script(1) makes it, and must be left an input that does
# not end, since the job's would end with it.
mkfifo "$work/silence"
on_terminal() {
    case $1 in
    n) sh -c "$2" </dev/null ;;
    y) script -qec "$2" /dev/null <>"$work/silence" ;;
    esac
}
terminals=n
[ "$(id -u)" -ne 0 ] || terminals="n y"
for terminal in $terminals; do
    for queue in direct.q all.q; do
        qrsh_once "$shared/qrsh-$terminal.$queue.1" on_terminal $terminal \
            "timeout --foreground 60 $cell_source/cell -d $cell_dir as-user qrsh -q $queue \
            -now n -pty $terminal $jobs/witness.py 'two words' '' && echo status \$?"
        id[qrsh-$terminal.$queue]=none
    done
    ok "qrsh -pty $terminal runs" grep -a "^status 0" "$shared/qrsh-$terminal.direct.q.1"
    is "qrsh -pty $terminal" "$(output_of qrsh-$terminal.all.q)" "$(output_of qrsh-$terminal.direct.q)"
done
for queue in direct.q all.q; do
    qrsh_once "$work/qrsh" cell as-user qrsh -now n -q $queue $jobs/three.sh </dev/null
    is "qrsh: exit status in $queue" $? 3
done

done_testing
