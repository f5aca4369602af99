#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job of several hosts: this starts a part of itself on each of the others by ssh, and
they compute together over TCP. What a part prints comes through ssh; it ends with its
number for a status, which is checked.

  parts.py [-s STEPS]             the job; without PE_HOSTFILE its one part is here
  parts.py part HOST PORT NUMBER  a part
"""
import os
import socket
import subprocess
import sys
import time


def part(host, port, number):
    lines = socket.create_connection((host, port)).makefile("rw")
    for line in lines:
        step = int(line)
        lines.write(f"{step * step + number}\n")
        lines.flush()
    print(f"part {number} ends", flush=True)
    sys.exit(number)


def other_hosts():
    path = os.environ.get("PE_HOSTFILE")
    if not path:
        return [None]
    with open(path) as file:
        return [line.split()[0] for line in file][1:]


def start(host, port, number):
    words = ["python3", os.path.abspath(__file__), "part", socket.gethostname(), str(port), str(number)]
    return subprocess.Popen(["ssh", host] + words if host else words)


def main(steps):
    door = socket.create_server(("", 0))
    programs, connections = [], []
    for number, host in enumerate(other_hosts(), 1):
        programs.append(start(host, door.getsockname()[1], number))
        connections.append(door.accept()[0])
    files = [connection.makefile("rw") for connection in connections]
    total = 0
    for step in range(steps):
        for file in files:
            file.write(f"{step}\n")
            file.flush()
        total += sum(int(file.readline()) for file in files)
        print(f"step {step} {total}", flush=True)
        time.sleep(0.1)
    for connection in connections:
        connection.shutdown(socket.SHUT_RDWR)
    for number, program in enumerate(programs, 1):
        print(f"part {number} ended with {program.wait()}", flush=True)


if sys.argv[1:2] == ["part"]:
    part(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    main(int(sys.argv[2]) if sys.argv[1:2] == ["-s"] else 100)
