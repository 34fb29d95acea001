"""Shoppers of servers that are wrong in different ways; run by ``test_load_locust.py``."""

import json
from pathlib import Path

from endcap_client import Client, Tls
from locust import events

from benchmarks.locustfile import PlannedLoad, Shopper

__all__ = ["PlannedLoad"]


@events.init_command_line_parser.add_listener
def add_arguments(parser):
    parser.add_argument("--faults", default="", help="JSON file: name → address")


@events.init.add_listener
def point_elsewhere(environment, **_):
    at = json.loads(Path(environment.parsed_options.faults).read_text("utf-8"))
    # Without retries and without a breaker, which would call a server that failed five times unavailable.
    always = {"retries": 0, "breaker_failures": 10**6}
    names = ("unreachable", "wrong-port", "wrong-key", "other-version")
    environment.clients |= {name: Client(at[name], **always) for name in names}
    environment.clients["slow"] = Client(at["slow"], timeout=0.3, **always)
    environment.clients["expired"] = Client(at["expired"], tls=Tls(ca=at["ca"]), **always)
    environment.clients["malformed"] = environment.clients["grpc"]


class Unreachable(Shopper):
    protocol = "unreachable"


class WrongPort(Shopper):
    protocol = "wrong-port"


class WrongKey(Shopper):
    protocol = "wrong-key"


class OtherVersion(Shopper):
    protocol = "other-version"


class Slow(Shopper):
    protocol = "slow"


class Expired(Shopper):
    protocol = "expired"


class Malformed(Shopper):
    protocol = "malformed"

    def perform(self, action):
        return self.client.search("red tent", filters={"price_min": "cheap"}).ids
