"""Starting, watching and stopping a real tritonserver."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from endcap_rerank.admin_key import made_admin_key
from endcap_rerank.errors import InvalidInputError

from endcap.triton import exec_child, log
from endcap.triton.installation import Installation, TritonError
from endcap.triton.ports import free_ports, port_is_free, reachable
from endcap.triton.protection import Tls, restrictions
from endcap.triton.traces import Traces

__all__ = ["Launch", "Server", "TritonError", "free_ports", "port_is_free"]

KEPT_LOGS = 10
LOOPBACK = "127.0.0.1"
FOLDER_PREFIX = "endcap-triton-"
_numbers = itertools.count()
Report = Callable[[float, list[str]], None]
"""Called while the server starts: seconds so far, names of the models loaded so far."""


@dataclass(frozen=True)
class Launch:
    """How to serve a repository.

    Attributes:
        repository: what ``endcap register`` wrote; ``repository/models`` is served.
        host: address to listen on; loopback only unless told otherwise.
        http_host: another one for HTTP; empty is ``host``, or loopback where gRPC has TLS: HTTP has none.
        metrics_host: address of the metrics page.
        http_port, grpc_port, metrics_port: 0 takes a free one.
        model_config_name: ``configs/NAME.pbtxt`` is used by the models that have one (``tensorrt``).
        cache_mib: size of the response cache; 0 switches it off.
        restricted: administration needs the key of ``endcap_rerank.admin_key``, made where none is given.
        tls: certificates of gRPC; None serves plain text.
        traces: where traces go; None sends none.
        state: folder of the stores; None is ``repository/state``.
        verbose: the server's log goes to standard error, not into ``repository/logs``.
        load_threads: models loaded at the same time.
        timeout: seconds until the server must be ready.
        exit_timeout: seconds that a stopping server waits for requests in flight and for idle HTTP
            connections that clients hold open.
        extra: further options of tritonserver.
    """

    repository: Path
    host: str = "127.0.0.1"
    http_host: str = ""
    metrics_host: str = "127.0.0.1"
    http_port: int = 0
    grpc_port: int = 0
    metrics_port: int = 0
    model_config_name: str = ""
    cache_mib: int = 64
    restricted: bool = True
    tls: Tls | None = None
    traces: Traces | None = None
    state: Path | None = None
    verbose: bool = False
    load_threads: int = 4
    timeout: float = 120.0
    exit_timeout: int = 10
    extra: tuple[str, ...] = ()

    @property
    def models(self) -> Path:
        """The folder that tritonserver reads."""
        return self.repository / "models"

    def validate(self) -> None:
        """Check what can be checked before a process is started.

        Raises:
            InvalidInputError: names the field.
        """
        if not self.models.is_dir():
            expected = "a repository that `endcap register` or `endcap build` wrote is expected"
            raise InvalidInputError("repository", str(self.repository), expected)
        if self.cache_mib < 0:
            raise InvalidInputError("cache_mib", self.cache_mib, "0 or more is expected")
        if self.tls is not None:
            self.tls.validate()
        if self.traces is not None:
            self.traces.validate()
        given = [port for _, port, _ in self._ports() if port]
        for name, port, host in self._ports():
            if not 0 <= port <= 65_535:
                raise InvalidInputError(
                    name, port, "a port from 1 to 65535, or 0 for a free one, is expected"
                )
            if port and given.count(port) > 1:
                raise InvalidInputError(name, port, "three different ports are expected")
            if port and not port_is_free(host, port):
                raise InvalidInputError(name, port, f"the port is taken on {host}; name another or 0")

    @property
    def http_address(self) -> str:
        """Where HTTP listens."""
        return self.http_host or (LOOPBACK if self.tls is not None else self.host)

    def _ports(self) -> list[tuple[str, int, str]]:
        return [
            ("http_port", self.http_port, self.http_address),
            ("grpc_port", self.grpc_port, self.host),
            ("metrics_port", self.metrics_port, self.metrics_host),
        ]

    def chosen_ports(self) -> tuple[int, int, int]:
        """HTTP, gRPC and metrics port, with free ones in place of 0."""
        free = iter(free_ports(self.host, 3))
        http_port, grpc_port, metrics_port = (port or next(free) for _, port, _ in self._ports())
        return http_port, grpc_port, metrics_port

    @property
    def ports_are_given(self) -> bool:
        """Whether no port is left to choose."""
        return all(port for _, port, _ in self._ports())


class Server:
    """A running tritonserver; a context manager that stops it.

    The server ends with its parent: when the process that started it dies, however it dies, the kernel
    sends SIGTERM. (Where ``start`` is called outside the main thread this is left out: the kernel would
    send it when that thread ends.)
    """

    def __init__(
        self, launch: Launch, process: subprocess.Popen[bytes], ports: tuple[int, int, int], files: _Files
    ) -> None:
        self.launch = launch
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
        launch = Launch(Path(repository).resolve(), **settings)  # type: ignore[arg-type]
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
        files = _Files.make(launch, installation)
        state = launch.state or launch.repository / "state"
        state.mkdir(parents=True, exist_ok=True)
        env = installation.environment(os.environ)
        env["ENDCAP_STATE"] = str(state.resolve())
        options = {
            # Its name tells our server from another one that was quicker to take the port.
            "id": files.shm_prefix,
            "model-repository": launch.models,
            "backend-directory": files.backends,
            # Models are loaded and unloaded when `endcap register` says so, not when a file changes.
            "model-control-mode": "explicit",
            "load-model": "*",
            "strict-readiness": "true",
            # The configs are complete; completing them would start every Python model twice.
            "disable-auto-complete-config": None,
            "exit-timeout-secs": launch.exit_timeout,
            "model-load-thread-count": launch.load_threads,
            "http-address": launch.http_address,
            "grpc-address": launch.host,
            "metrics-address": launch.metrics_host,
            "http-port": ports[0],
            "grpc-port": ports[1],
            "metrics-port": ports[2],
            "backend-config": f"python,shm-region-prefix-name={files.shm_prefix}",
        }
        if launch.model_config_name:
            options["model-config-name"] = launch.model_config_name
        if launch.cache_mib:
            options["cache-config"] = f"local,size={launch.cache_mib << 20}"
        if installation.caches:
            options["cache-directory"] = installation.caches
        command = [str(installation.executable)]
        command += [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
        if launch.tls is not None:
            command += launch.tls.options()
        if launch.traces is not None:
            command += launch.traces.options()
        if launch.restricted:
            for name, argument in restrictions(made_admin_key(launch.repository)).items():
                env[name] = argument
                command.append(f"{exec_child.SECRET}{name}")
        command += launch.extra
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        command = [sys.executable, "-I", "-S", exec_child.__file__, str(parent), *command]
        output: IO[bytes] | None = files.log.open("wb") if files.log else None
        try:
            # A session of its own: Ctrl-C in a terminal reaches us alone, and we pass it on once.
            process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output or sys.stderr.fileno(),
                stderr=output or sys.stderr.fileno(),
                start_new_session=True,
            )
        except BaseException:
            files.remove()
            raise
        finally:
            if output:
                output.close()
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

        Nothing stays behind: no process, no shared memory, no temporary folder. Stopping twice is fine.

        Returns:
            The exit status.
        """
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.launch.exit_timeout + 15.0 if timeout is None else timeout)
        # The stubs are in the server's session; after a kill or a crash they would wait for it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._files.remove()
        return status

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True)
class _Files:
    """What a server leaves outside the repository, and its log."""

    folder: Path
    backends: Path
    log: Path | None
    shm_prefix: str

    @classmethod
    def make(cls, launch: Launch, installation: Installation) -> _Files:
        _remove_orphans()
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        try:
            backends = installation.assemble_backends(folder)
            number = next(_numbers)
            file = None
            if not launch.verbose:
                logs = launch.repository / "logs"
                logs.mkdir(exist_ok=True)
                file = logs / f"triton-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{number}.log"
                for old in sorted(logs.glob("triton-*.log"))[: -KEPT_LOGS + 1]:
                    old.unlink(missing_ok=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # A prefix of its own lets several servers share a machine, and tells whose regions these are.
        return cls(folder, backends, file, f"endcap_{os.getpid()}_{number}_")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for region in Path("/dev/shm").glob(f"{self.shm_prefix}*"):
            region.unlink(missing_ok=True)


def _remove_orphans() -> None:
    """Remove the temporary folders of servers whose parent was killed and could not do it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
