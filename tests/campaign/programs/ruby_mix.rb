#!/usr/bin/ruby
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: ruby
$stdout.sync = true
q = Queue.new; ts = 4.times.map { |k| Thread.new { s = 0; 100000.times { |i| s += (i * k) % 7 }; q << s; s } }; p ts.map(&:value).sum
30.times { |i| r, w = IO.pipe; pid = fork { r.close; sleep 0.03; w.write(i * i); exit!(i) }; w.close; print r.read, " "; Process.wait(pid); puts $?.exitstatus }
require "timeout"; begin; Timeout.timeout(0.3) { sleep 5 }; rescue Timeout::Error; puts "timeout"; end
h = {}; 400000.times { |i| h[i % 7001] = i.to_s }; p h.values.map(&:size).sum; puts `seq 1 1000 | wc -l`; exit 19
