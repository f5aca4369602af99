# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs victims under the built qckpt and looks at what became of them.

Shared by the scripts of this directory. A Job is one victim in a directory of its own: its
standard files, its job directory, the processes it may leave behind. A test is a function
that raises Failed or Skipped; run_tests() runs several at a time and prints TAP.
"""
import concurrent.futures
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("VICTIM_SOURCE", os.path.join(HERE, "..", "victims"))
BUILD = os.environ.get("VICTIM_BUILD", os.path.join(HERE, "../../build/tests/victims"))
QCKPT = os.environ.get("QCKPT", os.path.join(HERE, "../../build/src/cmd/qckpt"))

REFUSED, NOTHING, STOPPED, SKIP = 3, 4, 75, 77

# What a victim ends with when it is not 0.
STATUS = {"work_shell": 5}


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class TooLate(Exception):
    """A victim that works was done before the test came to its point, as happens on a
    busy machine: the test is run again."""


TRIES = 5

# What a request is told that finds no job any more.
MET_THE_END = "the job has ended|the supervisor ended before it answered|is not running"


class Victim:
    def __init__(self, name, path):
        self.name, self.path = name, path
        self.argv = [path]
        self.works = name.startswith("work_")
        self.refused = name.startswith("refuse_")
        self.may = name.startswith("may_")
        self.slow = name.startswith("slow_")
        self.carried = not (self.refused or self.may or self.slow)
        self.status = STATUS.get(name, 0)


def victims():
    """Every victim, by name. A source without its program is an error, not a gap."""
    found = []
    for path in sorted(glob.glob(os.path.join(SOURCE, "*.c"))):
        name = os.path.basename(path)[:-2]
        exe = os.path.join(BUILD, name)
        if not os.access(exe, os.X_OK):
            if name == "work_openmp":
                continue
            raise SystemExit(f"{exe} is missing: is {name} in tests/victims/meson.build?")
        found.append(Victim(name, exe))
        if os.access(exe + "_static", os.X_OK):
            found.append(Victim(name + "_static", exe + "_static"))
    for ext in ("sh", "py", "pl"):
        for path in sorted(glob.glob(os.path.join(SOURCE, "*." + ext))):
            found.append(Victim(os.path.basename(path)[: -len(ext) - 1], path))
    return {v.name: v for v in found}


# Tests mostly wait: for a victim that works a while, for a file to be on its disk.
PARALLEL = min(3 * os.cpu_count(), 8)

# Seconds are generous for an idle machine; a busy one has this many times as long.
PATIENCE = 6


def wait_until(seconds, what, condition):
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(0.005)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def processes_of(scratch):
    """Living processes that were started for a job, by their environment."""
    mark = ("VICTIM_DIR=" + scratch).encode() + b"\0"
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                if mark not in f.read() + b"\0":
                    continue
            with open(f"/proc/{entry}/stat") as f:
                state = f.read().rpartition(")")[2].split()[0]
            with open(f"/proc/{entry}/cmdline") as f:
                text = f.read().replace("\0", " ").strip()
        except (OSError, ValueError):
            continue
        if state not in "ZX" and int(entry) != os.getpid():
            found.append((int(entry), state, text))
    return found


class Server:
    """Something outside of every job to be connected to: echoes on TCP and unix."""

    def __init__(self, directory):
        import socket

        self.path = os.path.join(directory, "server.sock")
        tcp = socket.create_server(("127.0.0.1", 0))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(self.path)
        os.chmod(self.path, 0o777)
        unix.listen(5)
        self.text = f"{tcp.getsockname()[1]} {self.path}"
        for listener in (tcp, unix):
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=self.echo, args=(conn,), daemon=True).start()

    @staticmethod
    def echo(conn):
        with conn:
            try:
                while data := conn.recv(4096):
                    conn.sendall(data)
            except OSError:
                pass


class Job:
    """One victim in a directory of its own."""

    def __init__(self, base, victim, mode, ckpt=None, prefix=()):
        self.victim, self.mode = victim, mode
        self.dir = tempfile.mkdtemp(prefix=victim.name + "-", dir=base)
        self.work = os.path.join(self.dir, "work")
        os.mkdir(self.work)
        self.ckpt = ckpt or os.path.join(self.dir, "ckpt")
        self.out, self.err = os.path.join(self.dir, "out"), os.path.join(self.dir, "err")
        self.ready_file = os.path.join(self.dir, "ready")
        self.go_file = os.path.join(self.dir, "go")
        self.prefix = list(prefix)
        self.process = None
        self.env = dict(os.environ, VICTIM_READY=self.ready_file, VICTIM_GO=self.go_file,
                        VICTIM_DIR=self.dir, VICTIM_SERVER=server().text, LC_ALL="C")
        # A child that cannot be stopped is given up soon.
        if victim.slow:
            self.env["QCKPT_FREEZE_TIMEOUT"] = "3"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        left = self.left_behind(5)
        for pid, _, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if kind is None and left:
            raise Failed("left behind: " + "; ".join(f"{p} {s} {t}" for p, s, t in left))
        if kind is Failed:
            value.args = (f"{value}\n{self.story()}",)

    def left_behind(self, seconds):
        end = time.monotonic() + seconds * PATIENCE
        while (left := processes_of(self.dir)) and time.monotonic() < end:
            time.sleep(0.02)
        return left

    def story(self):
        """What the reader of a failed test wants to see."""
        parts = []
        for name, text in (("stdout", read(self.out)), ("stderr", read(self.err)),
                           ("log", read(os.path.join(self.ckpt, "log.jsonl")))):
            lines = text.splitlines()
            if name == "stdout":
                lines = [l for l in lines if not l.startswith("ok ")] or lines
            parts += [f"{name}: {l}" for l in lines[-14:]]
        return "\n".join(parts)

    def start(self, argv, env=None):
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                self.prefix + argv, cwd=self.work, env=dict(self.env, **(env or {})),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)

    def run(self, *options, env=None):
        self.start([QCKPT, "run", "-d", self.ckpt, *options, "--", *self.victim.argv], env)

    def restart(self, *options, env=None):
        self.start([QCKPT, "restart", "-d", self.ckpt, *options], env)

    def tool(self, *argv, timeout=60, prefix=(), env=None):
        """Runs a qckpt command of its own: (status, stdout, stderr)."""
        timeout *= PATIENCE
        try:
            r = subprocess.run([*prefix, QCKPT, *argv], cwd=self.dir, timeout=timeout,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               errors="replace", env=dict(os.environ, **(env or {})))
        except subprocess.TimeoutExpired:
            raise Failed(f"qckpt {' '.join(argv)}: no end within {timeout} s") from None
        if r.returncode < 0 or r.returncode >= 128:
            raise Failed(f"qckpt {' '.join(argv)} crashed: status {r.returncode}\n{r.stderr}")
        return r.returncode, r.stdout, r.stderr

    def checkpoint(self, *options, expect=0, **more):
        status, out, err = self.tool("checkpoint", "-d", self.ckpt, *options, **more)
        if status != 0 and self.victim.works and self.met_the_end(err) and self.is_done():
            raise TooLate(f"checkpoint {' '.join(options)}: {err.strip()}")
        if status != expect:
            raise Failed(f"checkpoint {' '.join(options)}: status {status}, expected "
                         f"{expect}: {err.strip()}")
        return out, err

    def is_done(self):
        """Whether the job ended by itself: then there is nothing to save or restart."""
        return os.path.exists(os.path.join(self.ckpt, "done.json"))

    def met_the_end(self, err):
        """Whether a checkpoint failed because the job ended by itself. It says so, and
        within moments the run is over."""
        if not re.search(MET_THE_END, err):
            return False
        try:
            wait_until(5, "the end", lambda: self.process.poll() is not None)
        except Failed:
            return False
        return True

    def try_checkpoint(self, *options):
        """A checkpoint of a job that may end at any time; None when it has."""
        if self.process.poll() is not None:
            return None
        status, out, err = self.tool("checkpoint", "-d", self.ckpt, *options)
        if status == 0:
            return out
        if self.met_the_end(err):
            return None
        raise Failed(f"checkpoint: status {status}: {err.strip()}")

    def wait_ready(self):
        def ready():
            if os.path.exists(self.ready_file):
                return True
            if self.process.poll() is not None:
                if self.process.returncode == SKIP:
                    lines = [l for l in read(self.out).splitlines() if l.startswith("skip ")]
                    raise Skipped(lines[-1][5:] if lines else "cannot be tried here")
                raise Failed(f"ended with {self.process.returncode} before it was ready")
            return False

        wait_until(30, "ready", ready)

    def go(self):
        with open(self.go_file, "w"):
            pass

    def wait(self, seconds=60):
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end within {seconds * PATIENCE} s") from None

    def wait_stopped(self):
        status = self.wait(30)
        if status != STOPPED:
            raise Failed(f"stopped at a checkpoint: status {status}, expected {STOPPED}")

    def epoch(self):
        try:
            return json.loads(read(os.path.join(self.ckpt, "epoch")))
        except ValueError:
            return {}

    def epoch_number(self):
        number = self.epoch().get("epoch")
        if number is None:
            raise Failed("the job runs, but its directory has no epoch")
        return number

    def power_cut(self, who):
        """Kills the front or the supervisor; then nothing of the job may go on."""
        pid = self.process.pid if who == "front" else int(self.epoch()["pid"])
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the job has just ended
        self.wait(20)
        if left := self.left_behind(10):
            raise Failed(f"{who} was killed, but these live: {left}")

    def wait_epoch_after(self, before):
        """Until the restarted job runs: a restart takes a new epoch before that. False
        when the job had ended by itself before it could be restarted."""
        def running():
            # In this order: what is restarted may be done in no time.
            ended = self.process.poll() is not None
            if self.epoch().get("epoch", 0) > before:
                return True
            if ended and not self.is_done():
                raise Failed(f"restart ended with {self.process.returncode}")
            return ended

        wait_until(30, "a restart", running)
        return self.epoch_number() > before

    def finish(self, want=None):
        """Waits for the victim's end; its output must be `want`, or be all ok."""
        status = self.wait()
        out = read(self.out)
        bad = [l for l in out.splitlines() if l.startswith("FAIL")]
        if status == SKIP:
            raise Skipped(out.strip().removeprefix("skip "))
        if bad:
            raise Failed(f"{len(bad)} checks of the victim failed: {bad[0]}")
        if status != self.victim.status:
            raise Failed(f"status {status}, expected {self.victim.status}")
        if want is not None and out != want:
            raise Failed("output differs:\n" + difference(want, out))
        if not out.strip():
            raise Failed("the victim printed nothing")
        return out


