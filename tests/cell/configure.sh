# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Runs on the master as a manager: scheduler, hosts, and the queue all.q.
#   configure.sh MASTER HOST...
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
master=$1
shift

tries=200
until qconf -sss >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "sge_qmaster does not answer"; exit 1; }
    sleep 0.05
done

qconf -ssconf | sed -e 's/^schedule_interval.*/schedule_interval 0:0:1/' \
    -e 's/^flush_\(.*\)_sec.*/flush_\1_sec 1/' \
    -e 's/^load_adjustment_decay_time.*/load_adjustment_decay_time 0:0:0/' \
    -e 's/^job_load_adjustments.*/job_load_adjustments NONE/' \
    -e 's/^queue_sort_method.*/queue_sort_method seqno/' >"$work/scheduler"
qconf -Msconf "$work/scheduler"

# qmaster knows its own host from the start.
qconf -sh | grep -qx "$master" || qconf -ah "$master"
qconf -as "$master"
qconf -ah "$(IFS=,; echo "$*")"
for host in "$@"; do
    cat >"$work/host" <<H
hostname $host
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
H
    qconf -Ae "$work/host"
done
printf 'group_name @allhosts\nhostlist %s\n' "$*" >"$work/group"
qconf -Ahgrp "$work/group"
qconf -sq | sed -e 's/^qname.*/qname all.q/' -e 's/^hostlist.*/hostlist @allhosts/' \
    -e 's/^slots.*/slots 8/' -e 's/^load_thresholds.*/load_thresholds NONE/' \
    -e 's|^tmpdir.*|tmpdir /srv/local/tmp|' -e 's|^shell  *.*|shell /bin/bash|' \
    -e 's/^rerun.*/rerun FALSE/' -e 's/^pe_list.*/pe_list NONE/' \
    -e 's/^shell_start_mode.*/shell_start_mode unix_behavior/' >"$work/queue"
qconf -Aq "$work/queue"
