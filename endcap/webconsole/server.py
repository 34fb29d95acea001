"""Serving the console with uvicorn until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from endcap_rerank.errors import EndcapError

from endcap.triton.ports import reachable
from endcap.webconsole.app import console_app
from endcap.webconsole.setup import Setup

STARTING = 20.0
"""Seconds until it must answer."""


@dataclass(frozen=True)
class Running:
    """A console that is being served by a thread of its own."""

    host: str
    port: int
    _thread: threading.Thread

    @property
    def url(self) -> str:
        """Where this machine's browsers find it."""
        return f"http://{reachable(self.host)}:{self.port}"

    def wait(self) -> None:
        """Until it ends, or Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(0.5)


@contextlib.contextmanager
def open_console(setup: Setup, host: str = "127.0.0.1", port: int = 0) -> Iterator[Running]:
    """Serve a console while the block runs.

    Args:
        port: 0 takes a free one.

    Raises:
        EndcapError: nobody can listen there, or the setup cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise EndcapError(f"host: got {host!r}, port {port}; nobody can listen there ({error})") from None
        # Lines of access would hold what was typed: there are none.
        config = uvicorn.Config(
            console_app(setup), log_level="error", access_log=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="console")
        thread.start()
        try:
            deadline = time.monotonic() + STARTING
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise EndcapError("the console did not start; its error is above")
                time.sleep(0.02)
            yield Running(host, listening.getsockname()[1], thread)
        finally:
            server.should_exit = True
            thread.join()
