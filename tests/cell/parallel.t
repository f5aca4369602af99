#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A job of several hosts goes on as a whole, or is not saved and says why.
. "${0%/*}/lib.sh"
cell_begin
connect_hosts
make_pe tight TRUE 1

# hosts_of JOB: the master's first.
hosts_of() {
    cell as-user qstat -u '*' -g t -s rs | awk -v job="$1" '
        $1 == job { sub(/.*@/, "", $8); print ($9 == "MASTER" ? 0 : 1), $8 }' | sort | cut -d ' ' -f 2
}

# refused NAME JOB REASON: it runs, cannot be saved, says why, and ends undisturbed.
refused() {
    local name=$1 job=$2
    ok "$name runs" steps "$name" 3
    suspend "$job"
    ok "$name: the request is refused" wait_until 20 has_event "$job" hook-ended
    ok "$name: with the reason" says "$job" hook-ended "$3"
    is "$name: nothing was saved" "$(generations "$job")" ""
    cell as-user qmod -usj "$job" >/dev/null
    ok "$name goes on" steps "$name" 20
    cell as-user qdel "$job" >/dev/null
    ok "$name ends" wait_until 30 is_gone "$job"
}

hold tight loose
tight=$(submit_ckpt tight -pe tight 2 -b y $jobs/threads)
refused tight "$tight" "control_slaves TRUE"

if ! is_dmtcp; then
    loose=$(submit_ckpt loose -pe loose 2 -v QCKPT_ENGINE=native -b y $jobs/threads)
    refused loose "$loose" "one host only"
    done_testing
    exit
fi

if ! "$QCKPT_DMTCP_PREFIX/bin/dmtcp_launch" --version | grep -q '(DMTCP) 4'; then
    loose=$(submit_ckpt loose -pe loose 2 -b y $jobs/threads)
    refused loose "$loose" "which needs DMTCP 4"
    done_testing
    exit
fi

reference moved $jobs/parts.py
moved=$(submit_ckpt moved -pe loose 2 -b y $jobs/parts.py)
for move in 1 2; do
    ok "it runs before move $move" steps moved $((move * 25))
    is "it is on two hosts" "$(hosts_of "$moved" | wc -l)" 2
    suspend "$moved"
    ok "it is restarted ($move)" wait_until 60 has_event "$moved" restarted $move
done
continued moved "$moved"
nothing_runs "nothing of it is left on any host"

killed=$(submit_ckpt killed -pe loose 3 -b y $jobs/parts.py -s 10000)
ok "a job of three hosts runs" steps killed 10
is "on each of them" "$(running_parts | sed 's/:.*//' | sort -u | wc -l)" 3
cell as-user qdel "$killed" >/dev/null
ok "deleted, it is gone" wait_until 30 is_gone "$killed"
nothing_runs "deleted, it is so on each host"

orphaned=$(submit_ckpt orphaned -pe loose 2 -b y $jobs/parts.py -s 10000)
ok "another runs" steps orphaned 10
host=$(hosts_of "$orphaned" | head -n 1)
cell on "$host" sh -c "kill -KILL \$(cat /srv/local/spool/$host/active_jobs/$orphaned.1/job_pid)"
nothing_runs "what Grid Engine has started is killed, and so is all of it on each host"
cell as-user qdel "$orphaned" >/dev/null
ok "it ends" wait_until 30 is_gone "$orphaned"

# What ran on two hosts may get one.
reference fewer $jobs/parts.py
fewer=$(submit_ckpt fewer -pe loose 2 -b y $jobs/parts.py)
ok "fewer runs" steps fewer 20
is "fewer is on two hosts" "$(hosts_of "$fewer" | wc -l)" 2
cell as-manager qconf -mattr pe allocation_rule '$fill_up' loose >/dev/null
suspend "$fewer"
ok "fewer is restarted" wait_until 60 has_event "$fewer" restarted
is "fewer is on one host" "$(hosts_of "$fewer" | sort -u | wc -l)" 1
for move in 2 3; do
    suspend "$fewer"
    ok "what came together on one host is saved again ($move)" wait_until 60 has_event "$fewer" restarted $move
done
continued fewer "$fewer"
cell as-manager qconf -mattr pe allocation_rule 1 loose >/dev/null

reference power $jobs/parts.py -s 150
power=$(submit_ckpt power -pe loose 2 -r y -v QCKPT_INTERVAL=3 -b y $jobs/parts.py -s 150)
goes_on_saved power "$power" 40
lost=$(hosts_of "$power" | head -n 1)
cell crash "$lost"
ok "its first host is lost, and it goes on elsewhere" wait_until 90 has_event "$power" restarted
cell boot "$lost"
continued power "$power"
nothing_runs "nothing of either run is left" 70
done_testing
