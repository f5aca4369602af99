#!/usr/bin/tclsh
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: tclsh
set n 0; proc tick {} { global n; incr n; puts "tick $n"; if {$n < 60} { after 20 tick } else { set ::done 1 } }; after 20 tick; vwait done
set s 0; for {set i 0} {$i < 700000} {incr i} { set s [expr {($s * 31 + $i) % 1000003}] }; puts $s
set p [open "|sort -n" r+]; for {set i 200} {$i > 0} {incr i -1} { puts $p $i; flush $p; after 2 }; close $p write; puts [llength [split [read $p] \n]]; puts [exec sh -c {sleep 0.2; echo x}]; exit 23
