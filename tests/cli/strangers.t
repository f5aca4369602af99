#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Another user of the host knows the names that a job will use there, and comes first.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip_all root "two users are needed"

as() {
    local id=$1
    shift
    setpriv --reuid="$id" --regid="$id" --clear-groups env -i PATH="$PATH" "$@"
}
me=54321
stranger=54322
chmod 755 "$work"
mkdir -m 1777 "$work/tmp"
mkdir "$work/mine"
chown $me:$me "$work/mine"
cd "$work/mine" || bail_out "no directory"
cp "$QCKPT" "$work/qckpt"
chmod 755 "$work/qckpt"

# A job that writes to its TMPDIR and reads a file that only this host has.
cat >"$work/job" <<'J'
exec 3<"$1"
: >ready
while [ ! -e go ]; do
    sleep 0.05
done
echo secret >"$TMPDIR/mine"
cat <&3 >read
J
as $me mkdir -m 700 "$work/tmp/old"
as $me sh -c "echo good >$work/tmp/input"
as $me TMPDIR="$work/tmp/old" "$work/qckpt" run -d c -- \
    sh "$work/job" "$work/tmp/input" >out 2>err &
front=$!
ok "the job runs" wait_until 10 test -e ready
as $me "$work/qckpt" checkpoint -d c --stop >/dev/null
is "it is stopped" $? 0
wait $front

rm -r "$work/tmp/old" "$work/tmp/input"
as $me mkdir -m 700 "$work/tmp/new"
touch go
as $stranger ln -s /tmp "$work/tmp/old"
as $stranger sh -c "umask 0; echo evil >$work/tmp/input"
message=$(as $me TMPDIR="$work/tmp/new" "$work/qckpt" restart -d c 2>&1)
is "a link in the place of the old TMPDIR: no restart" $? 1
has "and why" "$message" "$work/tmp/old is in the way"

rm "$work/tmp/old"
as $stranger sh -c "umask 0; mkdir $work/tmp/old"
as $me TMPDIR="$work/tmp/new" "$work/qckpt" restart -d c >out 2>err
is "a directory in its place: the job goes on" $? 0
is "what it writes is in its own" "$(cat "$work/tmp/new/mine" 2>&1)" secret
is "and not in the stranger's" "$(ls "$work/tmp/old")" ""
is "it reads its own file" "$(cat read)" good
done_testing
