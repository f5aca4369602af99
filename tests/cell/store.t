#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What goes wrong with a checkpoint costs the checkpoint, not the job. And what is no
# checkpointing job is none of our business.
. "${0%/*}/lib.sh"
cell_begin

small() {
    cell on master cat "/srv/small/geuser/$1.1/log.jsonl" >"$work/log/$1.1.full" 2>/dev/null
    grep -E "\"event\": ?\"$2\"" "$work/log/$1.1.full"
}
small_generations() {
    cell on master sh -c "ls /srv/small/geuser/$1.1/gen"
}
processes() {
    local host
    for host in n1 n2 n3; do
        cell on $host pgrep -af "$1"
    done
}
# Turns over one bit in the middle of the largest file of a generation.
flip() {
    local file size byte
    file=$(find "$1" -type f -printf '%s %p\n' | sort -rn | sed 's/^[0-9]* //; q')
    size=$(stat -c %s "$file")
    byte=$(od -An -tu1 -j $((size / 2)) -N 1 "$file")
    chmod u+w "$file"
    # shellcheck disable=SC2059
    printf "\\x$(printf %x $((byte ^ 16)))" |
        dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc status=none
}

make_environment small /srv/small >"$work/small.log" 2>&1 || diag "$(cat "$work/small.log")"

reference flipped $jobs/threads -s 22 -n 50
reference refused "${unsaveable[@]}" -s 23
reference plain $jobs/threads -s 24

hold flipped refused plain full
flipped=$(submit_ckpt flipped -v QCKPT_INTERVAL=2 -b y $jobs/threads -s 22 -n 50)
refused=$(submit_ckpt refused -b y "${unsaveable[@]}" -s 23)
plain=$(submit plain -b y $jobs/threads -s 24)
deleted=$(submit_ckpt deleted -v QCKPT_INTERVAL=1 -b y $jobs/threads -s 25 -n 500)

ok "plain runs" steps plain 8
cell as-user qmod -sj "$plain" >/dev/null
ok "plain is stopped" wait_until 10 eval '[ "$(state "$plain")" = s ]'

ok "refused runs" steps refused 8
cell as-user qmod -sj "$refused" >/dev/null
ok "refused says why" wait_until 20 has_event "$refused" checkpoint-refused
ok "and names it" eval 'events "$refused" checkpoint-refused | grep -i $unsaveable_why'

ok "flipped has two checkpoints" wait_until 30 has_generations "$flipped" 2
cell as-user qhold "$flipped" >/dev/null
cell as-user qmod -sj "$flipped" >/dev/null
ok "flipped is stopped" wait_until 20 eval '[ "$(state "$flipped")" = hRq ]'
newest=$(generations "$flipped" | tail -n 1)
flip "$newest"
cell as-user qrls "$flipped" >/dev/null
ok "flipped is restarted" wait_until 30 has_event "$flipped" restarted
rejected=$(events "$flipped" generation-rejected)
number=$((10#${newest##*/}))
ok "the newest generation was rejected" grep -E "\"generation\": ?$number\b" <<<"$rejected"
ok "the one before was used" eval \
    "events $flipped restarted | grep -E '\"generation\": ?$((number - 1))\b'"

cell as-user qmod -usj "$plain" >/dev/null
ok "deleted has a checkpoint" wait_until 20 has_generations "$deleted" 1
cell as-user qdel "$deleted" >/dev/null
ok "deleted is gone" wait_until 20 is_gone "$deleted"
ok "its processes too" wait_until 10 eval '[ -z "$(processes "threads -s 25")" ]'
ok "and its directory" wait_until 10 eval '! [ -e "$(store "$deleted")" ]'

# 20 s, of which the last 12 need more room than there is.
reference full $jobs/threads -s 21 -n 100 -g 40
full=$(submit_in $ckpt_name-small full -v QCKPT_INTERVAL=2 -b y $jobs/threads -s 21 -n 100 -g 40)
ok "full has a checkpoint" wait_until 30 small "$full" checkpoint
ok "then there is no room" wait_until 30 small "$full" $no_room_event
ok "and it says so" eval 'small "$full" $no_room_event | grep "No space left"'
ok "the checkpoint before is still there" eval '[ -n "$(small_generations "$full")" ]'
# The migration fails like the others; the job must go on, and not be run again.
cell as-user qmod -sj "$full" >/dev/null

continued plain "$plain"
continued refused "$refused"
continued flipped "$flipped"
continued full "$full"
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
is "nor in the small one" "$(cell on master ls /srv/small/geuser 2>/dev/null)" ""
done_testing
