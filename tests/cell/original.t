#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the original scripts do wrong with a DMTCP of today. Each fault is a test, for both
# engines, here or in another script:
#
#   a checkpoint without an image loses the job      here: "no image"
#   images lie in the job's directory                here: "images"
#   RESTARTED=1 begins a job from its start          again.t: qmod -rj; power.t
#   -b y, script on stdin, #! line, login shell      here; the first start: starter.t
#   clean-up removes what the next run needs         here: exit 99, 100; again.t: qmod -rj
#   a failing checkpoint is not noticed              here: "unwritable"; store.t: no room,
#                                                    what cannot be saved
#   a file of the spool is evaluated by the shell    here: "metacharacters"
#   a stranger's directory is taken for the job's    here: "stranger"
#   the second restart fails                         again.t: three
. "${0%/*}/lib.sh"
cell_begin

local_jobs=$shared/jobs
declare -A id=()
make_queue stdin.q $starter script_from_stdin >"$work/queue.log" 2>&1 ||
    diag "$(cat "$work/queue.log")"

# There are two queues.
submit_here() {
    submit_ckpt "$1" -q all.q "${@:2}"
}

### A stranger who comes first ##################################################

# What the original starter executed or read in its directory. Jobs have the numbers from
# 4711 on. Without root there is but one user.
plant='umask 0
    for directory; do
        mkdir -p "$directory" && cd "$directory" || exit 1
        printf "#!/bin/sh\ntouch /srv/shared/evil\n" >dmtcp_restart_script.sh
        cp dmtcp_restart_script.sh dmtcp_command
        chmod 777 ./dmtcp_*
        echo 7779 >dmtcp_port
    done'
