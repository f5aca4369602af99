#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: busybox
exec busybox sh -c 'i=0; while [ $i -lt 400 ]; do i=$((i + 1)); busybox echo $i | busybox md5sum; done; busybox seq 1 200000 | busybox sort -n | busybox gzip | busybox zcat | busybox md5sum; busybox sleep 0.5; busybox dc -e "2 100 ^ p" 2>&1; exit 37'
