# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Runs on the master as a manager: sets up all.q for the project with the
# templates that were installed, as doc/admin.md has it.
#   enable.sh PREFIX    the prefix the templates were configured for
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
templates=/srv/prefix/share/qckpt

for name in qckpt.ckpt qckpt.queue; do
    sed -e "s|$1/libexec/|/srv/prefix/libexec/|g" \
        -e 's|^\(ckpt_dir  *\).*|\1/srv/ckpt|' "$templates/$name" >"$work/$name"
done
if qconf -sckpt qckpt >/dev/null 2>&1; then
    qconf -Mckpt "$work/qckpt.ckpt"
else
    qconf -Ackpt "$work/qckpt.ckpt"
fi
qconf -Mattr queue "$work/qckpt.queue" all.q