def difference(want, got):
    import difflib

    lines = list(difflib.unified_diff(want.splitlines(), got.splitlines(), "wanted", "got",
                                      lineterm="", n=1))
    return "\n".join(lines[:30])


_lock = threading.Lock()
_base = None
_server = None
_undisturbed = {}


def base():
    """The directory of everything; removed at the end."""
    global _base
    with _lock:
        if not _base:
            _base = tempfile.mkdtemp(prefix="qckpt-sys-")
            os.chmod(_base, 0o755)
    return _base


def server():
    global _server
    where = base()
    with _lock:
        if not _server:
            _server = Server(where)
    return _server


def undisturbed(victim):
    """The output of the victim when nobody disturbs it."""
    with _lock:
        if victim.name in _undisturbed:
            return _undisturbed[victim.name]
    with Job(base(), victim, "undisturbed") as job:
        job.start([victim.path])
        job.wait_ready()
        job.go()
        out = job.finish()
    with _lock:
        return _undisturbed.setdefault(victim.name, out)


def require(prerequisite):
    return prerequisite in os.environ.get("REQUIRE", "").split()


def leave_ipc_namespace():
    """To one of our own, where we may, as root. A process that has by chance the pid of one that
    used a semaphore, and is gone, would be taken for its user; and nobody would remove those of
    victims that are killed. CLONE_NEWIPC, linux/sched.h."""
    ctypes.CDLL(None).unshare(0x08000000)


