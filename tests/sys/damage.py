#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged generations: the one before is used and the log says so, or a clear "no".

A job is saved twice and stopped. Each test damages a copy of its directory and restarts
that: the victim must come back whole or not at all.
"""
import ctypes
import ctypes.util
import json
import os
import random
import re
import shutil
import threading

import sysrun

# Where a restart may end instead of in the victim's status: failed, nothing to restart from.
CLEAN_FAILURES = (1, sysrun.NOTHING)
FUZZ_ROUNDS = 40

FILES = ("manifest.json", "manifest.json.sum", "image", "image.sum", "memory", "memory.sum")


class Seed(threading.local):
    """The job that the tests restart; made once for each thread that runs them."""

    job = None

    def make(self):
        self.job = sysrun.Job(sysrun.base(), sysrun.victims()["mem_private"], "damage")
        job = self.job
        job.want = sysrun.undisturbed(job.victim)
        job.run()
        job.wait_ready()
        job.checkpoint()
        job.checkpoint("--stop")
        job.wait_stopped()
        job.go()
        self.ckpt = job.ckpt

    def copy(self, name):
        """The job with a fresh copy of its directory and fresh standard files."""
        if not self.job:
            self.make()
        job = self.job
        job.ckpt = os.path.join(job.dir, "copy-" + name)
        shutil.copytree(self.ckpt, job.ckpt, symlinks=True)
        os.chmod(job.ckpt, 0o700)
        for path in (job.out, job.err):
            open(path, "w").close()
        return job


seed = Seed()


def generation(job, number, *more):
    return os.path.join(job.ckpt, "gen", f"{number:06d}", *more)


def files_of(number):
    """The names of a generation's files; the seed's, so that tests can be made of them."""
    if not seed.job:
        seed.make()
    return sorted(os.listdir(os.path.join(seed.ckpt, "gen", f"{number:06d}")))


def damage_file(path, how):
    size = os.path.getsize(path)
    if how == "missing":
        os.unlink(path)
    elif how == "empty":
        os.truncate(path, 0)
    elif how == "half":
        os.truncate(path, size // 2)
    elif how == "one byte short":
        os.truncate(path, size - 1)
    elif how == "one byte long":
        with open(path, "ab") as f:
            f.write(b"\0")
    elif how == "foreign":
        with open("/bin/true", "rb") as f, open(path, "wb") as g:
            g.write(f.read(max(size, 1)).ljust(size, b"x"))
    else:
        flip(path, random.Random(path).randrange(size), 1 << (size % 8))


def flip(path, at, bits):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ bits]))


HOW = ("missing", "empty", "half", "one byte short", "one byte long", "foreign", "flipped bit")


def events(job):
    lines = sysrun.read(os.path.join(job.ckpt, "log.jsonl")).splitlines()
    return [json.loads(line) for line in lines]


def comes_back(job, number, *options):
    """The restart works, from that generation, and the victim finds everything."""
    job.restart(*options)
    job.finish(job.want)
    used = [e["generation"] for e in events(job) if e["event"] == "restarted"]
    if used[-1:] != [number]:
        raise sysrun.Failed(f"restarted from {used[-1:]}, expected {number}")


def is_rejected(job, number):
    said = [e for e in events(job)
            if e["event"] == "generation-rejected" and e["generation"] == number]
    if not said:
        raise sysrun.Failed(f"the log does not say why generation {number} was left out")
    return said[0]["text"]


def verify_finds(job, number, name):
    status, out, err = job.tool("verify", "-d", job.ckpt)
    if status != 1:
        raise sysrun.Failed(f"verify: status {status}, expected 1: {out}{err}")
    for word in (str(number), name.removesuffix(".sum")):
        if word not in out + err:
            raise sysrun.Failed(f"verify does not name {word}: {out}{err}")


def damaged_newest(name, how):
    job = seed.copy(f"{name}-{how}".replace(" ", "-"))
    with job_context(job):
        damage_file(generation(job, 2, name), how)
        verify_finds(job, 2, name)
        comes_back(job, 1)
        return is_rejected(job, 2)


class job_context:
    """The seed lives on; only the story of a failure is added."""

    def __init__(self, job):
        self.job = job

    def __enter__(self):
        return self.job

    def __exit__(self, kind, value, trace):
        if self.job.process and self.job.process.poll() is None:
            self.job.process.kill()
            self.job.process.wait()
        left = self.job.left_behind(5)
        if kind is None and left:
            raise sysrun.Failed(f"left behind: {left}")
        if kind is sysrun.Failed:
            value.args = (f"{value}\n{self.job.story()}",)
        shutil.rmtree(self.job.ckpt, ignore_errors=True)


def undamaged():
    with job_context(seed.copy("undamaged")) as job:
        status, out, err = job.tool("verify", "-d", job.ckpt)
        if status != 0:
            raise sysrun.Failed(f"verify: status {status}: {out}{err}")
        comes_back(job, 2)


def chosen():
    with job_context(seed.copy("chosen")) as job:
        comes_back(job, 1, "-g", "1")


def chosen_is_damaged():
    with job_context(seed.copy("chosen-damaged")) as job:
        damage_file(generation(job, 2, "manifest.json"), "half")
        ends_cleanly(job, "-g", "2", say="2")


def chosen_is_missing():
    with job_context(seed.copy("chosen-missing")) as job:
        ends_cleanly(job, "-g", "7", say="7")


def ends_cleanly(job, *options, say, statuses=CLEAN_FAILURES):
    job.restart(*options)
    status = job.wait()
    err = sysrun.read(job.err)
    if status not in statuses:
        raise sysrun.Failed(f"status {status}, expected one of {statuses}: {err}")
    if say not in err:
        raise sysrun.Failed(f"the message does not say \"{say}\": {err}")
    if out := sysrun.read(job.out):
        raise sysrun.Failed(f"half a job ran: {out}")


def all_damaged():
    with job_context(seed.copy("all")) as job:
        for number in (1, 2):
            damage_file(generation(job, number, "manifest.json"), "half")
        ends_cleanly(job, say="can be restarted", statuses=(sysrun.NOTHING,))
        for number in (1, 2):
            is_rejected(job, number)


class Digest(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def digest(data):
    """XXH3-128 as doc/format/store.md writes it."""
    name = ctypes.util.find_library("xxhash")
    if not name:
        raise sysrun.Skipped("libxxhash is not there")
    function = ctypes.CDLL(name).XXH3_128bits
    function.restype = Digest
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    d = function(data, len(data))
    return f"{d.high:016x}{d.low:016x}"


def rewrite(job, number, name, change):
    """Changes a file's bytes and makes every checksum fit: damage that only the reader
    of the content can find."""
    path = generation(job, number, name)
    with open(path, "rb") as f:
        data = change(f.read())
    sums, at = b"", 0
    for line in sysrun.read(path + ".sum").splitlines():
        size = int(line.split()[0])
        sums += f"{size} {digest(data[at:at + size])}\n".encode()
        at += size
    if name == "manifest.json":
        sums = f"{len(data)} {digest(data)}\n".encode()
    for where, what in ((path, data), (path + ".sum", sums)):
        with open(where, "wb") as f:
            f.write(what)
    if name != "manifest.json":
        manifest = json.loads(sysrun.read(generation(job, number, "manifest.json")))
        old = next(f["sums"] for f in manifest["files"] if f["name"] == name)
        rewrite(job, number, "manifest.json",
                lambda text: text.replace(old.encode(), digest(sums).encode()))


def too_new():
    """No damage: another host can read it, and an older one would be work lost."""
    with job_context(seed.copy("new")) as job:
        rewrite(job, 2, "manifest.json", lambda text: re.sub(
            rb'"format": *1\b', b'"format": 99', text, count=1))
        ends_cleanly(job, say="99", statuses=(sysrun.REFUSED,))
        comes_back(job, 1, "-g", "1")


def leftovers():
    """A run that was cut short leaves things that are no generations."""
    with job_context(seed.copy("leftovers")) as job:
        shutil.copytree(generation(job, 2), os.path.join(job.ckpt, "gen/.000003.0123abcd"))
        os.mkdir(os.path.join(job.ckpt, "gen/.000004.ffff"))
        with open(os.path.join(job.ckpt, "gen/README"), "w", encoding="utf-8") as f:
            f.write("not a generation\n")
        comes_back(job, 2)


def empty_generation():
    with job_context(seed.copy("empty")) as job:
        os.mkdir(generation(job, 3), 0o700)
        comes_back(job, 2)


def no_directory():
    with job_context(seed.copy("gone")) as job:
        shutil.rmtree(job.ckpt)
        ends_cleanly(job, say=os.path.basename(job.ckpt), statuses=(sysrun.NOTHING,))


def no_generation():
    with job_context(seed.copy("none")) as job:
        shutil.rmtree(os.path.join(job.ckpt, "gen"))
        ends_cleanly(job, say=os.path.basename(job.ckpt), statuses=(sysrun.NOTHING,))


def open_to_others():
    with job_context(seed.copy("open")) as job:
        os.chmod(job.ckpt, 0o777)
        ends_cleanly(job, say=os.path.basename(job.ckpt), statuses=(1,))


def symbolic_link():
    with job_context(seed.copy("link")) as job:
        os.rename(generation(job, 2), os.path.join(job.dir, "elsewhere"))
        os.symlink(os.path.join(job.dir, "elsewhere"), generation(job, 2))
        try:
            comes_back(job, 1)
            is_rejected(job, 2)
        finally:
            shutil.rmtree(os.path.join(job.dir, "elsewhere"))


def fuzz():
    """Random damage to both generations: the victim whole, or a clean failure."""
    rng = random.Random(20)
    came_back = 0
    for i in range(FUZZ_ROUNDS):
        with job_context(seed.copy(f"fuzz{i}")) as job:
            hurt_at_random(job, rng)
            job.restart()
            status = job.wait()
            out = sysrun.read(job.out)
            if status == 0 and out == job.want:
                came_back += 1
            elif status not in CLEAN_FAILURES or out:
                raise sysrun.Failed(f"round {i}: status {status}, output: {out[-300:]}")
    return f"{came_back} of {FUZZ_ROUNDS} came back, the rest failed cleanly"


def forged():
    """Nonsense under valid checksums: whatever the job becomes, the supervisor lives."""
    rng = random.Random(21)
    ends = {}
    for i in range(FUZZ_ROUNDS):
        with job_context(seed.copy(f"forged{i}")) as job:
            shutil.rmtree(generation(job, 1))
            rewrite(job, 2, "image", lambda data: nonsense(data, rng))
            job.restart()
            status = job.wait()
            err = sysrun.read(job.err)
            if "supervisor was killed" in err or status in (134, 139):
                raise sysrun.Failed(f"round {i}: status {status}")
            ends[status] = ends.get(status, 0) + 1
    return "ends: " + ", ".join(f"{n} times {s}" for s, n in sorted(ends.items()))


def nonsense(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
    return bytes(data)


def hurt_at_random(job, rng):
    for number in (1, 2):
        names = os.listdir(generation(job, number))
        for _ in range(rng.choice((0, 1, 1, 3))):
            path = generation(job, number, rng.choice(names))
            size = os.path.getsize(path)
            if rng.random() < 0.2:
                os.truncate(path, rng.randrange(size + 1))
            elif size:
                flip(path, rng.randrange(size), rng.randrange(1, 256))


def tests():
    yield "an undamaged copy restarts", undamaged
    for name in FILES:
        for how in HOW:
            yield f"{name}: {how}", lambda n=name, h=how: damaged_newest(n, h)
    yield "every file of a generation is tried above", all_names_are_known
    yield "a chosen generation", chosen
    yield "a chosen generation that is damaged", chosen_is_damaged
    yield "a chosen generation that is not there", chosen_is_missing
    yield "all generations damaged", all_damaged
    yield "a manifest of a later version", too_new
    yield "leftovers of a run that was cut short", leftovers
    yield "an empty generation", empty_generation
    yield "no directory", no_directory
    yield "no generation", no_generation
    yield "a directory that is open to others", open_to_others
    yield "a generation that is a symbolic link", symbolic_link
    yield "random damage", fuzz
    yield "nonsense under valid checksums", forged


def all_names_are_known():
    unknown = set(files_of(2)) - set(FILES)
    if unknown:
        raise sysrun.Failed(f"files that nobody damages: {unknown}")


sysrun.run_tests(list(tests()))
