"""The command line and the environment with which tritonserver is started."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from typing import IO

from endcap_rerank.admin_key import made_admin_key

from endcap.triton import exec_child
from endcap.triton.installation import Installation
from endcap.triton.launch import Launch
from endcap.triton.protection import restrictions
from endcap.triton.server_files import ServerFiles

LEAST_MEMORY = 8 * 2**30
"""An idle server's address space has three GiB of its own, most of it never touched."""


def spawn(
    launch: Launch, installation: Installation, files: ServerFiles, ports: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    """Start tritonserver on ``ports`` (HTTP, gRPC, metrics), in a session and a process group of its own.

    It is not ready when this returns.
    """
    state = launch.state or launch.repository / "state"
    state.mkdir(parents=True, exist_ok=True)
    env = installation.environment(os.environ)
    env["ENDCAP_STATE"] = str(state.resolve())
    command = [str(installation.executable)]
    command += [
        f"--{name}" if value is None else f"--{name}={value}"
        for name, value in _options(launch, installation, files, ports).items()
    ]
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
    output: IO[bytes] | None = files.log.open("wb") if files.log else None
    try:
        # A session of its own: Ctrl-C in a terminal reaches us alone, and we pass it on once.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", exec_child.__file__, str(parent), *command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output or sys.stderr.fileno(),
            stderr=output or sys.stderr.fileno(),
            start_new_session=True,
        )
    finally:
        if output:
            output.close()
    if installation.stubs is not None:  # NVIDIA's own container has limits of its own, and CUDA's memory
        with contextlib.suppress(OSError):  # it has ended already
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory_limit(),) * 2)
    return process


def memory_limit() -> int:
    """Bytes that tritonserver and each Python stub may hold: half of the machine's, at least LEAST_MEMORY.

    A second line behind ``_shapes.c``: a process that asks for too much ends, and a supervisor starts
    it again within seconds; without a limit the kernel ends whatever it likes (docs/security.md).
    """
    return max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2, LEAST_MEMORY)


def _options(
    launch: Launch, installation: Installation, files: ServerFiles, ports: tuple[int, int, int]
) -> dict[str, object]:
    options: dict[str, object] = {
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
    return options
