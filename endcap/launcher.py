"""Starting, watching and stopping a real tritonserver."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from endcap.triton import log
from endcap.triton.command import spawn
from endcap.triton.installation import Installation, TritonError
from endcap.triton.launch import LOOPBACK, Launch
from endcap.triton.ports import free_ports, port_is_free, reachable
from endcap.triton.server_files import ServerFiles

__all__ = ["LOOPBACK", "Launch", "Server", "TritonError", "free_ports", "port_is_free"]

Report = Callable[[float, list[str]], None]
"""Called while the server starts: seconds so far, names of the models loaded so far."""


class Server:
    """A running tritonserver; a context manager that stops it.

    The server ends with its parent: when the process that started it dies, however it dies, the kernel
    sends SIGTERM. (Where ``start`` is called outside the main thread this is left out: the kernel would
    send it when that thread ends.) Its Python stubs end with it, however it dies.
    """

    def __init__(
        self,
        launch: Launch,
        process: subprocess.Popen[bytes],
        ports: tuple[int, int, int],
        files: ServerFiles,
    ) -> None:
        self.launch = launch
        self.ports = ports
        """HTTP, gRPC and metrics."""
        self.http_url = f"{reachable(launch.http_address)}:{ports[0]}"
        """``host:port`` as ``tritonclient.http`` takes it."""
        self.grpc_url = f"{reachable(launch.host)}:{ports[1]}"
        """``host:port`` as ``tritonclient.grpc`` takes it."""
        self.metrics_url = f"http://{reachable(launch.metrics_host)}:{ports[2]}/metrics"
        self.log = files.log
        """The log file; None when it goes to standard error."""
        self._process = process
        self._files = files

    @classmethod
    def start(cls, repository: Path, *, report: Report | None = None, **settings: object) -> Server:
        """Start a server and wait until it is ready.

        Args:
            repository: what ``endcap register`` wrote.
            report: told how far the start has come, a few times a second.
            settings: further fields of ``Launch``.

        Raises:
            InvalidInputError: a setting cannot be used, a given port is taken.
            TritonError: no tritonserver, a model failed to load, or it was not ready in time.
        """
        return cls.launched(Launch(Path(repository).resolve(), **settings), report)  # type: ignore[arg-type]

    @classmethod
    def launched(cls, launch: Launch, report: Report | None = None) -> Server:
        """As ``start``."""
        launch.validate()
        installation = Installation.find()
        attempts = 1 if launch.ports_are_given else 3
        for attempt in range(attempts):
            server = cls._spawn(launch, installation)
            try:
                server._await_ready(report)
            except TritonError as error:
                server.stop()
                # A free port can be taken by another process before Triton binds it: choose again.
                if attempt + 1 < attempts and log.port_taken(str(error)):
                    continue
                raise
            except BaseException:
                server.stop()
                raise
            return server
        raise AssertionError("unreachable")

    @classmethod
    def _spawn(cls, launch: Launch, installation: Installation) -> Server:
        ports = launch.chosen_ports()
        files = ServerFiles.make(launch, installation)
        try:
            process = spawn(launch, installation, files, ports)
        except BaseException:
            files.remove()
            raise
        return cls(launch, process, ports, files)

    @property
    def pid(self) -> int:
        """Process id of tritonserver."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    def ready(self) -> bool:
        """Whether this server answers and all its models are ready."""
        return self._get("/v2/health/ready") is not None

    def _is_ours(self) -> bool:
        answer = self._get("/v2")
        return answer is not None and json.loads(answer).get("name") == self._files.shm_prefix

    def _get(self, path: str) -> bytes | None:
        """The body of an answer with status 200."""
        host, _, port = self.http_url.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            return body if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _await_ready(self, report: Report | None) -> None:
        began = time.monotonic()
        while not (self.ready() and self._is_ours()):
            elapsed = time.monotonic() - began
            text = log.read(self.log) if self.log else ""
            if not self.running:
                said = log.failure(text) or "its log is above"
                raise TritonError(f"tritonserver ended with status {self._process.returncode}\n{said}")
            if elapsed > self.launch.timeout:
                said = log.failure(text) or "its log is above"
                raise TritonError(f"tritonserver was not ready in {self.launch.timeout:g} s\n{said}")
            if report:
                report(elapsed, log.loaded_models(text))
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait until the process ends; its exit status (negative: the signal that ended it)."""
        return self._process.wait()

    def send_signal(self, number: int) -> None:
        """Pass a signal on; SIGINT and SIGTERM let the server finish what it has begun and end."""
        self._process.send_signal(number)

    def stop(self, timeout: float | None = None) -> int:
        """Stop the server and wait; after ``timeout`` seconds it is killed, its Python stubs too.

        Left out, ``timeout`` is what Triton itself takes at most: ``exit_timeout``, and the time to unload.
        0 kills it at once.

        Nothing stays behind: no process, no shared memory, no temporary folder. Stopping twice is fine.

        Returns:
            The exit status.
        """
        if self.running and timeout != 0.0:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.launch.exit_timeout + 15.0 if timeout is None else timeout)
        # The stubs are in the server's session; after a kill or a crash they would wait for it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._collect_orphans()
        self._files.remove()
        return status

    def _collect_orphans(self) -> None:
        """Where we are a container's first process, the stubs of a killed server have become our children."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self._process.pid, 0):
                pass

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
