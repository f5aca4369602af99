#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: ffmpeg
ffmpeg -nostdin -y -v error -f lavfi -i testsrc=duration=8:size=480x360:rate=25 -f lavfi -i sine=duration=8 -threads 2 -c:v mpeg4 -c:a pcm_s16le -bitexact -flags +bitexact o.avi; echo $?; md5sum < o.avi
ffmpeg -nostdin -v error -i o.avi -f framemd5 - | md5sum
