"""Locust's web page on a server of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.load_run import LOCUSTFILE
from benchmarks.scratch_server import scratch_server


def serve(
    repository: Path,
    traffic: Path,
    *,
    port: int = 8089,
    workers: int = 1,
    progress: Callable[[str], None] = lambda said: None,
) -> int:
    """Keep a server and Locust's page up until Ctrl-C; Locust's exit status.

    The server's stores are fresh and thrown away.

    Raises:
        EndcapError: no server.
    """
    with scratch_server(repository, name="load") as (server, _, _):
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
        command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
        command += ["--grpc-url", server.grpc_url, "--http-url", server.http_url]
        command += ["--metrics-url", server.metrics_url, "--traffic", str(traffic.resolve())]
        if workers > 1:
            command += ["--processes", str(workers)]
        progress(
            f"http://127.0.0.1:{port} starts and shows the load, /endcap there has the server's part of it"
        )
        progress("Ctrl-C ends it")
        process = subprocess.Popen(command, cwd=LOCUSTFILE.parents[1])
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal told Locust too; it says good-bye by itself.
            return process.wait(30)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
