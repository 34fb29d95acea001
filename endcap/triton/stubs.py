"""The Python stubs of a server: the processes in which its models run."""

from __future__ import annotations

import contextlib
import os
import select
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

STUB = b"triton_python_backend_stub"


class Stub(NamedTuple):
    """One instance of a Python model."""

    pid: int
    model: str
    version: int


def stubs_of(server: int) -> list[Stub]:
    """The stubs of a tritonserver that live.

    Args:
        server: its process id, which is that of its process group too.
    """
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(name)
            if os.getpgid(pid) != server:
                continue
            # Empty for one that has ended and waits to be collected. Else: program, path of the model, …
            command = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(STUB):
                version, model = Path(os.fsdecode(command[1])).parts[-2:-4:-1]
                found.append(Stub(pid, model, int(version)))
    return found


class StubWatch:
    """Notices within a moment that a process of a server has ended.

    Nothing is asked for while all live: the kernel tells.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._served: set[tuple[str, int]] = set()
        self._descriptors: dict[int, int] = {}
        self._poll = select.poll()
        self._watch(server)
        self.refresh()

    def wait(self, seconds: float) -> bool:
        """Wait until a watched process ends, at most so long; whether one did."""
        ended = self._poll.poll(seconds * 1000.0)
        for descriptor, _ in ended:
            self._forget(descriptor)
        return bool(ended)

    def refresh(self) -> None:
        """Watch the stubs that were started since: `register` loads models anew."""
        stubs = stubs_of(self._server)
        for stub in stubs:
            if stub.pid not in self._descriptors.values():
                self._watch(stub.pid)
            self._served.add((stub.model, stub.version))

    def missing(self, instances: Callable[[str, int], int]) -> list[tuple[str, int]]:
        """Models and versions with fewer processes than instances.

        Args:
            instances: how many a model's version should have; 0 where it is not served (any more). What it
                raises is raised.
        """
        alive = Counter((stub.model, stub.version) for stub in stubs_of(self._server))
        expected = {served: instances(*served) for served in self._served}
        self._served = {served for served, count in expected.items() if count}
        return [served for served in sorted(self._served) if alive[served] < expected[served]]

    def close(self) -> None:
        """Stop watching."""
        for descriptor in list(self._descriptors):
            self._forget(descriptor)

    def _watch(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            self._descriptors[descriptor] = pid
            self._poll.register(descriptor, select.POLLIN)

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        del self._descriptors[descriptor]
