#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A host loses its network for a while. Its jobs go on there, unheard, and are begun
# again elsewhere; the old copy does no harm.
. "${0%/*}/lib.sh"
cell_begin

interval=(-r y -v QCKPT_INTERVAL=2 -b y)
reference cable $jobs/threads -s 12 -n 250
reference ended $jobs/threads -s 13 -n 40

hold cable
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
# Grid Engine may take the late news of the old copy for news of the new one, and kill that:
# it queues the job again or, rarely, believes the execution daemon that answers a belated
# order with "this job is not here", and the job is over (doc/design/supervisor.md).
is_lost() {
    [ "$(failed "$cable")" = 21 ]
}
ok "cable runs on, or again" \
    wait_until 60 eval 'is_lost || cell on n3 pgrep -f "$(pattern_of 12)"'
ok "it keeps its checkpoints" has_generations "$cable" 1

# It ended while nobody could hear it: the rerun only reports how.
continued ended "$ended"

release cable
ok "cable is over" wait_until 90 is_gone "$cable"
accounted
if is_lost; then
    diag "Grid Engine has lost cable"
    directory=$(store "$cable")
    ok "cable goes on by hand" eval 'timeout 300 "$cell_source/cell" -d "$cell_dir" as-user-on n3 \
        env QCKPT_DMTCP_PREFIX=/srv/dmtcp qckpt restart -d "${directory#"$cell_dir"}" >"$work/hand"'
    # It prints here from its checkpoint on.
    sed -i "/^$(head -n 1 "$work/hand")\$/,\$d" "$shared/cable.out"
    cat "$work/hand" >>"$shared/cable.out"
    same_output cable
    rm -rf "$directory"
else
    continued cable "$cable"
fi
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
done_testing
