# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The environment in which Grid Engine calls our programs, without Grid Engine. Sourced
# after tap.sh; QCKPT is the program as built.
#
#   ge_spool KEY=VALUE...    the job's spool directory has this configuration
#   ge_env [NAME=VALUE...] COMMAND...   run with a job's variables, and no other
#   ge_qstat STATE [TASKS [HOST]]
#                            qstat shows the job in this state; "" for a job that it does
#                            not know, "hidden" for one that is filtered from its list,
#                            "-" for a qstat that is refused

# Grid Engine starts a job with three descriptors; what the test's caller left open, a
# pipe say, could make the job one that cannot be saved. 255 is bash's own.
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then
        eval "exec $fd>&-"
    fi
done

work=$(mktemp -d "${TMPDIR:-/tmp}/qckpt-cli-XXXXXX")
trap 'rm -rf "$work"' EXIT
libexec=$work/libexec/qckpt
ckpt_dir=$work/ckpt
user=$(id -un)
job_dir=$ckpt_dir/$user/4711.1
: >"$work/qckpt.conf" # the site's settings: this machine's are no test's
mkdir -p "$libexec" "$ckpt_dir" "$work/spool" "$work/bin"
chmod 1777 "$ckpt_dir"
for hook in starter checkpoint migrate clean; do
    ln -s "$QCKPT" "$libexec/qckpt-$hook"
done

: >"$work/qckpt.conf" # for each test to fill

ge_spool() {
    printf '%s\n' ckpt_job=1 host=n1 "$@" >"$work/spool/config"
}

ge_env() {
    env -i PATH="$PATH" HOME="$work" USER="$user" JOB_ID=4711 SGE_TASK_ID=undefined \
        SGE_JOB_SPOOL_DIR="${SPOOL-$work/spool}" JOB_SCRIPT="${JOB_SCRIPT-}" \
        RESTARTED=0 TMPDIR="$work" SGE_BINARY_PATH="$work/bin" SGE_ROOT=/nonexistent \
        QCKPT_ENGINE="${QCKPT_ENGINE-}" QCKPT_CONFIG="$work/qckpt.conf" "$@"
}

ge_qstat() {
    local list= job='<unknown_jobs ><ST_name>4711</ST_name></unknown_jobs>'
    if [ "$1" = - ]; then
        cat >"$work/bin/qstat" <<'Q'
#!/bin/sh
echo 'error: denied: host "n1" is neither submit nor admin host' >&2
exit 1
Q
        chmod 755 "$work/bin/qstat"
        return
    fi
    [ -z "$1" ] || [ "$1" = hidden ] ||
        list="<job_list state=\"running\"><JB_job_number>4711</JB_job_number>
<state>$1</state><queue_name>all.q@${3:-n1}</queue_name>${2:+<tasks>$2</tasks>}</job_list>"
    [ -z "$1" ] || job='<detailed_job_info><JB_job_number>4711</JB_job_number></detailed_job_info>'
    cat >"$work/bin/qstat" <<Q
#!/bin/sh
echo "\$*" >>$work/qstat.calls
echo "<?xml version='1.0'?>"
case \$* in
'-j 4711 -xml') echo '$job' ;;
*) echo '<job_info  xmlns:xsd="http://example.org/"><queue_info>$list</queue_info>
<job_info></job_info></job_info>' ;;
esac
Q
    chmod 755 "$work/bin/qstat"
}
