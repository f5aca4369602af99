# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Runs on the master as a manager: sets up all.q as the README of gridengine_dmtcp told
# its users to, step by step; only that the directories named there are below /srv here.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
util=/srv/ge/util

# environment NAME MIGR_COMMAND CKPT_DIR
environment() {
    mkdir -p "$3"
    chmod 1777 "$3"
    cat >"$work/$1" <<C
ckpt_name $1
interface APPLICATION-LEVEL
ckpt_command $util/dmtcp_checkpoint
migr_command $util/$2
restart_command NONE
clean_command $util/dmtcp_cleanup
ckpt_dir $3
signal NONE
when xsr
C
    if qconf -sckpt "$1" >/dev/null 2>&1; then
        qconf -Mckpt "$work/$1"
    else
        qconf -Ackpt "$work/$1"
    fi
}

environment dmtcp dmtcp_migrate /srv/nfs/dmtcp

qconf -sc >"$work/complexes"
grep -q '^cpuflag_' "$work/complexes" || cat >>"$work/complexes" <<C
cpuflag_avx cfsa BOOL == YES NO 0 0
cpuflag_pni cfsp BOOL == YES NO 0 0
cpuflag_sse cfs BOOL == YES NO 0 0
cpuflag_sse2 cfs2 BOOL == YES NO 0 0
cpuflag_sse3 cfs3 BOOL == YES NO 0 0
cpuflag_sse4_1 cfs41 BOOL == YES NO 0 0
cpuflag_sse4_2 cfs42 BOOL == YES NO 0 0
C
qconf -Mc "$work/complexes"
for host in $(qconf -sel); do
    for flag in avx pni sse sse2 sse3 sse4_1 sse4_2; do
        ! grep -qm 1 "^flags.* $flag\b" /proc/cpuinfo ||
            qconf -aattr exechost complex_values "cpuflag_$flag=TRUE" "$host"
    done
done
environment dmtcp_cpu dmtcp_migrate_cpu /srv/data/cora/dmtcp

cat >"$work/queue" <<Q
ckpt_list dmtcp dmtcp_cpu
starter_method $util/dmtcp_starter
Q
qconf -Mattr queue "$work/queue" all.q
