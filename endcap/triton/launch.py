"""How a repository is to be served: addresses, ports, protection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from endcap.triton.ports import free_ports, port_is_free
from endcap.triton.protection import Tls
from endcap.triton.traces import Traces

LOOPBACK = "127.0.0.1"


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

    def on_ports(self, ports: tuple[int, int, int]) -> Launch:
        """The same on the ports (HTTP, gRPC, metrics) that were chosen before."""
        http_port, grpc_port, metrics_port = ports
        return replace(self, http_port=http_port, grpc_port=grpc_port, metrics_port=metrics_port)