def run_tests(tests):
    """tests: (name, function) pairs. Prints TAP; the process's status is the result."""
    if not os.access(QCKPT, os.X_OK):
        if require("qckpt"):
            print(f"1..1\nnot ok 1 - {QCKPT} is not there")
            sys.exit(1)
        print(f"1..0 # SKIP {QCKPT} is not built")
        sys.exit(0)
    leave_ipc_namespace()
    only = sys.argv[1:]
    if only:
        tests = [t for t in tests if any(re.search(o, t[0]) for o in only)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        futures = [(name, pool.submit(timed, function)) for name, function in tests]
        for number, (name, future) in enumerate(futures, 1):
            failed += not report(number, name, future)
    if failed and os.environ.get("KEEP"):
        print(f"# kept: {base()}")
    elif _base:
        shutil.rmtree(_base, ignore_errors=True)
    sys.exit(1 if failed else 0)


def timed(function):
    start = time.monotonic()
    note = in_time(function)
    return time.monotonic() - start, note


def in_time(function):
    late = None
    for _ in range(TRIES):
        try:
            return function()
        except TooLate as e:
            late = e
    raise Failed(f"too late in each of {TRIES} tries: {late}")


def report(number, name, future):
    try:
        seconds, note = future.result()
    except Skipped as e:
        if require("victims"):
            print(f"not ok {number} - {name}\n# REQUIRE has \"victims\", but: {e}", flush=True)
            return False
        print(f"ok {number} - {name} # SKIP {e}", flush=True)
        return True
    except Exception as e:  # pylint: disable=broad-except
        print(f"not ok {number} - {name}")
        text = str(e) if isinstance(e, Failed) else traceback.format_exc()
        for line in text.splitlines():
            print(f"# {line[:300]}")
        sys.stdout.flush()
        return False
    print(f"ok {number} - {name}{' (' + note + ')' if note else ''}\n# {seconds:.1f} s",
          flush=True)
    return True
