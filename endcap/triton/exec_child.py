"""Become tritonserver, be told when the parent is gone, and keep secrets off the command line.

Run as ``python -I -S exec_child.py PARENT_PID COMMAND…``; PARENT_PID 0 outlives its parent. A ``preexec_fn``
would do the same, but runs Python between fork and exec, which can deadlock where the parent has threads
(gRPC's, for one).

A second process stays behind that ends what is left of the process group when tritonserver has ended,
however it did: Python stubs of a killed server wait for it for ever, on a lock in shared memory (seen with
2.51). The kernel's own signal to a child whose parent dies would not do for them: it comes when the *thread*
that started them ends, and Triton's loading threads do.

An argument ``@ENV:NAME`` is replaced by the value of the environment variable NAME without ever standing on
the command line, which every user of a machine can read in ``ps``; the environment only the same user and
root can. tritonserver takes its keys as arguments and nowhere else, so the replacement happens in its memory:
a second process stops it right after ``exec``, points the argument at the variable's text, lets it run and
ends. Where that is not allowed (no ptrace), nothing is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import sys

PR_SET_PDEATHSIG = 1
PR_SET_PTRACER = 0x59616D61
PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE = 7, 17, 0x4206
PTRACE_O_TRACEEXEC, PTRACE_EVENT_EXEC, WALL = 0x10, 4, 0x40000000
SECRET = "@ENV:"
NOT_ALLOWED = "the admin key cannot be kept off the command line here: ptrace is not allowed"


def main() -> None:
    """Ask the kernel for SIGTERM when the parent ends, then replace this process by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if parent:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before prctl took hold
            raise SystemExit(1)
    secrets = {
        place: argument.removeprefix(SECRET)
        for place, argument in enumerate(command)
        if argument.startswith(SECRET)
    }
    if secrets and not _watched(libc, secrets):
        raise SystemExit(f"error: {NOT_ALLOWED}")
    _leave_undertaker()
    os.execv(command[0], command)


def _leave_undertaker() -> None:
    """Leave a process that kills this process's group, itself with it, once this process has ended.

    Nothing is left where this process does not lead a group: its members would be others as well.
    """
    target = os.getpid()
    if os.getpgrp() != target:
        return
    ended = os.pidfd_open(target)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(ended)
        return
    if os.fork():  # it belongs to nobody: tritonserver knows no children but its own
        os._exit(0)
    # Signals to the group are tritonserver's to obey; the log's and the pipes' ends are not to be kept open.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, ended)
    os.closerange(ended + 1, 256)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.poll()
    os.killpg(target, signal.SIGKILL)
    os._exit(0)


def _watched(libc: ctypes.CDLL, secrets: dict[int, str]) -> bool:
    """Start the process that will fill in the secrets; whether it holds this one."""
    target = os.getpid()
    reading, writing = os.pipe()
    waiting, going = os.pipe()
    child = os.fork()
    if child == 0:
        watcher = os.fork()
        if watcher:  # the watcher belongs to nobody: tritonserver knows no children but its own
            os.write(writing, struct.pack("i", watcher))
            os._exit(0)
        os.close(going)
        os.read(waiting, 1)
        seized = libc.ptrace(PTRACE_SEIZE, target, None, PTRACE_O_TRACEEXEC) == 0
        os.write(writing, b"+" if seized else b"-")
        # The log's and the pipes' ends must not stay open for longer than tritonserver's own.
        os.closerange(0, 256)
        with contextlib.suppress(BaseException):
            if seized:
                _fill_in(libc, target, secrets)
        os._exit(0)
    os.close(waiting)
    os.waitpid(child, 0)
    (watcher,) = struct.unpack("i", os.read(reading, 4))
    libc.prctl(PR_SET_PTRACER, watcher, 0, 0, 0)
    os.write(going, b"!")
    held = os.read(reading, 1) == b"+"
    for end in (reading, writing, going):
        os.close(end)
    return held


def _fill_in(libc: ctypes.CDLL, pid: int, secrets: dict[int, str]) -> None:
    """Wait for the exec, point the arguments at the environment, let go.

    When it fails, tritonserver finds ``@ENV:NAME`` among its arguments, does not know it and ends.
    """
    while True:
        _, status = os.waitpid(pid, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            return
        if status >> 8 == signal.SIGTRAP | PTRACE_EVENT_EXEC << 8:
            break
        # A signal of another kind is none of ours: it is handed on.
        stopped = os.WSTOPSIG(status)
        libc.ptrace(PTRACE_CONT, pid, None, stopped if status >> 16 == 0 else 0)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc(5): fields after the name in parentheses, the state being the third.
            fields = file.read().rpartition(b")")[2].split()
        stack, begin, end = (int(fields[number - 3]) for number in (28, 50, 51))
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(begin)
            environment = memory.read(end - begin)
            for place, name in secrets.items():
                prefix = b"\0" + name.encode() + b"="
                at = (b"\0" + environment).index(prefix)
                # At the top of a fresh stack: argc, then argv.
                memory.seek(stack + 8 * (1 + place))
                memory.write(struct.pack("=Q", begin + at + len(prefix) - 1))
    finally:
        libc.ptrace(PTRACE_DETACH, pid, None, None)


if __name__ == "__main__":
    main()
