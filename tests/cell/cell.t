#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The cell itself: quick, private, and gone when it goes.
. "${0%/*}/lib.sh"

# What a cell could leave on the machine.
traces() {
    ip -o link | sed 's/@.*//; s/^[0-9]*: //' | sort
    cut -d' ' -f 3-5 /proc/self/mountinfo
    cat /etc/passwd /etc/group /etc/hosts
}

daemons() {
    local directory
    for directory in /proc/[0-9]*; do
        if grep -qs "$cell_dir" "$directory/cmdline"; then echo "$directory"; fi
    done
}

PATH=$PATH:/usr/sbin:/sbin
traces_before=$(traces)
cell_begin
is "one user owns the jobs" "$(cell as-user id -un)" geuser
is "the hosts have their own names" "$(cell on n2 hostname)" n2
qrsh_once "$work/hostname" cell as-user qrsh -now n -l h=n3 hostname </dev/null
is "a job runs" "$(cat "$work/hostname")" n3
ok "the local disk is the host's own" cell on n1 touch /srv/local/tmp/mine /tmp/mine
ok "nobody else sees it" cell on n2 sh -c '! ls /srv/local/tmp/mine /tmp/mine'
is "outside nothing has changed" "$(traces)" "$traces_before"

# The original's README, with the directories below /srv: a site changes no line of it.
environment() {
    printf '%s\n' "ckpt_name $1" "interface APPLICATION-LEVEL" \
        "ckpt_command /srv/ge/util/dmtcp_checkpoint" "migr_command /srv/ge/util/$2" \
        "restart_command NONE" "clean_command /srv/ge/util/dmtcp_cleanup" "ckpt_dir $3" \
        "signal NONE" "when xsr"
}
if is_dmtcp; then
    is "dmtcp is configured as the original said" \
        "$(cell as-user qconf -sckpt dmtcp | tr -s ' ')" \
        "$(environment dmtcp dmtcp_migrate /srv/nfs/dmtcp)"
    is "and dmtcp_cpu" "$(cell as-user qconf -sckpt dmtcp_cpu | tr -s ' ')" \
        "$(environment dmtcp_cpu dmtcp_migrate_cpu /srv/data/cora/dmtcp)"
    is "and the queue" "$(cell as-user qconf -sq all.q |
        sed -n 's/  */ /; /^ckpt_list\|^starter_method/p')" "ckpt_list dmtcp dmtcp_cpu
starter_method /srv/ge/util/dmtcp_starter"
fi

other=$cell_dir.second
ok "a second cell comes up beside it" \
    timeout 60 "$cell_source/cell" -d "$other" up
ok "it has its own master" timeout 10 "$cell_source/cell" -d "$other" as-user qstat
ok "it goes" timeout 60 "$cell_source/cell" -d "$other" down
ok "the first is still there" wait_until 30 cell status

cell net n1 down
ok "a pulled cable is noticed" wait_until 30 eval "cell as-user qstat -f | grep -q 'n1 .* u *$'"
cell net n1 up
ok "and a plugged one" wait_until 30 cell status
cell crash n2
ok "a host without power is gone" eval "! cell on n2 true 2>/dev/null"
cell boot n2
ok "it comes back" wait_until 30 cell status
id=$(submit longer -b y -l h=n3 sleep 600)
ok "a job of the host runs" wait_until 20 cell on n3 pgrep -xf "sleep 600"
wait_until 20 is_running "$id"
cell kill-execd n3
ok "a job outlives its execd" cell on n3 pgrep -xf "sleep 600"
cell start-execd n3
# It looks at the end of such a job once a minute, which is too long for a test.
ok "which takes it up again" wait_until 20 eval \
    'grep "job active_jobs/$id.1 has pid .* is alive" "$cell_dir/hosts/n3/spool/n3/messages"'

cell down
is "afterwards there is no process" "$(daemons)" ""
ok "and no directory" eval "! [ -e '$cell_dir' ]"
is "outside all is as before" "$(traces)" "$traces_before"
done_testing