arena=/srv/arena
strangers=${ckpt#"$cell_dir"}
planted() {
    cell on master find "$strangers" $arena -user sgeadmin -printf '%p %m %s %T@\n' | sort
}
if [ "$(id -u)" -eq 0 ]; then
    cell as-manager mkdir -m 1777 $arena
    make_environment arena $arena >"$work/arena.log" 2>&1 || diag "$(cat "$work/arena.log")"
    # shellcheck disable=SC2046
    cell on master setpriv --reuid sgeadmin --clear-groups sh -c "$plant" plant \
        $arena/geuser $arena/geuser/4711.1 \
        $(seq -f "$strangers/%.0f.1" 4711 4730) || diag "nothing planted"
    planted_before=$(planted)
    reference arena $jobs/threads -s 30 -n 20
    id[arena]=$(submit_in "$ckpt_name-arena" arena -q all.q -b y $jobs/threads -s 30 -n 20)
fi

### Each form of submission is moved ############################################

cat >"$local_jobs/script.sh" <<'S'
#!/bin/bash
echo "script $# $BASH_VERSION"
exec /srv/shared/jobs/threads -s 31
S
cat >"$local_jobs/input.sh" <<'S'
echo "input $# [$1] [$2] $(shopt login_shell)"
/srv/shared/jobs/threads -s 32 </dev/null
echo "status $?"
S
cat >"$local_jobs/bang" <<'S'
#!/usr/bin/python3 -B
import os, sys, time
print("bang", sys.argv[1:], sys.flags.dont_write_bytecode, flush=True)
for i in range(60):
    print("step", i, flush=True)
    time.sleep(0.2)
while os.path.exists(os.environ.get("HOLD", "")):
    time.sleep(0.1)
S
cat >"$local_jobs/meta.sh" <<'S'
#!/bin/bash
printf '[%s]\n' "$@" "$META" "$PWD"
exec /srv/shared/jobs/threads -s 34
S
chmod +x "$local_jobs"/{script.sh,bang,meta.sh}

# Whatever executes these words makes a file "evil". Grid Engine takes no space in a name.
meta='$(touch evil);touch evil;`touch evil`&touch evil'
meta_name='$(touch${IFS}evil);touch${IFS}evil;`touch${IFS}evil`>evil'
meta_words=("$meta" "';$meta;'" "\";$meta;\"" "two words" "")
meta_directory=/srv/shared/in$meta
cell as-user mkdir "$meta_directory" /srv/shared/empty
home_before=$(cell as-user ls -A)

reference binary $jobs/threads -s 35
reference piped $jobs/script.sh
reference stdin sh -c "bash -l -s 'two words' '' <$jobs/input.sh"
reference bang $jobs/bang "two words" ""
reference login bash -l -c "shopt login_shell ; exec $jobs/threads -s 33"
reference meta env -C "$meta_directory" "META=$meta" $jobs/meta.sh "${meta_words[@]}"

# Not "silent": a job that DMTCP is asked to stop, and does not, is taken for lost in the end.
hold binary piped stdin bang login meta exit99 exit100 unwritable noimage path cpu
id[binary]=$(submit_here binary -wd /srv/shared/empty -b y $jobs/threads -s 35)
id[piped]=$(submit_here piped <"$local_jobs/script.sh")
id[stdin]=$(submit_ckpt stdin -q stdin.q $jobs/input.sh "two words" "")
id[bang]=$(submit_here bang $jobs/bang "two words" "")
id[login]=$(submit_here login -b y shopt login_shell ";" exec $jobs/threads -s 33)
id[meta]=$(submit_here meta -N "$meta_name" -wd "$meta_directory" \
    -v "META=$meta" $jobs/meta.sh "${meta_words[@]}")
declare -A what=([binary]="-b y" [piped]="script on stdin" [stdin]="script_from_stdin"
    [bang]="#! line" [login]="login shell" [meta]="metacharacters")
moved=(binary piped stdin bang login meta)

### Checkpoints that fail, and jobs that run again ##############################

# Ends in the middle with the given status, the first time, when the test has seen its
# checkpoint. It starts no programs: DMTCP may lose a job that starts one during a
# checkpoint, and here there are many.
cat >"$local_jobs/again" <<'S'
#!/usr/bin/python3
import os, sys, time
status, mark = int(sys.argv[1]), sys.argv[2]
print("begin", status, flush=True)
for i in range(50):
    print("step", i, flush=True)
    time.sleep(0.2)
    if i == 25:
        while os.path.exists(os.environ.get("HOLD", "")):
            time.sleep(0.1)
        if not os.path.exists(mark):
            open(mark, "w").close()
            # At once: from a checkpoint on the way out each run would end so again.
            os._exit(status)
print("end", flush=True)
S
chmod +x "$local_jobs/again"
for status in 99 100; do
    reference "exit$status" $jobs/again $status $jobs/again
    id[exit$status]=$(submit_here "exit$status" -r y -v QCKPT_INTERVAL=1 \
        $jobs/again $status "/srv/shared/ended.$status")
done

reference unwritable $jobs/threads -s 36 -n 80
id[unwritable]=$(submit_here unwritable -b y $jobs/threads -s 36 -n 80)
reference noimage $jobs/threads -s 37 -n 80
id[noimage]=$(submit_here noimage -v QCKPT_TESTING=1,QCKPT_FAULT=store.before-rename:fail \
    -b y $jobs/threads -s 37 -n 80)

# A command that says yes and does nothing: how the original lost its jobs.
if is_dmtcp; then
    mkdir -p "$shared/silent/bin"
    for program in dmtcp_launch dmtcp_coordinator dmtcp_restart mtcp_restart; do
        ln -s /srv/dmtcp/bin/$program "$shared/silent/bin"
    done
    cat >"$shared/silent/bin/dmtcp_command" <<'S'
#!/bin/sh
for word; do
    case $word in -c | --checkpoint | -*bc*) echo "Checkpointed" && exit 0 ;; esac
done
exec /srv/dmtcp/bin/dmtcp_command "$@"
S
    chmod +x "$shared/silent/bin/dmtcp_command"
    reference silent $jobs/threads -s 38 -n 120
    id[silent]=$(submit_here silent -v QCKPT_DMTCP_PREFIX=/srv/shared/silent \
        -v QCKPT_FREEZE_TIMEOUT=5 -b y $jobs/threads -s 38 -n 120)

    # DMTCP found on the job's PATH; not found at all; the other checkpoint environment.
    reference path $jobs/threads -s 50
    reference missing $jobs/threads -s 51 -n 20
    reference cpu $jobs/threads -s 52
    id[path]=$(submit path -ckpt dmtcp -q all.q -v PATH=/srv/dmtcp/bin:/usr/bin:/bin -b y $jobs/threads -s 50)
    id[missing]=$(submit missing -ckpt dmtcp -q all.q -b y $jobs/threads -s 51 -n 20)
    id[cpu]=$(submit_in dmtcp_cpu cpu -q all.q -b y $jobs/threads -s 52)
    what+=([path]="DMTCP on the job's PATH" [cpu]="checkpoint environment dmtcp_cpu")
    moved+=(path cpu)
