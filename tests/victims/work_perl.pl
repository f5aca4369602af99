#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Perl with a child at the other end of a pipe, an appended file and an alarm handler.
use strict;
use warnings;

sub ready {
    my $path = $ENV{VICTIM_READY} or return;
    open my $f, '>', "$path.tmp" or die;
    print $f "ready\n";
    close $f;
    rename "$path.tmp", $path;
}

$| = 1;
my $alarms = 0;
$SIG{ALRM} = sub { $alarms++; alarm 1 };
alarm 1;
open my $log, '>>', 'perl.log' or die;
my $pid = open my $child, '-|';
die unless defined $pid;
if ($pid == 0) {
    for my $i (1 .. 80) {
        print "item $i ", $i * $i % 97, "\n";
        select undef, undef, undef, 0.02;
    }
    exit 9;
}
ready();
my %seen;
while (my $line = <$child>) {
    chomp $line;
    my (undef, $n, $v) = split ' ', $line;
    $seen{$v} += $n;
    print "$n: ", join(',', map { "$_=$seen{$_}" } (sort { $a <=> $b } keys %seen)[0 .. 0]), "\n";
    print $log "$n\n";
}
close $child;
print "child ", $? >> 8, "\n";
close $log;
open $log, '<', 'perl.log' or die;
my @lines = <$log>;
print "lines ", scalar @lines, " last $lines[-1]";
print $alarms >= 1 ? "ok alarm\n" : "FAIL alarm: saw $alarms\n";
exit 0;
