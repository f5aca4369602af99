# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Runs on the master before sge_qmaster does: makes its spool.
#   spool.sh MANAGER ADMIN
# Short intervals: a lost host is noticed after 8 s and its jobs go elsewhere 5 s
# later, where a real cell takes minutes.
manager=$1 admin=$2
common=$SGE_ROOT/$SGE_CELL/common
bin=$SGE_ROOT/bin/lx-amd64

cat >"$common/bootstrap" <<B
admin_user              $admin
default_domain          none
ignore_fqdn             false
spooling_method         classic
spooling_lib            libspoolc
spooling_params         $common;/srv/qmaster
binary_path             $SGE_ROOT/bin
qmaster_spool_dir       /srv/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
B
cat >"$common/settings.sh" <<S
export SGE_ROOT=$SGE_ROOT SGE_CELL=$SGE_CELL SGE_QMASTER_PORT=$SGE_QMASTER_PORT
export SGE_EXECD_PORT=$SGE_EXECD_PORT SGE_CLUSTER_NAME=$SGE_CLUSTER_NAME PATH=$bin:\$PATH
S

# Job numbers that are easy to tell from other numbers.
echo 4710 >/srv/qmaster/jobseqnum
"$bin/spoolinit" classic libspoolc "$common;/srv/qmaster" init
sed -e 's|^execd_spool_dir.*|execd_spool_dir /srv/local/spool|' \
    -e 's|^mailer.*|mailer /bin/true|' \
    -e 's|^administrator_mail.*|administrator_mail none|' \
    -e 's|^load_report_time.*|load_report_time 00:00:02|' \
    -e 's|^max_unheard.*|max_unheard 00:00:08|' \
    -e 's|^reschedule_unknown.*|reschedule_unknown 00:00:05|' \
    -e 's|^loglevel.*|loglevel log_info|' \
    -e 's|^shell_start_mode.*|shell_start_mode unix_behavior|' \
    -e 's|^min_\([ug]\)id.*|min_\1id 0|' \
    -e 's|^gid_range.*|gid_range 20000-20200|' \
    -e 's|flush_time=00:00:15|flush_time=00:00:01|' \
    /srv/pkg/share/default-configuration >/srv/qmaster/configuration.in
"$bin/spooldefaults" configuration /srv/qmaster/configuration.in
"$bin/spooldefaults" complexes /srv/pkg/share/util/resources/centry
"$bin/spooldefaults" usersets /srv/pkg/share/util/resources/usersets
"$bin/spooldefaults" managers "$manager" "$admin"
