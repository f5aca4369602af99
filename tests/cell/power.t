#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A host loses its power, a job its shepherd: no hook is called, RESTARTED is 1, and the
# job goes on from its last checkpoint all the same.
. "${0%/*}/lib.sh"
cell_begin

interval=(-r y -v QCKPT_INTERVAL=2 -b y)
reference power $jobs/threads -s 11 -n 60
reference shepherd $jobs/threads -s 14 -n 60

hold power shepherd
power=$(submit_ckpt power -q all.q@n1 "${interval[@]}" $jobs/threads -s 11 -n 60)
shepherd=$(submit_ckpt shepherd -q all.q@n3 "${interval[@]}" $jobs/threads -s 14 -n 60)
for name in power shepherd; do
    goes_on_saved "$name" "${!name}" 20
    cell as-user qalter -q all.q@n2,all.q@n3 "${!name}" >/dev/null
done

cell crash n1
cell on n3 sh -c "kill -KILL \$(cat /srv/local/spool/n3/active_jobs/$shepherd.1/pid)"
ok "RESTARTED=1 (shepherd killed): shepherd goes on from its checkpoint" \
    wait_until 60 has_event "$shepherd" restarted
continued shepherd "$shepherd"

ok "RESTARTED=1 (host lost): power goes on from its checkpoint" \
    wait_until 90 has_event "$power" restarted
cell boot n1
continued power "$power"
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
done_testing
