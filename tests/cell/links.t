#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Jobs of several hosts that lose one, or the connection to it: they go on from their last
# checkpoint, and nothing of them stays behind on any host.
. "${0%/*}/lib.sh"
saves_hosts || skip_all hosts "only DMTCP 4 saves jobs of several hosts"
cell_begin
connect_hosts

declare -A id=()
# began NAME STEPS OTHER: on n1 first, and on the other; it has a checkpoint
began() {
    reference "$1" $jobs/parts.py -s "$2"
    id[$1]=$(submit_ckpt "$1" -r y -v QCKPT_INTERVAL=3,QCKPT_RETRY_DELAY=2 -pe loose 2 \
        -masterq all.q@n1 -q "all.q@n1,all.q@$3" -b y $jobs/parts.py -s "$2")
    goes_on_saved "$1" "${id[$1]}" 35
}
# kill_on HOST PATTERN: what has it in its command line
kill_on() {
    cell on "$1" pkill -KILL -f -- "$2"
}
# kill_soon_on HOST PATTERN: in the moment in which there is one; to be waited for
kill_soon_on() {
    cell on "$1" sh -c "until pkill -KILL -f '$2'; do :; done" &
}
lost() {
    events "${id[$1]}" '[a-z-]*' | jq -r .text | grep -F -e "${2-is lost}"
}

### The connection, and who looks after the other host ##########################

began connection 150 n2
kill_on n1 '^ssh .*--dmtcp-part'
ok "without its connection it is restarted" wait_until 40 has_event "${id[connection]}" restarted
ok "... which the log explains" lost connection "the connection to host n2 of the job is broken"
ok "... on the same hosts" steps connection 70
kill_on n2 '^/[^ ]* --dmtcp-part'
ok "without the one who looks after n2 it is restarted" wait_until 40 has_event "${id[connection]}" restarted 2
is "... and only the new run has a directory there" \
    "$(cell on n2 sh -c 'ls -d /tmp/qckpt-dmtcp-*' | wc -l)" 1
continued connection "${id[connection]}"
nothing_left "nothing is left of connection"

### While it is saved, and while it is restarted ################################

began saved 250 n2
asked=$(events "${id[saved]}" request | wc -l)
suspend "${id[saved]}"
wait_until 20 has_event "${id[saved]}" request $((asked + 1))
kill_on n2 '^/[^ ]* --dmtcp-part'
ok "killed while it is saved it is restarted" wait_until 60 has_event "${id[saved]}" restarted
ok "it goes on" steps saved 60
kill_soon_on n2 '[d]mtcp_restart'
killer=$!
suspend "${id[saved]}"
wait $killer
ok "its part is killed while it is restarted, which fails" wait_until 40 has_event "${id[saved]}" restart-failed
ok "... and is restarted again" wait_until 60 has_event "${id[saved]}" restarted 2
continued saved "${id[saved]}"
nothing_left "nothing is left of saved"

### A host ######################################################################

began power 200 n2
cell crash n2
cell as-user qalter -q all.q@n1,all.q@n3 "${id[power]}" >/dev/null
ok "its second host has lost its power, and it goes on without it" wait_until 120 has_event "${id[power]}" restarted
cell boot n2
continued power "${id[power]}"
# The disk of a host that has lost its power keeps what was on it.
directories() {
    cell on n2 sh -c 'ls -d /tmp/qckpt-dmtcp-*' 2>/dev/null | wc -l
}
nothing_runs "nothing of power runs any more"
is "its directory is left where the power was lost" "$(directories)" 1

began cable 200 n2
is "... until the next run there" "$(directories)" 1
cell net n2 down
cell as-user qalter -q all.q@n1,all.q@n3 "${id[cable]}" >/dev/null
ok "the cable of its second host is cut, and it goes on without it" wait_until 120 has_event "${id[cable]}" restarted
cell net n2 up
continued cable "${id[cable]}"
nothing_left "nothing is left of cable" 90

### No room on a host ###########################################################

began room 150 n2
cell on n2 sh -c 'mount -t tmpfs -o size=16k,mode=1777 tmpfs /tmp && cat /dev/zero >/tmp/full 2>/dev/null'
suspend "${id[room]}"
ok "a host with a full /tmp is none to go on with" wait_until 60 has_event "${id[room]}" restart-failed
ok "... which is named" lost room n2
cell on n2 umount /tmp
ok "with room it goes on" wait_until 90 has_event "${id[room]}" restarted
continued room "${id[room]}"
nothing_left "nothing is left of room"

### Often #######################################################################

began often 200 n2
for move in 1 2 3 4 5; do
    suspend "${id[often]}"
    ok "moved ($move)" wait_until 60 has_event "${id[often]}" restarted $move
done
continued often "${id[often]}"
nothing_left "nothing is left of often"
done_testing
