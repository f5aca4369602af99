#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as they are installed: saved, killed and restarted at random moments.

Everything they wrote must be what an undisturbed run writes. A program that rewrites or
removes its files can only continue from the moment it was stopped at: what a file was at
an earlier checkpoint is lost with the first change. Those are stopped, the others killed
some time after their checkpoint. A program that is not installed is skipped.
"""
import hashlib
import os
import random
import shutil
import subprocess
import time

import sysrun

KILLS = 3


class Program:
    """A shell command in a directory that `prepare` has filled."""

    refused = may = slow = works = False
    carried = True
    status = 0

    def __init__(self, name, needs, prepare, command, rewrites=False):
        self.name, self.needs, self.prepare = name, needs, prepare
        self.rewrites = rewrites
        self.argv = ["/bin/sh", "-c", command]


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
        f.write(text)


def words(directory, lines=40000):
    """Text that can be sorted and compressed, the same every time."""
    rng = random.Random(5)
    names = [f"w{rng.randrange(1 << 30):x}" for _ in range(3000)]
    write(directory, "words", "".join(
        f"{names[rng.randrange(3000)]} {rng.randrange(1000000)}\n" for _ in range(lines)))


def sources(directory):
    """Eight files of C and what makes a program of them."""
    objects = " ".join(f"part{i}.o" for i in range(8))
    for i in range(8):
        body = "".join(f"static double f{k}(double x) {{ for (int i = 0; i < {k + 3}; i++) "
                       f"x = x * {k + 1}.5 - i * x / ({k} + x * x); return x; }}\n"
                       for k in range(30))
        calls = "".join(f"    s += f{k}(x + {k});\n" for k in range(30))
        write(directory, f"part{i}.c",
              f"{body}double part{i}(double x)\n{{\n    double s = 0;\n{calls}    return s;\n}}\n")
    declare = "".join(f"double part{i}(double);\n" for i in range(8))
    total = " + ".join(f"part{i}(x)" for i in range(8))
    write(directory, "main.c", f"#include <stdio.h>\n{declare}int main(void)\n{{\n    double x = "
          f"0;\n    for (int i = 0; i < 1000; i++)\n        x = ({total}) * 1e-9 + i;\n"
          "    printf(\"%.17g\\n\", x);\n}\n")
    write(directory, "Makefile", f"prog: main.o {objects}\n\tcc -o $@ $^\n\t./prog\n"
          "%.o: %.c\n\tcc -O2 -c $<\n")


def sql(directory):
    write(directory, "script.sql", """
PRAGMA journal_mode = WAL;
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT);
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 120000)
    INSERT INTO t SELECT n, n * 7919 % 100003, printf('%08x', n * 2654435761 % 4294967296) FROM c;
CREATE INDEX i ON t (a, b);
UPDATE t SET a = a + 1 WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
SELECT count(*), sum(a), min(b), max(b) FROM t;
SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 DESC, 1 LIMIT 5;
PRAGMA integrity_check;
""")


def java(directory):
    write(directory, "J.java", """
import java.util.*;
import java.util.concurrent.*;

public class J {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        long sum = 0;
        for (int round = 0; round < 12; round++) {
            List<Future<Long>> parts = new ArrayList<>();
            for (int t = 0; t < 4; t++) {
                final long seed = round * 4 + t + sum;
                parts.add(pool.submit(() -> {
                    Map<Long, String> m = new TreeMap<>();
                    long x = seed;
                    for (int i = 0; i < 20000; i++) {
                        x = x * 6364136223846793005L + 1442695040888963407L;
                        m.put(x >>> 40, "v" + x);
                    }
                    long h = 0;
                    for (Map.Entry<Long, String> e : m.entrySet())
                        h = h * 31 + e.getKey() + e.getValue().hashCode();
                    return h;
                }));
            }
            for (Future<Long> f : parts)
                sum = sum * 31 + f.get();
            if (round % 10 == 0)
                System.gc();
            System.out.println(round + " " + sum);
            Thread.sleep(20);
        }
        pool.shutdown();
    }
}
""")


def node(directory):
    write(directory, "n.js", """
const crypto = require('crypto');
const { execFile } = require('child_process');
let value = 'start', round = 0;
function step() {
    for (let i = 0; i < 1500; i++)
        value = crypto.createHash('sha256').update(value + i).digest('hex');
    crypto.pbkdf2(value, 'salt', 3000, 16, 'sha1', (err, key) => {
        execFile('echo', [key.toString('hex')], (err2, out) => {
            console.log(round, value.slice(0, 16), out.trim());
            if (++round < 25)
                setTimeout(step, 15);
        });
    });
}
step();
""")


def fortran(directory):
    write(directory, "f.f90", """
