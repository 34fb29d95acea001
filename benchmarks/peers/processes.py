"""A server's processes: their processor time together, and their end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import psutil


class ProcessTree:
    """A process and all that it and its children ever started, also what has left its parent since."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._known: dict[tuple[int, float], psutil.Process] = {}
        self.refresh()

    def refresh(self) -> list[psutil.Process]:
        """Look for new processes; those that live."""
        for process in [self._root, *self._known.values()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                for each in [process, *process.children(recursive=True)]:
                    self._known.setdefault((each.pid, each.create_time()), each)
        self._known = {key: each for key, each in self._known.items() if each.is_running()}
        return list(self._known.values())

    @property
    def runs(self) -> bool:
        """Whether the first process still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE)
        return False

    def seconds(self, label: Callable[[psutil.Process], str] = lambda process: "") -> dict[str, float]:
        """Processor seconds by label, user and system, so far.

        What a process has waited for counts with it: its children that have ended.
        """
        found: dict[str, float] = {}
        for process in self.refresh():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                spent = times.user + times.system + times.children_user + times.children_system
                name = label(process)
                found[name] = found.get(name, 0.0) + spent
        return found

    def total(self) -> float:
        """Processor seconds of all together."""
        return sum(self.seconds().values())

    def memory_mib(self) -> float:
        """Memory of all together; pages that several share count once (PSS)."""
        total = 0
        for process in self.refresh():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
        return total / 2**20

    def stop(self, patience: float = 10.0) -> None:
        """Ask the first to end, then end what is left. Only processes of this tree are touched."""
        self.refresh()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._root.terminate()
        psutil.wait_procs([self._root], timeout=patience)
        left = self.refresh()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
