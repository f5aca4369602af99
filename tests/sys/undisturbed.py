#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every victim passes when nobody saves it: what fails elsewhere is not the victim."""
import sysrun

sysrun.QCKPT = "/bin/true"
sysrun.run_tests([(name, lambda v=v: sysrun.undisturbed(v) and None)
                  for name, v in sysrun.victims().items()])
