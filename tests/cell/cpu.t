#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Hosts with unlike CPUs: n1 has only SSE2, n2 AVX2, n3 AVX-512. Jobs go on only where the
# features of their CPU exist, and wait while there is no such host.
. "${0%/*}/lib.sh"
cell_begin

libexec=/srv/prefix/libexec/qckpt
cpu_ckpt=${ckpt_name}_cpu
# While a task waits on a wrong host; 30 s are for clusters.
soon=(-v QCKPT_RETRY_DELAY=2)

### The hosts ###################################################################

declare -A level=([n1]=1 [n2]=3 [n3]=4)
for host in n1 n2 n3; do
    cell cpu $host "x86-64-v${level[$host]}"
    cell as-manager qconf -rattr exechost complex_values NONE $host >/dev/null
done
is_dmtcp && cell as-manager sh -c "qconf -sc | grep -v ^cpuflag_ >/tmp/complexes &&
    qconf -Mc /tmp/complexes" >/dev/null 2>&1
# The template's environment beside the plain one; DMTCP's is there (enable-dmtcp.sh).
is_dmtcp || cell as-manager sh -c "sed -e 's|@prefix@|/srv/prefix|' \
        -e 's|[^ ]*/libexec/|/srv/prefix/libexec/|' -e 's|^\(ckpt_dir  *\).*|\1/srv/ckpt|' \
        /srv/prefix/share/qckpt/qckpt_cpu.ckpt >/tmp/cpu.ckpt &&
    qconf -Ackpt /tmp/cpu.ckpt && qconf -aattr queue ckpt_list $cpu_ckpt all.q" >/dev/null
ok "the environment for the CPU exists" cell as-manager qconf -sckpt $cpu_ckpt

### Asking ######################################################################

# values HOST: what the scheduler knows of it
values() {
    cell as-user qhost -F cpu_level,cpuflag_avx2,cpuflag_avx512f -h "$1" | grep -o 'h[lf]:cpu.*' |
        tr -d ' ' | sort | paste -sd ' '
}
has_values() {
    [ "$(values "$1")" = "$2" ]
}
# hosts_of JOB[.TASK]: where it was started and restarted, in order
hosts_of() {
    events "$1" 'launched|restarted' | jq -r .host | paste -sd ' '
}
# started NAME HOST [QSUB-OPTION...] COMMAND...: there, and free to go elsewhere
started() {
    local name=$1 host=$2 environment=${environment-$cpu_ckpt}
    shift 2
    id[$name]=$(submit_in "$environment" "$name" -q "all.q@$host" "${soon[@]}" "$@")
    ok "$name runs on $host" steps "$name" 4
    cell as-user qalter -q all.q "${id[$name]}" >/dev/null
}
close_host() {
    cell as-manager qmod -d "all.q@$1" >/dev/null
}
open_host() {
    cell as-manager qmod -e "all.q@$1" >/dev/null
}
is_queued() {
    [ "$(state "$1")" = Rq ]
}
declare -A id=()

### A cluster that knows nothing of CPUs yet ####################################

reference early $jobs/threads -s 31 -n 150
reference asked $jobs/threads -s 32 -n 100
reference lost $jobs/threads -s 33 -n 80
reference baseline $jobs/strings -n 60
for task in 1 2 3 4 5; do
    reference "tasks.$task" $jobs/threads -s "$task" -t 2
done

hold early asked lost baseline tasks alike
started early n3 -l h_rt=1:0:0 -b y $jobs/threads -s 31 -n 150
close_host n1
close_host n2
suspend "${id[early]}"
ok "early migrates without complexes" wait_until 30 has_event "${id[early]}" restarted
ok "... and says that there are none" says "${id[early]}" cpu-requests "no such complex: cpu_level"

### Load sensor, fixed values, queues ##########################################

cell as-manager sh -c "qconf -sc >/tmp/complexes && qckpt complexes --merge /tmp/complexes \
    >>/tmp/complexes && qconf -Mc /tmp/complexes" >/dev/null 2>&1
