"""``endcap console``: a web page on a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.console import console as terminal
from endcap.console import errors, reports_errors

USUAL_PORT = 8008


@reports_errors
def console(
    server: Annotated[str, typer.Option(help="host:port of gRPC, or http://host:port.")] = "localhost:8001",
    other_server: Annotated[
        str | None, typer.Option(help="A second server to compare with, e.g. one with another release.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Its metrics page. [default: port 8002 of the server's host]")
    ] = None,
    other_metrics: Annotated[str | None, typer.Option(help="That of the other server.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", "-q", help="What suggestions come from: a shop's folder, or a file of queries."
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Whose shoppers are offered. [default: the events of the folder of --queries]"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="8008 if it is free, else a free one; 0: any.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Deadline of a call to a server, in seconds.")] = 5.0,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypted connections to the servers.")] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(help="The same, trusting this authority (PEM) alone.")
    ] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option(help="Load product pictures of this origin, e.g. https://images.shop.example."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="en or zh, until someone switches. [default: the browser's]")
    ] = None,
    query: Annotated[str, typer.Option(help="What the page asks first. [default: recommendations]")] = "",
    screenshots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photograph the page for the docs in Chromium, and end."),
    ] = None,
) -> None:
    """Look at a running server in a browser: search as any shopper, compare two settings, watch the traffic.

    A key that the servers want is read from ENDCAP_API_KEY, or from the file ENDCAP_API_KEY_FILE. The page
    itself has no login: whoever reaches its port can search and send events.
    """
    from endcap_client import Tls
    from endcap_rerank.errors import EndcapError, InvalidInputError

    from endcap.triton.ports import port_is_free, reachable

    try:
        from endcap.webconsole.server import open_console
    except ModuleNotFoundError as missing:
        raise EndcapError(f"the console needs {missing.name}: pip install 'endcap[console]'") from None
    from endcap.webconsole.query_log import QueryLog
    from endcap.webconsole.setup import LANGUAGES, ServerAddress, Setup, allowed_hosts, api_key, origin
    from endcap.webconsole.shoppers import events_file, read_shoppers

    if language not in (None, *LANGUAGES):
        raise InvalidInputError("language", language, f"one of {', '.join(LANGUAGES)} is expected")
    servers = [ServerAddress.of(server, metrics)]
    if other_server is not None:
        servers.append(ServerAddress.of(other_server, other_metrics, prefix="other_"))
    if servers[0].protocol != servers[-1].protocol and (tls or tls_ca):
        raise InvalidInputError("tls", "two protocols", "with TLS both servers must speak gRPC")
    log = events or (events_file(queries) if queries is not None and queries.is_dir() else None)
    setup = Setup(
        tuple(servers),
        QueryLog() if queries is None else QueryLog.read(queries),
        () if log is None else read_shoppers(log),
        timeout,
        api_key(),
        Tls(ca=tls_ca) if tls or tls_ca else None,
        tuple(map(origin, pictures or ())),
        allowed_hosts(host),
        language,
        query,
    )
    if port is None:
        port = USUAL_PORT if port_is_free(host, USUAL_PORT) else 0
    elif port and not port_is_free(host, port):
        raise InvalidInputError("port", port, f"the port is taken on {host}; name another or 0")
    with open_console(setup, host, port) as running:
        if screenshots is not None:
            from endcap.webconsole.screenshots import photograph

            shopper = setup.shoppers[0].id if setup.shoppers else ""
            for file in photograph(running.url, screenshots, language or "en", shopper):
                terminal.print(f"{file}: {file.stat().st_size / 1024:.0f} KiB", highlight=False)
            return
        address = f"http://{reachable(host)}:{running.port}"
        terminal.print(f"console: {address}", highlight=False, soft_wrap=True)
        if setup.hosts == ("*",):
            errors.print(
                f"{host} is open to other machines, and the page has no login",
                style="yellow",
                highlight=False,
            )
        running.wait()
    terminal.print("stopped", highlight=False)
