"""``endcap serve``: run tritonserver on a repository until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.console import console, errors, reports_errors

USUAL_PORTS = (8000, 8001, 8002)


@reports_errors
def serve(
    repository: Annotated[
        Path, typer.Option("--repository", "-r", help="What `endcap register` or `endcap build` wrote.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of them.")] = "127.0.0.1",
    http_port: Annotated[
        int | None, typer.Option(help="8000 if it is free, else a free one; 0: any.")
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="8001 if it is free, else a free one; 0: any.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="8002 if it is free, else a free one; 0: any.")
    ] = None,
    http_address: Annotated[
        str,
        typer.Option(help="Address of HTTP, which has no TLS. [default: HOST; 127.0.0.1 with --tls-cert]"),
    ] = "",
    metrics_address: Annotated[str, typer.Option(help="Address of the metrics page.")] = "127.0.0.1",
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM) of gRPC.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Mutual TLS: callers need a certificate that this one (PEM) signed.")
    ] = None,
    open_admin: Annotated[
        bool, typer.Option(help="Administration without a key: who reaches a port may load models.")
    ] = False,
    otlp: Annotated[
        str, typer.Option(help="OpenTelemetry collector for traces, e.g. http://localhost:4318/v1/traces.")
    ] = "",
    trace_rate: Annotated[int, typer.Option(help="One request in so many is traced.")] = 1000,
    model_config_name: Annotated[
        str, typer.Option(help="Use configs/NAME.pbtxt where a model has one, e.g. tensorrt.")
    ] = "",
    cache_mib: Annotated[int, typer.Option(help="Response cache of `encode` in MiB; 0 for none.")] = 64,
    state: Annotated[
        Path | None, typer.Option(help="Shoppers' events and catalogue changes. [default: REPOSITORY/state]")
    ] = None,
    supervise: Annotated[
        bool, typer.Option(help="Start the server again when it, or one of its models' processes, has died.")
    ] = False,
    load_threads: Annotated[int, typer.Option(help="Models loaded at the same time.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds until the server must be ready.")] = 120.0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log to standard error, not into REPOSITORY/logs.")
    ] = False,
    triton_options: Annotated[
        list[str] | None, typer.Argument(help="Further options of tritonserver, after --.")
    ] = None,
) -> None:
    """Serve a repository with tritonserver; Ctrl-C or SIGTERM lets it finish and stops it.

    Uses the tritonserver on PATH (NVIDIA's container), else the one in the nvidia-pytriton wheel.
    Every file of the release is first held against its checksum, about a second for 200 MB. When one differs,
    the release before is registered again and served. When there is none, or a model fails to load (Triton's
    own error is shown), the exit status is 1. Administration needs the key of ENDCAP_ADMIN_KEY or
    ENDCAP_ADMIN_KEY_FILE, else of REPOSITORY/state/admin.key, which is made.
    """
    from endcap_export.sound import sound_release

    from endcap.launcher import LOOPBACK, Launch, Server, TritonError, port_is_free
    from endcap.stopping import Stopping
    from endcap.supervisor import Supervisor
    from endcap.triton.installation import Installation
    from endcap.triton.protection import Tls
    from endcap.triton.traces import Traces

    def say(sentence: str) -> None:
        errors.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)

    tls = Tls.of(tls_cert, tls_key, tls_ca)
    hosts = (http_address or (LOOPBACK if tls else host), host, metrics_address)
    ports = [
        (usual if port_is_free(address, usual) else 0) if port is None else port
        for address, port, usual in zip(hosts, (http_port, grpc_port, metrics_port), USUAL_PORTS, strict=True)
    ]
    launch = Launch(
        repository.resolve(),
        host=host,
        http_host=hosts[0],
        metrics_host=metrics_address,
        restricted=not open_admin,
        tls=tls,
        traces=Traces(otlp, trace_rate) if otlp else None,
        http_port=ports[0],
        grpc_port=ports[1],
        metrics_port=ports[2],
        model_config_name=model_config_name,
        cache_mib=cache_mib,
        state=state,
        load_threads=load_threads,
        timeout=timeout,
        verbose=verbose,
        extra=tuple(triton_options or ()),
    )
    stopping = Stopping()

    def started(launch: Launch, verify: bool = True) -> Server:
        with errors.status("holding the release against its checksums") as line:
            if verify:
                sound_release(repository, say)
            stopping.check()
            line.update("starting Triton")

            def report(seconds: float, loaded: list[str]) -> None:
                stopping.check()
                models = f", loaded: {' '.join(loaded)}" if loaded else ""
                line.update(f"starting Triton, {seconds:.1f} s{models}")

            return Server.launched(launch, report)

    def started_again(before: Server, careful: bool) -> Server:
        stopping.server = started(before.launch.on_ports(before.ports), careful)
        show(stopping.server)
        return stopping.server

    def show(server: Server) -> None:
        if server.log:
            console.print(f"log: {server.log}", highlight=False, soft_wrap=True)

    if Installation.find().unguarded:
        say(
            "no C compiler was there when endcap was installed: a request with an impossible shape can end "
            "this server's processes (docs/security.md); install one, then endcap again"
        )
    with stopping.caught():
        server = stopping.server = started(launch)
        status = None
        try:
            console.print(
                f"ready: gRPC {server.grpc_url}, HTTP {server.http_url}, metrics {server.metrics_url}",
                highlight=False,
                soft_wrap=True,
            )
            show(server)
            stopping.check()
            if supervise:
                Supervisor(server, started_again, say=say, stopping=lambda: stopping.asked).run()
                stopping.server.wait()
            else:
                status = server.wait()
        finally:
            stopping.server.stop()
    if status is not None and not stopping.asked:
        where = f"; see {server.log}" if server.log else ""
        raise TritonError(f"tritonserver ended by itself with status {status}{where}")
    console.print("stopped", highlight=False)
