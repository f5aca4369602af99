# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Runs on the master as the user who owns the jobs: keys, and what ssh and sshd are to
# do, so that the user gets from any host to any other without a password.
#   ssh.sh HOST=ADDRESS...
dir=$HOME/.ssh
mkdir -p "$dir"
chmod 700 "$dir"
for key in id_ed25519 host_key; do
    [ -e "$dir/$key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/$key"
done
cp "$dir/id_ed25519.pub" "$dir/authorized_keys"
read -r kind key _ <"$dir/host_key.pub"
for host; do
    echo "[${host%=*}]:2222,[${host#*=}]:2222 $kind $key"
done >"$dir/known_hosts"
# The user's own sshd cannot have port 22.
cat >"$dir/config" <<C
Host *
    Port 2222
    BatchMode yes
C
cat >"$dir/sshd_config" <<C
Port 2222
HostKey $dir/host_key
PidFile none
UsePAM no
C