fi

### What happens to them ########################################################

for name in "${moved[@]}"; do
    ok "${what[$name]}: $name runs" steps "$name" 8
    suspend "${id[$name]}"
done

directories() {
    find "$(store "${id[unwritable]}")" -type d "$@"
}
failing='checkpoint-(failed|refused)'
ok "unwritable runs" steps unwritable 8
directories -exec chmod a-w {} +
suspend "${id[unwritable]}"
ok "unwritable: the failing checkpoint is noticed" \
    wait_until 20 has_event "${id[unwritable]}" "$failing"
ok "unwritable: and says why" \
    eval 'events "${id[unwritable]}" "$failing" | grep "Permission denied"'
directories -exec chmod u+w {} +

for name in noimage ${id[silent]+silent}; do
    ok "no image: $name runs" steps "$name" 8
    suspend "${id[$name]}"
done

for name in "${moved[@]}"; do
    ok "${what[$name]}: $name goes on from its image" \
        wait_until 40 has_event "${id[$name]}" restarted
    is "${what[$name]}: the engine under test" "$(engine_of "${id[$name]}")" $cell_engine
    ok "images: those of $name are in ckpt_dir" had_generations "${id[$name]}"
done
for name in noimage ${id[silent]+silent}; do
    ok "no image: $name says so" wait_until 30 has_event "${id[$name]}" "$failing"
    is "no image: $name has none" "$(generations "${id[$name]}")" ""
done

is "images: none in the job's directory" "$(ls -A "$shared/empty")" ""
is "images: none in the home directory" "$(cell as-user ls -A)" "$home_before"
is "images: none anywhere else" "$(find "$shared" "$cell_dir"/srv/home "$cell_dir"/hosts \
    \( -name 'ckpt_*' -o -name '*.dmtcp*' -o -name 'dmtcp_restart*' \) \
    ! -path '*/silent/bin/*')" ""

for status in 99 100; do
    ok "exit $status: has a checkpoint" wait_until 20 has_event "${id[exit$status]}" checkpoint
    release "exit$status"
done
ok "exit 100: waits for a person" wait_until 40 eval '[ "$(state "${id[exit100]}")" = Eqw ]'
ok "exit 100: the checkpoint is kept" has_generations "${id[exit100]}" 1
cell as-user qmod -cj "${id[exit100]}" >/dev/null
for status in 99 100; do
    ok "exit $status: goes on from the checkpoint" \
        wait_until 40 has_event "${id[exit$status]}" restarted
done

for name in "${moved[@]}" exit99 exit100 unwritable noimage ${id[silent]+silent}; do
    continued "$name" "${id[$name]}"
done

### And nothing else ############################################################

evil() {
    find "$cell_dir"/srv/{shared,home} "$cell_dir"/hosts -name evil
}
is "metacharacters, stranger: nothing was executed" "$(evil)" ""
# told NAME: what the starter said in the job's output; untold NAME: the rest
starter_line="^$(basename "$starter"): "
told() {
    grep "$starter_line" "$shared/$1.out"
}
untold() {
    sed -i "/$starter_line/d" "$shared/$1.out"
}
if [ "$(id -u)" -eq 0 ]; then
    is "stranger: JOBID.1 is left alone" "$(planted)" "$planted_before"
    ok "stranger: a directory with the user's name: the job says what it lacks" \
        eval 'told arena | grep "runs without checkpoints.*arena"'
    untold arena
    continued arena "${id[arena]}"
else
    skip root "stranger: a directory of his" "a second user needs root"
fi
if is_dmtcp; then
    ok "DMTCP is missing: the job says so and what to do" \
        eval 'told missing | grep "QCKPT_DMTCP_PREFIX"'
    untold missing
    continued missing "${id[missing]}"
fi
for directory in "${ckpt_dirs[@]}"; do
    is "nothing is left in ${directory#"$cell_dir"}" "$(ls "$directory/geuser" 2>/dev/null)" ""
done
done_testing