fixed=$(cell on n2 sh -c "QCKPT_TESTING=1 QCKPT_FAKE_CPU=/srv/local/spool/cpu $libexec/qckpt-sensor --fixed")
cell as-manager qconf -aattr exechost complex_values "$fixed" n2 >/dev/null
is "fixed values of a host" "$(values n2)" "hf:cpu_level=3.000000 hf:cpuflag_avx2=1.000000"
cell as-manager qconf -rattr exechost complex_values NONE n2 >/dev/null
cell as-manager qconf -aattr queue complex_values "${fixed%%,*}" all.q@n2 >/dev/null
ok "fixed values of a queue" eval 'cell as-user qstat -F cpu_level -q all.q@n2 | grep qf:cpu_level=3'
cell as-manager qconf -purge queue complex_values all.q@n2 >/dev/null

cell as-manager sh -c "qconf -sconf global | sed 's|^load_sensor.*|load_sensor $libexec/qckpt-sensor|' \
    >/tmp/global && qconf -Mconf /tmp/global" >/dev/null
ok "the sensor of n1 shows up" wait_until 20 has_values n1 \
    "hl:cpu_level=1.000000 hl:cpuflag_avx2=0.000000 hl:cpuflag_avx512f=0.000000"
ok "... that of n2" wait_until 20 has_values n2 \
    "hl:cpu_level=3.000000 hl:cpuflag_avx2=1.000000 hl:cpuflag_avx512f=0.000000"
ok "... that of n3" wait_until 20 has_values n3 \
    "hl:cpu_level=4.000000 hl:cpuflag_avx2=1.000000 hl:cpuflag_avx512f=1.000000"
# The execution hosts are no submit hosts yet: qalter is refused (qstat is not, they are
# administrative hosts).
suspend "${id[early]}"
ok "early migrates where qalter is refused" wait_until 30 has_event "${id[early]}" restarted 2
ok "... and says so" says "${id[early]}" cpu-requests 'denied: host "n3" is not a submit host'
is "... with the requests it had" "$(requests "${id[early]}")" h_rt=3600
cell as-manager qconf -as n1,n2,n3 >/dev/null 2>&1
open_host n1
open_host n2

cell cpu n2 "x86-64-v3 -avx2"
ok "a sensor follows a host that becomes another one" wait_until 20 has_values n2 \
    "hl:cpu_level=2.000000 hl:cpuflag_avx2=0.000000 hl:cpuflag_avx512f=0.000000"
cell cpu n2 x86-64-v3
ok "... and back" wait_until 20 has_values n2 \
    "hl:cpu_level=3.000000 hl:cpuflag_avx2=1.000000 hl:cpuflag_avx512f=0.000000"

### Moved with the CPU in mind ##################################################

started asked n3 -l h_rt=1:0:0,mem_free=1M -soft -l h_vmem=20G -hard -b y $jobs/threads -s 32 -n 100
close_host n3
suspend "${id[asked]}"
ok "asked is queued again" wait_until 20 is_queued "${id[asked]}"
is "it asks for the level of its host, and for all it did before" "$(requests "${id[asked]}")" \
    cpu_level=4,h_rt=3600,mem_free=1M
ok "its soft requests stay" eval 'cell as-user qstat -j "${id[asked]}" | grep "soft resource_list: *h_vmem=20G"'
ok "qstat -j has the reason" wait_until 15 eval \
    'cell as-user qstat -j "${id[asked]}" | grep "\"n2\" because it offers only hl:cpu_level=3"'
