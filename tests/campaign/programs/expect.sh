#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: expect
cat > e <<'E'
set timeout 20; log_user 0; spawn -noecho env TERM=dumb bash --norc --noprofile; send "PS1='> '\r"; expect "\r\n> "
for {set i 0} {$i < 30} {incr i} { send "sleep 0.05; expr $i + $i\r"; expect -re "\r\n(\[0-9]+)\r\n> "; puts $expect_out(1,string) }
send "exit 3\r"; expect eof; puts [lindex [wait] 3]
E
expect e
