"""Become tritonserver, and be told when the parent is gone.

Run as ``python -I -S exec_child.py PARENT_PID COMMAND…``. A ``preexec_fn`` would do the same, but runs Python
between fork and exec, which can deadlock where the parent has threads (gRPC's, for one).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGTERM when the parent ends, then replace this process by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before prctl took hold
        raise SystemExit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
