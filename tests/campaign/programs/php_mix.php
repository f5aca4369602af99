#!/usr/bin/php
<?php
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: php
$t = []; for ($i = 0; $i < 3000000; $i++) { $t[$i % 9001] = md5($i % 500 === 0 ? "$i" : "x", $i % 3 === 0); } echo md5(implode(",", array_map("bin2hex", $t))), "\n";
for ($i = 0; $i < 25; $i++) { echo trim(shell_exec("sleep 0.03; echo $i")), "\n"; } $f = fopen("o", "w"); for ($i = 0; $i < 300; $i++) { fwrite($f, "l $i\n"); usleep(3000); } flock($f, LOCK_EX); usleep(300000); fclose($f); exit(31);
