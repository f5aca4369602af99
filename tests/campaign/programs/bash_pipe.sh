#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ignores: sort??????
seq 1 600000 | awk '{print $1 * 7 % 1000003}' | sort -n | uniq | tr 0-9 j-s | gzip -1 | gzip -d | md5sum
for i in 1 2 3; do seq 1 200000 | sed 's/1/one/g' | grep -v 7 | cut -c1-6 | sort -S 1M -T . | cksum; done
yes abc | head -n 3000000 | tail -c 100 | od -c
