"""A peer that runs: started in its environment, waited for, stopped with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from endcap_rerank.errors import EndcapError

from benchmarks.peers.http_load import HttpLoad
from benchmarks.peers.pipeline import FOLDER
from benchmarks.peers.processes import ProcessTree
from benchmarks.peers.sample import LoadError
from benchmarks.peers.systems import Peer
from endcap.launcher import free_ports
from endcap.triton import exec_child

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
ATTEMPTS = 3
"""PyTriton gives its instances one second to greet each other, which a busy machine may need."""
ANSWERS = 8
"""Of each kind, after which a peer counts as started."""

# One thread a worker: there are as many workers as cores, and pools of several would wait for each other.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "BENTOML_DO_NOT_TRACK": "true",
}


class NotStartedError(EndcapError):
    """A peer ended while it started, or did not answer in time; the message holds its last words."""


@contextlib.contextmanager
def running(peer: Peer, binaries: Path, assets: Path, logs: Path) -> Iterator[tuple[HttpLoad, ProcessTree]]:
    """A started peer: a client of it, and its processes.

    Raises:
        NotStartedError: it cannot be started.
    """
    for attempt in range(ATTEMPTS):
        port, second = free_ports("127.0.0.1", 2)
        tree, client = _start(peer, port, second, binaries, assets, logs), HttpLoad(port)
        try:
            _await(peer, client, tree, logs / f"{peer.name}.log")
        except NotStartedError:
            ended = not tree.runs
            client.close()
            tree.stop()
            # One that ended may start the next time; one that hangs has had its time.
            if ended and attempt + 1 < ATTEMPTS:
                continue
            raise
        try:
            yield client, tree
        finally:
            client.close()
            tree.stop()
        return


def _start(peer: Peer, port: int, second: int, binaries: Path, assets: Path, logs: Path) -> ProcessTree:
    program, *arguments = (part.format(port=port, second=second) for part in peer.command)
    # It ends with this process, and with it all that it started.
    command = [sys.executable, "-I", "-S", exec_child.__file__, str(os.getpid()), str(binaries / program)]
    libraries = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    environment = os.environ | ENVIRONMENT | {FOLDER: str(assets.resolve())}
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    environment["PATH"] = os.pathsep.join([str(binaries), os.environ.get("PATH", "")])
    environment["PYTHONPATH"] = str(ROOT)
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{peer.name}.log").open("wb") as log:
        process = psutil.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return ProcessTree(process)


def _await(peer: Peer, client: HttpLoad, tree: ProcessTree, log: Path) -> None:
    """Wait until both kinds of request are answered, by each of the workers as far as can be told.

    Triton answers for one model while it still loads the next.
    """
    began = time.monotonic()
    wanted = [peer.dialect.search("wood screws"), peer.dialect.candidates("wood screws")] * ANSWERS
    while wanted:
        try:
            client.ask(wanted[-1])
            wanted.pop()
            continue
        except (OSError, LoadError) as error:
            client.close()
            why = str(error)
        tree.refresh()
        if not tree.runs:
            raise NotStartedError(f"{peer.name} ended while it started: {_last_words(log)}")
        if time.monotonic() - began > START_SECONDS:
            raise NotStartedError(
                f"{peer.name}: no answer in {START_SECONDS:g} s ({why}): {_last_words(log)}"
            )
        time.sleep(0.25)


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    # Some print a page of addresses below the error.
    errors = [line for line in lines if re.search("error|exception", line, re.IGNORECASE)]
    return (errors or lines or [f"{log} is empty"])[-1][-400:]