program f
  implicit none
  real(8) :: a(300, 300), b(300, 300), c(300, 300)
  integer :: i, j, n
  do j = 1, 300
    do i = 1, 300
      a(i, j) = sin(real(i * j, 8))
      b(i, j) = cos(real(i + j, 8))
    end do
  end do
  do n = 1, 80
    c = matmul(a, b)
    a = c / maxval(abs(c))
    write (*, '(i4, es24.16)') n, sum(a)
    flush (6)
  end do
end program
""")
    subprocess.run(["gfortran", "-O1", "f.f90", "-o", "f"], cwd=directory, check=False)


def nothing(directory):
    del directory


PROGRAMS = [
    Program("xz", ["xz"], words, "exec xz -6 -T2 words"),
    Program("zstd", ["zstd"], words, "exec zstd -q -19 -T2 words"),
    Program("sort", ["sort"], lambda d: words(d, 500000),
            "TMPDIR=. exec sort --parallel=2 -S 4M -k2n words -o sorted", True),
    Program("tar and gzip", ["tar", "gzip"], words,
            "for i in 1 2 3 4 5; do tar cf - --mtime=@0 words | gzip -9 -n > $i.tgz; done"),
    Program("make and cc", ["make", "cc"], sources, "exec make -j2", True),
    Program("bc", ["bc"], nothing, "echo 'scale=900; 4*a(1); e(2)' | bc -l"),
    Program("sqlite3", ["sqlite3"], sql, "exec sqlite3 db < script.sql", True),
    Program("java", ["java", "javac"], java, "javac J.java && exec java J"),
    Program("node", ["node"], node, "exec node n.js"),
    Program("gfortran", ["gfortran"], fortran, "exec ./f"),
    Program("git", ["git"], words,
            "export HOME=. GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'; git init -q . && "
            "split -l 1000 words part. && git add part.* && "
            "git -c user.name=n -c user.email=e commit -q -m all && "
            "git repack -q -a -d --window=40 && git fsck --full && git rev-parse HEAD", True),
]
# What a program names after the time or the process; or what only speeds it up.
NOT_COMPARED = (".git/", "db-shm", "db-wal")


def digests(directory):
    found = {}
    for root, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            relative = os.path.relpath(path, directory)
            if not relative.startswith(NOT_COMPARED):
                with open(path, "rb") as f:
                    found[relative] = hashlib.sha256(f.read()).hexdigest()
    return found


def undisturbed(program):
    with sysrun.Job(sysrun.base(), program, "undisturbed") as job:
        program.prepare(job.work)
        start = time.monotonic()
        job.start(program.argv)
        job.wait()
        return sysrun.read(job.out), digests(job.work), time.monotonic() - start


def disturb(job, rng, took):
    """Saves, ends and restarts the job; False when it ended by itself meanwhile."""
    time.sleep(rng.uniform(0.1, 0.25) * took)
    if job.process.poll() is not None:
        return False
    epoch = job.epoch_number()
    stop = ["--stop"] if job.victim.rewrites else []
    if job.try_checkpoint(*stop) is None:
        return False
    if stop:
        job.wait_stopped()
    else:
        time.sleep(rng.uniform(0, 0.1) * took)
        if job.process.poll() is not None:
            return False
        job.power_cut(rng.choice(("front", "supervisor")))
    job.restart()
    return job.wait_epoch_after(epoch)


def kill_and_restart(program):
    missing = [n for n in program.needs if not shutil.which(n)]
    if missing:
        raise sysrun.Skipped(f"{missing[0]} is not installed")
    want_out, want_files, took = undisturbed(program)
    rng = random.Random(program.name + os.environ.get("SEED", ""))
    restarts = 0
    with sysrun.Job(sysrun.base(), program, "programs") as job:
        program.prepare(job.work)
        job.run()
        job.wait_epoch_after(0)
        while restarts < KILLS and disturb(job, rng, took):
            restarts += 1
        status = job.wait(120)
        if status != 0:
            raise sysrun.Failed(f"status {status}")
        out, files = sysrun.read(job.out), digests(job.work)
    if out != want_out:
        raise sysrun.Failed("output differs:\n" + sysrun.difference(want_out, out))
    if files != want_files:
        different = {n for n in want_files | files if want_files.get(n) != files.get(n)}
        raise sysrun.Failed(f"files differ: {sorted(different)[:10]}")
    if restarts == 0:
        raise sysrun.TooLate(f"never restarted: it takes only {took:.1f} s")
    return f"{restarts} restarts, undisturbed {took:.1f} s"


sysrun.run_tests([(p.name, lambda p=p: kill_and_restart(p)) for p in PROGRAMS])
