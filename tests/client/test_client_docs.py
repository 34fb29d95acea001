"""docs/sdk.md names every argument, method and error of the SDK, and none that it lacks."""

import inspect
import re
from pathlib import Path

import endcap_client
from endcap_client import AsyncClient, Client, EndcapError
from endcap_client.base import BaseClient

PAGE = Path(__file__).parents[2].joinpath("docs", "sdk.md").read_text("utf-8")


def names(section, pattern=r"`(\w+)`?"):
    """What the first cells of a section's table name."""
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(pattern, cell)}


def section(heading):
    return PAGE.split(heading, 1)[1].split("\n## ", 1)[0]


def public(kind):
    return {name for name in vars(kind) if not name.startswith("_")}


def test_every_argument_of_a_client_is_described():
    described = names(section("## Arguments of a client"))
    assert described == set(inspect.signature(BaseClient).parameters)
    for name in described:
        assert f"{name}:" in inspect.getdoc(BaseClient)


def test_both_clients_have_the_described_methods():
    described = names(section("# The SDK"), r"`(\w+)[(`]")
    assert described | {"close"} == public(Client) == public(AsyncClient)
    for name in described - {"servers", "feedback_stream"}:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert ours == theirs, name


def test_every_error_is_described():
    errors = {
        name
        for name in endcap_client.__all__
        if isinstance(member := getattr(endcap_client, name), type) and issubclass(member, EndcapError)
    }
    assert names(section("## Errors")) | {"EndcapError"} == errors
