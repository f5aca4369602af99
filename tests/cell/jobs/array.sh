#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One task of an array job: its number is its seed.
exec /srv/shared/jobs/threads -s "${SGE_TASK_ID:?}" -t 2 -n "${1:-60}"
