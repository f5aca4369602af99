#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: xz zstd gzip
seq 1 900000 > in
# A restart meets files that were made after the checkpoint: overwrite them.
xz -f -T2 -1 -k in; zstd -q -f -T2 -9 in; gzip -f -k -6 in
xz -dc in.xz | md5sum; zstd -dc in.zst | md5sum; gzip -dc in.gz | md5sum
dd if=in of=copy bs=4k status=none; dd if=in bs=64k status=none | tee t1 t2 | wc -c; cmp t1 t2
tar cf - in copy | tar tvf - | wc -l
rm -f in.gz
