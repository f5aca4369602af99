#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Jobs of several hosts with unlike CPUs: n1 has only SSE2, n2 AVX2, n3 AVX-512. What ran
# on a host goes on only where the features of that host exist.
. "${0%/*}/lib.sh"
saves_hosts || skip_all hosts "only DMTCP 4 saves jobs of several hosts"
cell_begin
cell cpu n1 x86-64-v1
cell cpu n2 x86-64-v3
cell cpu n3 x86-64-v4
connect_hosts

libexec=/srv/prefix/libexec/qckpt
cpu_ckpt=${ckpt_name}_cpu
for host in n1 n2 n3; do
    cell as-manager qconf -rattr exechost complex_values NONE $host >/dev/null
done
cell as-manager sh -c "qconf -sc | grep -v ^cpuflag_ >/tmp/complexes && qconf -Mc /tmp/complexes" >/dev/null 2>&1

declare -A id=()
# queues HOST...
queues() {
    printf 'all.q@%s\n' "$@" | paste -sd ,
}
# began ENVIRONMENT NAME STEPS HOST OTHER...: a job with its first process on HOST
began() {
    local environment=$1 name=$2 steps=$3
    shift 3
    id[$name]=$(submit_in "$environment" "$name" -v QCKPT_RETRY_DELAY=2 -pe loose $# -masterq "all.q@$1" \
        -q "$(queues "$@")" -b y $jobs/parts.py -s "$steps")
    ok "$name runs on $*" steps "$name" 10
}
# sent NAME HOST OTHER...: its next run is to be there
sent() {
    local name=$1
    shift
    cell as-user qalter -masterq "all.q@$1" -q "$(queues "$@")" "${id[$name]}" >/dev/null
}

### Refused by a host that is not the first #####################################

reference swapped $jobs/parts.py -s 80
began "$ckpt_name" swapped 80 n2 n3
sent swapped n3 n2
suspend "${id[swapped]}"
ok "the part of n3 comes to n2, which refuses it" wait_until 30 has_event "${id[swapped]}" wrong-host
ok "... by name, with what is missing" says "${id[swapped]}" wrong-host "host n2 lacks avx512bw"
is "... in the words for a job of one host" "$(says "${id[swapped]}" wrong-host '' | head -n 1 | sed 's/lacks.*;/lacks ...;/')" \
    "host n2 lacks ...; generation 1 was made where they exist"
ok "... and the job is queued again, with a wait that grows" wait_until 60 has_event "${id[swapped]}" waits 2
ok "... it says so" says "${id[swapped]}" waits "queued again in 4 s"
ok "... to people too" shows "${id[swapped]}" waiting
is "nothing of it was started" "$(events "${id[swapped]}" 'restarted|restart-failed')" ""
is "nor lost" "$(generations "${id[swapped]}" | wc -l)" 1
sent swapped n2 n3
ok "it goes on where each part may" wait_until 90 has_event "${id[swapped]}" restarted
continued swapped "${id[swapped]}"
nothing_left "nothing of it is left"

### Fewer hosts than before #####################################################

reference fewer $jobs/parts.py -s 80
began "$ckpt_name" fewer 80 n2 n3
cell as-manager qconf -mattr pe allocation_rule '$fill_up' loose >/dev/null
sent fewer n2 n2
suspend "${id[fewer]}"
ok "n2 cannot have the part of n3 beside its own" wait_until 30 has_event "${id[fewer]}" wrong-host
ok "... and says it" says "${id[fewer]}" wrong-host "host n2 lacks avx512bw"
sent fewer n3 n3
ok "n3 can have both" wait_until 60 has_event "${id[fewer]}" restarted
suspend "${id[fewer]}"
ok "it is saved there" wait_until 30 has_event "${id[fewer]}" restarted 2
sent fewer n2 n2
suspend "${id[fewer]}"
ok "what n3 gave is needed from then on" wait_until 30 eval \
    '[ "$(events "${id[fewer]}" wrong-host | jq -r .generation | tail -n 1)" -ge 3 ]'
sent fewer n3 n3
continued fewer "${id[fewer]}"
cell as-manager qconf -mattr pe allocation_rule 1 loose >/dev/null

### Three hosts in any order ####################################################

printf '%s 1 q u\n' master n1 n2 >"$shared/three"
reference three env PE_HOSTFILE=/srv/shared/three $jobs/parts.py -s 100
began "$ckpt_name" three 100 n1 n2 n3
for move in 1 2 3; do
    suspend "${id[three]}"
    ok "each part finds its host ($move)" wait_until 60 has_event "${id[three]}" restarted $move
    ok "it runs" steps three $((10 + move * 20))
done
is "no host refused it" "$(events "${id[three]}" wrong-host)" ""
ok "three ends" wait_until 90 is_gone "${id[three]}"
# Which of two parts says first that it ends is chance.
wait "${reference_pid[three]}"
sort -o "$work/reference/three" "$work/reference/three"
sort "$shared/three.out" >"$work/three.out"
same_file "three: output as undisturbed" "$work/three.out" "$work/reference/three"

### Moved with the CPU in mind ##################################################

cell as-manager qconf -as n1,n2,n3 >/dev/null 2>&1
cell as-manager sh -c "qconf -sc >/tmp/complexes && qckpt complexes --merge /tmp/complexes \
    >>/tmp/complexes && qconf -Mc /tmp/complexes" >/dev/null 2>&1
cell as-manager sh -c "qconf -sconf global | sed 's|^load_sensor.*|load_sensor $libexec/qckpt-sensor|' \
    >/tmp/global && qconf -Mconf /tmp/global" >/dev/null
has_level() {
    cell as-user qhost -F cpu_level -h "$1" | grep "hl:cpu_level=$2"
}
for host in 'n1 1' 'n2 3' 'n3 4'; do
    # shellcheck disable=SC2086
    ok "the scheduler knows the CPU of ${host% *}" wait_until 20 has_level $host
done
reference asked $jobs/parts.py -s 120
began "$cpu_ckpt" asked 120 n2 n3
sent asked n1 n1 n2 n3
suspend "${id[asked]}"
ok "one host of that kind is not enough for a job of two" wait_until 20 says "${id[asked]}" cpu-requests \
    "the job runs on 2 hosts, and only 1 of the cluster has what it needs (cpu_level=4"
ok "... so it stays" wait_until 20 has_event "${id[asked]}" hook-ended
cell as-user qmod -usj "${id[asked]}" >/dev/null
cell cpu n1 x86-64-v4
ok "another host gets such a CPU" wait_until 20 has_level n1 4
suspend "${id[asked]}"
ok "it moves" wait_until 60 has_event "${id[asked]}" restarted
is "it asks for what all its hosts have" "$(requests "${id[asked]}")" cpu_level=4
is "no host refused it" "$(events "${id[asked]}" wrong-host)" ""
is "its first process is on the new host" "$(events "${id[asked]}" restarted | jq -r .host)" n1
continued asked "${id[asked]}"
nothing_left "nothing is left on any host"
done_testing
