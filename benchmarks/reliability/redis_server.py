"""A Redis or Valkey server of a benchmark's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

from endcap_rerank.errors import EndcapError

from endcap.triton.ports import free_ports


def find_server() -> str:
    """Path of the server's program.

    Raises:
        EndcapError: neither valkey-server nor redis-server is on PATH.
    """
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            return found
    raise EndcapError("neither valkey-server nor redis-server is on PATH")


class RedisServer:
    """Writes every change to disk before it answers; killed and started again at will.

    Raises:
        EndcapError: neither valkey-server nor redis-server is on PATH, or it does not start.
    """

    def __init__(self, folder: Path) -> None:
        binary = find_server()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (self._port,) = free_ports("127.0.0.1", 1)
        self._command = [binary, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection,
            ):
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        self.kill()
        raise EndcapError((self._folder / "server.log").read_text("utf-8", "replace")[-500:])

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