ok "qckpt show too" shows "${id[asked]}" "the job now asks for cpu_level=4"
is "it waits, although other hosts are free" "$(state "${id[asked]}")" Rq
open_host n3
ok "it goes on where it may" wait_until 30 has_event "${id[asked]}" restarted
suspend "${id[asked]}"
ok "it goes on again" wait_until 30 has_event "${id[asked]}" restarted 2
is "its requests did not grow" "$(requests "${id[asked]}")" cpu_level=4,h_rt=3600,mem_free=1M
ok "... as its log says" says "${id[asked]}" cpu-requests "asks already"
is "it was never anywhere else" "$(hosts_of "${id[asked]}")" "n3 n3 n3"
is "... nor refused by a host" "$(events "${id[asked]}" wrong-host)" ""

### On a wrong host #############################################################

# The plain hook asks for nothing.
environment=$ckpt_name started lost n3 -l h_rt=1:0:0 -b y $jobs/threads -s 33 -n 80
close_host n3
suspend "${id[lost]}"
ok "lost comes to a wrong host, which refuses it" wait_until 30 has_event "${id[lost]}" wrong-host
ok "... naming what is missing" says "${id[lost]}" wrong-host "avx512bw avx512cd avx512dq avx512f"
ok "... on that host" eval 'events "${id[lost]}" wrong-host | jq -r .host | grep "n[12]"'
ok "... and raises its requests from there" wait_until 10 eval '[ "$(requests "${id[lost]}")" = cpu_level=4,h_rt=3600 ]'
ok "... so that it waits for the right one" wait_until 10 is_queued "${id[lost]}"
ok "... which qckpt show has" shows "${id[lost]}" waiting
open_host n3

### A baseline ##################################################################

cat >"$shared/jobs/baseline.sh" <<'J'
#!/bin/sh
/srv/shared/jobs/strings -k >/srv/shared/baseline.kind
exec /srv/shared/jobs/strings -n 60
J
cell as-user $jobs/strings -k >"$work/kind"
if [ "$(cat "$work/kind")" = vector ]; then
    started baseline n3 -v QCKPT_CPU=baseline=x86-64-v2 $jobs/baseline.sh
    is "under a baseline the C library takes other code" "$(cat "$shared/baseline.kind")" plain
else
    started baseline n3 -v QCKPT_CPU=baseline=x86-64-v2 $jobs/baseline.sh
    skip avx2 "under a baseline the C library takes other code" "this machine has no AVX2"
fi
close_host n3
suspend "${id[baseline]}"
ok "with it the job goes to lesser hosts" wait_until 30 has_event "${id[baseline]}" restarted
is "... but not below" "$(hosts_of "${id[baseline]}")" "n3 n2"
is "... for which it asks" "$(requests "${id[baseline]}")" cpu_level=2
is "... so that no host refuses it" "$(events "${id[baseline]}" wrong-host)" ""
open_host n3

ok "lost goes on elsewhere" wait_until 60 has_event "${id[lost]}" restarted
is "... where it may" "$(hosts_of "${id[lost]}")" "n3 n3"
is "... and it was refused once" "$(events "${id[lost]}" wrong-host | wc -l)" 1

### Tasks #######################################################################

# Two tasks on each of n1 and n2, one on n3; then each host has room for all.
make_queue tasks $starter unix_behavior >"$work/queue.log" 2>&1 || diag "$(cat "$work/queue.log")"
set_slots() {
    local host
    for host in n1 n2 n3; do
        cell as-manager qconf -rattr queue slots "$1" "tasks@$host" >/dev/null
        shift
    done
}
set_slots 2 2 1
# shellcheck disable=SC2016
id[tasks]=$(cell as-user qsub -terse -N tasks -ckpt $cpu_ckpt "${engine_options[@]}" "${soon[@]}" \
    -v HOLD=/srv/shared/hold.tasks -q tasks -t 1-5 -j y -o '/srv/shared/tasks.$TASK_ID.out' $jobs/array.sh | sed 's/[.:].*//')
for task in 1 2 3 4 5; do
    ok "task $task runs" steps "tasks.$task" 4
done
declare -A first=()
for task in 1 2 3 4 5; do
    first[$task]=$(hosts_of "${id[tasks]}.$task")
