#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Moved several times, moved with its queue, requeued by hand.
. "${0%/*}/lib.sh"
cell_begin

reference thrice $jobs/threads -s 3 -n 110
reference queue $jobs/pipeline.sh
reference requeued $jobs/threads -s 5 -n 60

hold thrice queue requeued
thrice=$(submit_ckpt thrice -q all.q@n2,all.q@n3 -b y $jobs/threads -s 3 -n 110)
queue=$(submit_ckpt queue -q all.q@n1 $jobs/pipeline.sh)
requeued=$(submit_ckpt requeued -q all.q@n2,all.q@n3 -r y -v QCKPT_INTERVAL=2 -b y \
    $jobs/threads -s 5 -n 60)

ok "requeued has a checkpoint" wait_until 20 has_event "$requeued" checkpoint
ok "requeued goes on" steps requeued 20
cell as-user qmod -rj "$requeued" >/dev/null

# Suspending a queue sends every job in it away: this one is alone on its host.
ok "queue runs" steps queue 8
cell as-user qalter -q all.q@n1,all.q@n2 "$queue" >/dev/null
cell as-manager qmod -sq all.q@n1 >/dev/null
ok "queue is restarted on another host" wait_until 30 has_event "$queue" restarted
is "it is where its queue is open" "$(host_of "$queue")" n2
cell as-manager qmod -usq all.q@n1 >/dev/null

for time in 1 2 3; do
    ok "thrice runs, $time" steps thrice $((time * 20))
    ok "thrice is running again, $time" wait_until 20 is_running "$thrice"
    cell as-user qmod -sj "$thrice" >/dev/null
    ok "thrice is restarted, $time" wait_until 30 has_event "$thrice" restarted "$time"
done

ok "RESTARTED=1 (qmod -rj): requeued goes on from its checkpoint" \
    wait_until 40 has_event "$requeued" restarted

continued queue "$queue"
continued thrice "$thrice"
continued requeued "$requeued"
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
done_testing
