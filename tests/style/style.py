#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what of the project's style a machine can check; prints TAP.

doc/design/style.md says why these are the rules.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])

# Who may include whom; a module may always include itself.
LAYERS = {
    "base": set(),
    "cpu": {"base"},
    "ge": {"base"},
    "image": {"base"},
    "store": {"base"},
    "place": {"base"},
    "native": {"image", "place", "base"},
    "dmtcp": {"place", "cpu", "base"},
    "engine": {"native", "dmtcp", "base"},
    "job": {"engine", "store", "ge", "cpu", "base"},
    "cmd": {"job", "engine", "store", "ge", "cpu", "base"},
}
FORBIDDEN = re.compile(
    r"\b(system|popen|sprintf|vsprintf|strcpy|strcat|gets|alloca|tmpnam|mktemp)\s*\(|\b(goto)\s+\w"
)
FUNCTION_MAX = 80
FILE_MAX = 700
PARAMETERS_MAX = 8


def sources(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    return [Path(n) for n in names if n and (ROOT / n).is_file()]


def text(path):
    return (ROOT / path).read_text(errors="replace")


def code(path):
    """The text without comments and strings, with its lines kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text(path), flags=re.S)


def layers():
    """every include goes down the layers"""
    for path in sources("src/*.c", "src/*.h"):
        own = path.parts[1]
        for number, line in enumerate(text(path).split("\n"), 1):
            match = re.match(r'#include "([^"]+)"', line)
            if not match:
                continue
            other = match.group(1).split("/")
            if other[0] == own or other[0] not in LAYERS:
                if other[0] != own:
                    yield f"{path}:{number}: {match.group(1)} names no module"
                continue
            if other[0] not in LAYERS[own]:
                yield f"{path}:{number}: {own} may not include {other[0]}"


def private_headers():
    """one module sees another only through its public header"""
    public = {"image": {"image.h", "codec.h"}, "native": {"native.h", "save/checkpoint.h", "memory/writer.h"},
              "dmtcp": None, "place": None, "engine": {"engine.h"}, "store": {"store.h"}, "job": {"job.h", "settings.h"}, "ge": None, "base": None, "cpu": {"cpu.h"}}
    for path in sources("src/*.c", "src/*.h"):
        for number, line in enumerate(text(path).split("\n"), 1):
            match = re.match(r'#include "(\w+)/([^"]+)"', line)
            if not match or match.group(1) == path.parts[1]:
                continue
            allowed = public.get(match.group(1))
            if allowed is not None and match.group(2) not in allowed:
                yield f"{path}:{number}: {match.group(1)}/{match.group(2)} is private to its module"


def forbidden():
    """no call that cannot be used safely, no goto"""
    for path in sources("src/*.c", "src/*.h"):
        for number, line in enumerate(code(path).split("\n"), 1):
            match = FORBIDDEN.search(line)
            if match:
                yield f"{path}:{number}: {match.group().strip()}"


def only_main_exits():
    """only cmd and processes of their own exit"""
    for path in sources("src/base/*.c", "src/store/*.c", "src/image/*.c", "src/ge/*.c"):
        for number, line in enumerate(code(path).split("\n"), 1):
            if re.search(r"\b(exit|abort)\s*\(", line):
                yield f"{path}:{number}: exits; return an error"


def cloexec():
    """every descriptor is closed on exec"""
    for path in sources("src/*.c"):
        body = code(path)
        for match in re.finditer(r"\b(open|openat|socket|socketpair|accept4|pipe2|memfd_create|epoll_create1|signalfd|timerfd_create)\s*\(", body):
            if path.parts[1:3] == ("native", "files") and match.group(1) != "open":
                continue  # what is made there becomes the job's
            call = body[match.start():body.find(";", match.start())]
            original = text(path)[match.start():match.start() + 30]
            if "CLOEXEC" not in call and "flags" not in call and '"/dev/null"' not in original:
                line = body.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: {match.group(1)} without O_CLOEXEC"
        for match in re.finditer(r"\b(pipe|accept|dup|epoll_create|creat)\s*\(", body):
            line = body.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(1)}: use the call that takes O_CLOEXEC"


def functions(path):
    """(name, first line, length, parameters) of each function, as clang-format lays it out."""
    lines = code(path).split("\n")
    for number, line in enumerate(lines):
        if line != "{":
            continue
        end = next((k for k in range(number, len(lines)) if lines[k] == "}"), None)
        head = number - 1
        while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(("}", "#")):
            head -= 1
        signature = " ".join(lines[head:number])
        name = re.search(r"(\w+)\s*\(", signature)
        if not name or end is None:
            continue
        inside = signature[signature.find("(") + 1:]
        yield name.group(1), number + 1, end - number - 1, inside.count(",") + 1


def sizes():
    """files, functions and parameter lists can be taken in"""
    for path in sources("src/*.c", "src/*.h"):
        length = text(path).count("\n")
        if length > FILE_MAX:
            yield f"{path}: {length} lines"
        for name, line, body, parameters in functions(path):
            if body > FUNCTION_MAX:
                yield f"{path}:{line}: {name} has {body} lines"
            if parameters > PARAMETERS_MAX:
                yield f"{path}:{line}: {name} has {parameters} parameters"


def licence():
    """each file states its licence in its first lines"""
    for path in sources("*.c", "*.h", "*.py", "*.sh", "*.t", "*.build", "scripts/*", "tests/cell/*", ".ci/run"):
        if path.suffix in (".md", ".in", ".txt", ".json"):
            continue
        head = "\n".join(text(path).split("\n")[:3])
        if "SPDX-License-Identifier: GPL-3.0-or-later" not in head and text(path).strip():
            yield f"{path}: no SPDX line"


def messages():
    """an error's text starts in lower case and ends without a period or newline"""
    call = re.compile(r'\berr_(?:set|sys|code|wrap)\s*\([^;"]*"((?:\\.|[^"\\])*)"((?:\s*"(?:\\.|[^"\\])*")*)', re.S)
    for path in sources("src/*.c"):
        body = text(path)
        for match in call.finditer(body):
            whole = match.group(1) + "".join(re.findall(r'"((?:\\.|[^"\\])*)"', match.group(2)))
            line = body.count("\n", 0, match.start()) + 1
            first = whole[:2]
            if first[:1].isupper() and not first[1:2].isupper() and not re.match(r"[A-Z]\w*[A-Z_]", whole):
                yield f"{path}:{line}: '{whole[:40]}...' starts in upper case"
            if whole.endswith((".", "\\n")) and not whole.endswith("..."):
                yield f"{path}:{line}: '...{whole[-30:]}' ends with a period or newline"


def formatted():
    """clang-format has nothing to change"""
    names = [str(n) for n in sources("*.c", "*.h")]
    if not names:
        return
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *names], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    seen = set()
    for line in run.stderr.split("\n"):
        match = re.match(r"([^:]+:\d+):\d+: error", line)
        if match and match.group(1).split(":")[0] not in seen:
            seen.add(match.group(1).split(":")[0])
            yield match.group(1)


def nothing_private():
    """nothing names the machine it was written on"""
    for path in sources():
        if (ROOT / path).stat().st_size > 1 << 20 or b"\0" in (ROOT / path).read_bytes():
            continue
        for number, line in enumerate(text(path).split("\n"), 1):
            if re.search(r"\.\./shared\b|/home/(?!user)\w+/\w|/root/\w", line):
                yield f"{path}:{number}: {line.strip()[:70]}"


CHECKS = [layers, private_headers, forbidden, only_main_exits, cloexec, sizes, licence, messages, formatted,
          nothing_private]


def main():
    failed = 0
    print(f"1..{len(CHECKS)}")
    for number, check in enumerate(CHECKS, 1):
        found = list(check())
        for line in found:
            print(f"# {line}")
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {check.__doc__}")
    return 1 if failed else 0


sys.exit(main())