done
is "they began on unlike hosts" "$(printf '%s\n' "${first[@]}" | sort | paste -sd ' ')" "n1 n1 n2 n2 n3"
set_slots 5 5 5
suspend "${id[tasks]}"
for task in 1 2 3 4 5; do
    ok "task $task is restarted" wait_until 90 has_event "${id[tasks]}.$task" restarted
done
may=yes
for task in 1 2 3 4 5; do
    for host in $(hosts_of "${id[tasks]}.$task"); do
        [ "${level[$host]}" -ge "${level[${first[$task]}]}" ] || may="task $task of ${first[$task]} on $host"
    done
done
is "each only where it may" "$may" yes

for task in 1 2; do
    reference "alike.$task" $jobs/threads -s "$task" -t 2
done
# shellcheck disable=SC2016
id[alike]=$(cell as-user qsub -terse -N alike -ckpt $cpu_ckpt "${engine_options[@]}" "${soon[@]}" \
    -v QCKPT_INTERVAL=1,HOLD=/srv/shared/hold.alike -q tasks@n2 -t 1-2 -j y -o '/srv/shared/alike.$TASK_ID.out' $jobs/array.sh |
    sed 's/[.:].*//')
for task in 1 2; do
    ok "alike.$task has a checkpoint" wait_until 30 has_event "${id[alike]}.$task" checkpoint
done
suspend "${id[alike]}.2"
ok "alike.2 is restarted" wait_until 30 has_event "${id[alike]}.2" restarted
is "what all tasks need the array asks for" "$(requests "${id[alike]}")" cpu_level=3

### At the submission ###########################################################

jsv() {
    id[jsv]=$(submit_in "$cpu_ckpt" jsv -h "$@" -b y sleep 1)
    requests "${id[jsv]}"
    cell as-user qdel "${id[jsv]}" >/dev/null
}
is "a verifier of the user's" "$(jsv -jsv $libexec/qckpt-jsv -v QCKPT_CPU=baseline=x86-64-v2 -l h_rt=60)" \
    cpu_level=2,h_rt=60
cell as-manager sh -c "printf '#!/bin/sh\nexec $libexec/qckpt-jsv --request cpu_level=3\n' >/tmp/jsv &&
    chmod 755 /tmp/jsv && qconf -sconf global | sed 's|^jsv_url.*|jsv_url script:/tmp/jsv|' \
    >/tmp/global && qconf -Mconf /tmp/global" >/dev/null
is "the cluster's own" "$(jsv -t 1-3 -l cpu_lvl=2,h_rt=60)" cpu_level=3,h_rt=60
is "it keeps what is stricter" "$(jsv -l cpu_level=4)" cpu_level=4
is "it leaves others alone" "$(submit other -h -l h_rt=60 -b y sleep 1 >"$work/other" && requests "$(cat "$work/other")")" h_rt=60
# With a verifier of the cluster's, qalter -l must be allowed to users.
cell as-user qalter -l h_rt=70 "$(cat "$work/other")" >"$work/qalter" 2>&1
ok "qalter is refused then" grep "jsv_allowed_mod" "$work/qalter"
cell as-manager sh -c "qconf -sconf global | sed '/^jsv_allowed_mod/s|\$|,l_hard|' >/tmp/global &&
    qconf -Mconf /tmp/global" >/dev/null
ok "until it is allowed" wait_until 10 eval \
    'cell as-user qalter -l h_rt=60 "$(cat "$work/other")" >/dev/null'

cell as-user qdel "$(cat "$work/other")" >/dev/null

### All of them end as if nothing had been ######################################

for name in early asked lost baseline; do
    continued "$name" "${id[$name]}"
done
for array in tasks alike; do
    release $array
    ok "$array ends" wait_until 90 is_gone "${id[$array]}"
done
for task in 1 2 3 4 5; do
    same_output "tasks.$task"
done
for task in 1 2; do
    same_output "alike.$task"
done
done_testing
