#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A host loses its network for a while. Its jobs go on there, unheard, and are begun
# again elsewhere; the old copy does no harm.
. "${0%/*}/lib.sh"
cell_begin

interval=(-r y -v QCKPT_INTERVAL=2 -b y)
reference cable $jobs/threads -s 12 -n 250
reference ended $jobs/threads -s 13 -n 40

cable=$(submit_ckpt cable -q all.q@n2 "${interval[@]}" $jobs/threads -s 12 -n 250)
ended=$(submit_ckpt ended -q all.q@n2 "${interval[@]}" $jobs/threads -s 13 -n 40)
for name in cable ended; do
    goes_on_saved "$name" "${!name}" 12
    cell as-user qalter -q all.q@n3 "${!name}" >/dev/null
done

cell net n2 down
ok "cable is restarted" wait_until 90 has_event "$cable" restarted
is "it is where there is a network" "$(host_of "$cable")" n3
ok "the old copy stops" within 30 eval "! cell on n2 pgrep -f '$(pattern_of 12)'"
cell net n2 up
ok "the host is back" wait_until 60 cell status
# Grid Engine may take the late news that the old copy has ended for the new one's end: it
# kills that and queues the job again (doc/design/supervisor.md).
ok "cable runs on, or again" wait_until 60 cell on n3 pgrep -f "$(pattern_of 12)"
ok "it keeps its checkpoints" has_generations "$cable" 1

# It ended while nobody could hear it: the rerun only reports how.
continued ended "$ended"
continued cable "$cable"
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
done_testing
