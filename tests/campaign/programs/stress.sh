#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: stop often
# needs: stress-ng
# ignores: *
for c in cpu vm futex pipe sock fork mmap sem-sysv sem timer fault switch epoll eventfd yield poll sigq shm dup pthread; do
    stress-ng -q --temp-path . --$c 2 -t 1s > log 2>&1; r=$?; case $r in 0) ;; *) echo "$c $r"; cat log ;; esac
done
