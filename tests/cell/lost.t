#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Hosts and shepherds are lost without a word; the job goes on from its last checkpoint,
# and whoever comes back does no harm.
. "${0%/*}/lib.sh"
cell_begin

jobs=/srv/shared/jobs
interval=(-r y -v QCKPT_INTERVAL=2 -b y)
reference power $jobs/threads -s 11 -n 200
reference cable $jobs/threads -s 12 -n 250
reference ended $jobs/threads -s 13 -n 40
reference shepherd $jobs/threads -s 14 -n 60

power=$(submit_ckpt power -q all.q@n1 "${interval[@]}" $jobs/threads -s 11 -n 200)
cable=$(submit_ckpt cable -q all.q@n2 "${interval[@]}" $jobs/threads -s 12 -n 250)
ended=$(submit_ckpt ended -q all.q@n2 "${interval[@]}" $jobs/threads -s 13 -n 40)
shepherd=$(submit_ckpt shepherd -q all.q@n3 "${interval[@]}" $jobs/threads -s 14 -n 60)

for name in power cable ended shepherd; do
    ok "$name has a checkpoint" wait_until 30 has_event "${!name}" checkpoint
    ok "$name goes on" steps "$name" 15
    cell as-user qalter -q all.q@n1,all.q@n2,all.q@n3 "${!name}" >/dev/null
done
cell crash n1
cell net n2 down
cell on n3 sh -c "kill -KILL \$(cat /srv/local/spool/n3/active_jobs/$shepherd.1/pid)"

ok "shepherd is restarted" wait_until 60 has_event "$shepherd" restarted
ok "power is restarted" wait_until 60 has_event "$power" restarted
ok "cable is restarted" wait_until 60 has_event "$cable" restarted
is "power is on a host that lives" "$(host_of "$power")" n3
is "cable too" "$(host_of "$cable")" n3

cell net n2 up
cell boot n1
ok "the old copy of cable stops" wait_until 30 eval "! cell on n2 pgrep -f 'threads -s 12'"
ok "the new one does not" cell on n3 pgrep -f 'threads -s 12'
ok "cable keeps its checkpoints" has_generations "$cable" 1

continued shepherd "$shepherd"
# It ended while nobody could hear it: the rerun only reports how.
continued ended "$ended"
continued power "$power"
continued cable "$cable"
ok "n2 runs nothing any more" eval "! cell on n2 pgrep -f jobs/threads"
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser")" ""
done_testing
