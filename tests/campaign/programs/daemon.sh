#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: python3
# Children that outlive their parents, sessions of their own, sockets with a name.
python3 - <<'P'
import os, socket, sys, time, signal
s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen(8)
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    n = 0
    while n < 100:
        c, _ = s.accept(); d = c.recv(100); c.sendall(b"got " + d); c.close(); n += 1
    os._exit(0)
os.wait(); s.close()
for i in range(100):
    c = socket.socket(socket.AF_UNIX); c.connect("sock"); c.sendall(b"%d" % i); time.sleep(0.03); print(c.recv(100).decode(), flush=True); c.close()
P
echo $?; sh -c '(sleep 0.5; echo orphan > orphan) & exit 0'; while [ ! -s orphan ]; do sleep 0.05; done; cat orphan
