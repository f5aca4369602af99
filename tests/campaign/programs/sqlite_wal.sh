#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: stop often
# needs: sqlite3
# ignores: *-wal *-shm *.db
{ echo 'pragma journal_mode=wal; create table t(a integer primary key, b);'
for i in {1..60}; do echo "begin; insert into t select ($i * 1000 + value), hex(value * 7919 % 1000) from generate_series(1, 400); commit; select count(*), sum(length(b)) from t;"; done; } > in.sql
sqlite3 x.db "pragma journal_mode=wal; create table t(a integer primary key, b);"
for i in {1..60}; do
    sqlite3 x.db "with recursive s(v) as (select 1 union all select v + 1 from s where v < 3000) insert into t select $i * 10000 + v, hex(v * 7919 % 1000) from s; select count(*), sum(length(b)) from t;"
done
sqlite3 x.db "pragma integrity_check; select count(distinct b) from t;"
