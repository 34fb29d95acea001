"""Shoppers of a shop, over gRPC and HTTP, for Locust.

Run it from the root of the checkout. Against a server that ``make serve`` keeps up, with Locust's web page::

    locust -f benchmarks/locustfile.py --traffic build/demo/shop

or without it, gRPC only, 50 requests a second for a minute::

    locust -f benchmarks/locustfile.py --traffic build/demo/shop --headless -u 50 -t 60 --rate 50 GrpcShopper
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from endcap_client import Client, EndcapError
from gevent import get_hub
from grpc.experimental.gevent import init_gevent
from locust import User, constant_throughput, events, task

from benchmarks.recording import Recording
from benchmarks.traffic import Traffic, Zipf

# Locust has patched the standard library by now; gRPC waits in C and has to be told before it is used.
init_gevent()

recording = Recording()


@events.init_command_line_parser.add_listener
def add_arguments(parser: Any) -> None:
    parser.add_argument("--grpc-url", default="localhost:8001", help="host:port of the gRPC users")
    parser.add_argument("--http-url", default="localhost:8000", help="host:port of the HTTP users")
    parser.add_argument("--traffic", default="build/demo/shop", help="folder of a shop, or a file of queries")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second of all users together")
    parser.add_argument("--fresh", type=float, default=0.1, help="share of queries that nobody asked before")
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds until a call counts as failed")
    parser.add_argument("--recording", default="", help="file for every latency, as JSON")


@events.init.add_listener
def prepare(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    environment.traffic = Traffic.of_path(Path(options.traffic))
    environment.zipf = Zipf(len(environment.traffic.queries))
    # One client a protocol, as a shop's back end has: both are safe to share.
    environment.clients = {
        "grpc": Client(options.grpc_url, timeout=options.deadline),
        "http": Client(options.http_url, "http", timeout=options.deadline),
    }
    environment.events.request.add_listener(recording.on_request)
    # gevent's clock stood still during the imports; a run time set now would count them.
    get_hub().loop.update_now()


@events.quitting.add_listener
def finish(environment: Any, **_: Any) -> None:
    for client in environment.clients.values():
        client.close()
    if environment.parsed_options.recording:
        recording.write(Path(environment.parsed_options.recording))


class Shopper(User):
    """Searches, looks at what was found, gets recommendations.

    Arrivals are open-loop as long as a user is not still waiting: a slow answer is not an excuse for
    fewer requests. Give enough users (``-u``), so that ``rate / users * latency`` stays well below 1.
    """

    abstract = True
    protocol = ""

    def wait_time(self) -> float:
        return float(self._pace(self))

    def on_start(self) -> None:
        options = self.environment.parsed_options
        self._pace = constant_throughput(options.rate / max(1, options.num_users))
        self.client = self.environment.clients[self.protocol]
        self.traffic = self.environment.traffic
        self.random = random.Random()
        users = self.traffic.users
        self.shopper = self.random.choice(users) if users else f"load-{self.random.randrange(1000)}"
        self.query = ""
        self.seen: list[str] = []
        # Users that start together would send together.
        time.sleep(self.random.random() * max(1, options.num_users) / options.rate)

    @task(8)
    def search(self) -> None:
        query = self.traffic.queries[self.environment.zipf.draw(self.random)]
        if self.random.random() < self.environment.parsed_options.fresh:
            query = f"{query} {self.random.randrange(10**6)}"
        self.query = query
        found = self.timed("search", lambda: self.client.search(query, user=self.shopper, k=20))
        self.seen = found or self.seen

    @task(1)
    def recommend(self) -> None:
        self.query = ""
        found = self.timed("recommend", lambda: self.client.recommend(self.shopper, k=20))
        self.seen = found or self.seen

    @task(1)
    def feedback(self) -> None:
        if not self.seen:
            return
        position = self.random.randrange(len(self.seen))
        event: dict[str, Any] = {
            "user": self.shopper,
            "item": self.seen[position],
            "event": self.random.choices(("click", "cart", "purchase"), (90, 8, 2))[0],
            "position": position,
        }
        if self.query:
            event["query"] = self.query
        self.timed("feedback", lambda: self.client.feedback(event))

    def timed(self, name: str, call: Callable[[], Any]) -> list[str]:
        """Make the call, tell Locust, return the ids of an answer's products."""
        start = time.perf_counter()
        answer: Any = None
        failure: EndcapError | None = None
        try:
            answer = call()
        except EndcapError as error:
            failure = error
        milliseconds = (time.perf_counter() - start) * 1000
        ids: list[str] = getattr(answer, "ids", [])
        self.environment.events.request.fire(
            request_type=self.protocol,
            name=name,
            response_time=milliseconds,
            response_length=len(ids),
            exception=failure,
            context={},
        )
        return ids


class GrpcShopper(Shopper):
    protocol = "grpc"


class HttpShopper(Shopper):
    protocol = "http"
