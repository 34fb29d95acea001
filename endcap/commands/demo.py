"""``endcap demo``: a generated shop, a trained release, a real server, a tour of its answers."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from endcap.console import console, errors, reports_errors


@reports_errors
def demo(
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Keep the server up instead of a tour; builds what is missing."),
    ] = False,
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    build: Annotated[
        bool | None,
        typer.Option(
            "--build/--no-build",
            help="Train a new release, or use the one that is there. "
            "[default: build; with --serve only when there is none]",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps of the release. [default: about two minutes]")
    ] = None,
) -> None:
    """Make a shop, fine-tune a BERT on it, serve it with Triton, and show what it answers.

    Everything goes to build/demo (build/demo-zh for Chinese). Nothing keeps running afterwards.
    """
    from endcap.demo.place import Place
    from endcap.demo.prepare import STEPS, prepare
    from endcap.demo.story import choose_story

    place = Place.of(language)
    if build if build is not None else not (serve and place.built):
        prepare(console, place, steps=steps or STEPS)
    story = choose_story(place.shop)
    if serve:
        from endcap.commands.serve import serve as keep_serving

        example = f"endcap search {shlex.quote(story.query)} --user {story.shoppers[0].id} --explain"
        console.print(f"when it is ready, try:  {example}", highlight=False, soft_wrap=True)
        console.print("(--server HOST:PORT where gRPC is not on port 8001)", style="dim")
        keep_serving(place.repository)
        return

    from endcap_client import Client
    from endcap_export.registry import RELEASES, current

    from endcap.demo.tour import give_tour
    from endcap.launcher import Server

    with errors.status("starting Triton") as line:

        def report(seconds: float, loaded: list[str]) -> None:
            line.update(f"starting Triton, {seconds:.1f} s: {' '.join(loaded)}")

        server = Server.start(place.repository, report=report)
    with server:
        console.print(f"tritonserver {server.pid} is ready: gRPC {server.grpc_url}, HTTP {server.http_url}\n")
        release = place.repository / RELEASES / current(place.repository).release
        with Client(server.grpc_url) as client:
            give_tour(console, client, story, release)
    console.print("the server is stopped; `make serve` keeps it up")
