#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
use strict; use warnings; use IO::Select; use POSIX ":sys_wait_h"; use Time::HiRes qw(sleep alarm ualarm); $| = 1;
my %h; my $n = 0; local $SIG{ALRM} = sub { $n++ }; alarm(0.05, 0.05);
for my $i (1 .. 1500000) { $h{$i % 5003} .= chr(97 + $i % 26) if $i % 7 == 0 } alarm(0);
print join(",", map { length $h{$_} } sort { $a <=> $b } keys %h) =~ tr/0-9//, "\n";
for my $i (1 .. 40) { pipe(my $r, my $w); my $p = fork; if (!$p) { close $r; sleep 0.03; print $w $i ** 3; exit $i } close $w; my $x = <$r>; waitpid($p, 0); print "$x ", $? >> 8, "\n" }
open(my $o, ">", "out.txt"); for (1 .. 30000) { print $o "line $_\n"; sleep 0.001 if $_ % 40 == 0 } close $o; open(my $p, "-|", "wc -l < out.txt"); print <$p>; close $p; exit 9;
