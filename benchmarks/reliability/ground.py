"""A supervised server of its own on a copy of a repository, watched from outside."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from endcap_rerank.errors import EndcapError

from endcap.triton.ports import port_is_free
from endcap.triton.stubs import Stub, stubs_of

START_SECONDS = 180.0


class Ground:
    """``endcap serve --supervise`` in a process of its own; a context manager that stops it.

    Args:
        repository: served as it lies; its ``state`` is the server's.
        environment: added to that of this process.
        options: further ones of ``endcap serve``.

    Raises:
        EndcapError: it did not become ready; the message holds what it said.
    """

    def __init__(self, repository: Path, environment: Mapping[str, str] | None = None, *options: str) -> None:
        self.repository = repository
        self._said = (repository / "supervisor.log").open("ab")
        command = [sys.executable, "-m", "endcap", "serve", "--supervise", "-r", str(repository)]
        for name, port in zip(("http", "grpc", "metrics"), _ports(), strict=True):
            command += [f"--{name}-port", str(port)]
        command += options
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "COLUMNS": "500", **(environment or {})},
        )
        words = self._ready_line().split()
        self.grpc_url, self.http_url = words[2].rstrip(","), words[4].rstrip(",")
        self.metrics_url = words[6]

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """tritonserver's, 0 while there is none."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            found = [int(word) for word in children.read_text().split()]
        except OSError:
            return 0
        for pid in found:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "tritonserver":
                    return pid
        return 0

    @property
    def stubs(self) -> list[Stub]:
        """The processes of the Python models."""
        pid = self.pid
        return stubs_of(pid) if pid else []

    def memory(self) -> float:
        """MiB that tritonserver and its stubs hold, what they share counted once."""
        pid = self.pid
        total = 0
        for process in [pid, *(stub.pid for stub in stubs_of(pid))] if pid else []:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Keep the server on half of the cores and this process, the callers, on the others.

        On cores that both share, callers five times as many as fit take from the server what they measure.
        """
        cores = sorted(os.sched_getaffinity(0))
        half = len(cores) // 2
        if not half:
            yield
            return
        _keep_on([self.pid, *(stub.pid for stub in self.stubs)], cores[:half])
        _keep_on([os.getpid()], cores[half:])
        try:
            yield
        finally:
            _keep_on([os.getpid(), self.pid, *(stub.pid for stub in self.stubs)], cores)

    def said(self) -> str:
        """What the supervisor has written."""
        return (self.repository / "supervisor.log").read_text("utf-8", "replace")

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Ground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready_line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline().decode() if ready else ""
        if not line.startswith("ready: "):
            self.stop()
            raise EndcapError(f"the server did not become ready: {line}{self.said()[-2000:]}")
        return line


def _keep_on(processes: list[int], cores: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended
            for thread in os.listdir(f"/proc/{process}/task"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(thread), cores)


def _ports() -> list[int]:
    """Three free ports below those that the system gives to callers.

    A caller that tries to reach a port of its own range, while nobody listens there, can be connected to
    itself and so take the port from the server that is started again.
    """
    candidates = random.sample(range(18_000, 32_000), 200)
    return [port for port in candidates if port_is_free("127.0.0.1", port)][:3]


def copied(repository: Path, target: Path) -> Path:
    """A repository of its own without the admin key; what was not served yet has no stores."""
    for name in ("models", "releases", "registry.json"):
        source = repository / name
        if name == "models":
            generation = source.readlink()
            _tree(repository / generation, target / generation)
            (target / name).symlink_to(generation)
        elif source.is_symlink():
            (target / name).symlink_to(source.readlink())
        elif source.is_dir():
            _tree(source, target / name)
    if (repository / "state").is_dir():
        shutil.copytree(repository / "state", target / "state", ignore=shutil.ignore_patterns("admin.key"))
    return target


def _tree(source: Path, target: Path) -> None:
    # Copies and no links: `register` rewrites configs, and a benchmark shall not be able to harm a shop.
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))


def sleep_until(moment: float) -> None:
    """Sleep until a moment of ``time.monotonic``."""
    time.sleep(max(0.0, moment - time.monotonic()))
