"""Shoppers of a shop, over gRPC and HTTP, for Locust.

Run it from the root of the checkout. Against a server that ``make serve`` keeps up, with Locust's web page::

    locust -f benchmarks/locustfile.py --traffic build/demo/shop

or without it, gRPC only, five steps up to 50 requests a second in two minutes, from two processes::

    locust -f benchmarks/locustfile.py --traffic build/demo/shop --headless --processes 2 \
        --shape steps --rate 50 --seconds 120 GrpcShopper

``endcap bench load`` starts a server, runs this file and makes a report of its recording.
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path
from typing import Any

import gevent
from endcap_client import Client, EndcapError
from gevent import get_hub
from grpc.experimental.gevent import init_gevent
from locust import LoadTestShape, User, constant, events, runners, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from benchmarks import triton_metrics
from benchmarks.arrivals import SHAPES, Arrivals, Plan
from benchmarks.recording import Recording
from benchmarks.session import Action, Mix, Visits
from benchmarks.traffic import Traffic

K = 20
DRAIN = 1.0
"""Seconds after the plan's end in which what is due but not sent yet may still be sent."""

LATE = 30.0
"""Seconds that workers may be behind the master: a busy machine starts them late."""
# Locust's three seconds would be waited for at the end of each run.
runners.WORKER_REPORT_INTERVAL = 1.0

recording = Recording()
progress: dict[str, tuple[float, int]] = {}
"""Of each worker: seconds of its run so far, requests in flight."""


class NotSent(EndcapError):
    """The request was due, but every user still waited for an answer: the server is behind, or users few."""


@events.init_command_line_parser.add_listener
def add_arguments(parser: Any) -> None:
    mix = Mix()
    parser.add_argument("--grpc-url", default="localhost:8001", help="host:port of the gRPC users")
    parser.add_argument("--http-url", default="localhost:8000", help="host:port of the HTTP users")
    parser.add_argument("--metrics-url", default="", help="URL of Triton's metrics, read once a second")
    parser.add_argument("--traffic", default="build/demo/shop", help="folder of a shop, or a file of queries")
    parser.add_argument("--shape", default="steady", choices=SHAPES, help="how the rate changes")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second, all processes together")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, without the warm-up")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before that; counted nowhere")
    parser.add_argument("--concurrency", type=int, default=64, help="requests in flight at most")
    parser.add_argument("--fresh", type=float, default=mix.fresh, help="share of never-seen queries")
    parser.add_argument("--clicks", type=float, default=mix.clicks, help="share of lists that are clicked")
    parser.add_argument("--updates", type=float, default=mix.updates, help="share of catalogue updates")
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds until a call counts as failed")
    parser.add_argument("--recording", default="", help="file for every request, as JSON")
    parser.add_argument(
        "--generators", type=int, default=1, include_in_web_ui=False, help="set by the master"
    )


@events.init.add_listener
def prepare(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    environment.traffic = Traffic.of_path(Path(options.traffic))
    if isinstance(environment.runner, MasterRunner):
        environment.events.worker_report.add_listener(_hear)
        environment.clients = {}
    else:
        # Locust has patched the standard library; gRPC waits in C and has to be told before it is used, but
        # after the workers of --processes were forked.
        init_gevent()
        # One client a protocol, as a shop's back end has: both are safe to share.
        environment.clients = {
            "grpc": Client(options.grpc_url, timeout=options.deadline),
            "http": Client(options.http_url, "http", timeout=options.deadline),
        }
        environment.events.request.add_listener(recording.on_request)
    if environment.web_ui:
        environment.web_ui.app.add_url_rule(
            "/endcap", "endcap", lambda: _page_so_far(environment.parsed_options)
        )
    if isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(
            lambda data, **_: data.update(endcap=recording.take(), endcap_progress=_progress(environment))
        )
    elif options.metrics_url:
        gevent.spawn(_read_metrics, environment, options.metrics_url)
    # gevent's clock stood still during the imports; a run time set now would count them.
    get_hub().loop.update_now()


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    environment.began, recording.began = time.monotonic(), time.time()
    environment.in_flight = 0
    progress.clear()
    if isinstance(environment.runner, MasterRunner):
        # Sent to the workers with the order to start.
        options.generators = environment.runner.worker_count
    if not isinstance(environment.runner, WorkerRunner):
        # A run that was started from the web page before this one.
        recording.clear()
    environment.arrivals = Arrivals(_plan(options), lambda: _now(environment), share=1 / options.generators)


@events.test_stop.add_listener
def count_unsent(environment: Any, **_: Any) -> None:
    """What was due and not sent counts as failed: a run that leaves it out looks better than it was."""
    if isinstance(environment.runner, MasterRunner):
        return
    now = _now(environment)
    while (due := environment.arrivals.next()) is not None and due < now:
        _tell(environment, "none", "any", due, now, NotSent("no user was free in time"))


@events.quitting.add_listener
def finish(environment: Any, **_: Any) -> None:
    for client in environment.clients.values():
        client.close()
    if environment.parsed_options.recording and not isinstance(environment.runner, WorkerRunner):
        recording.write(Path(environment.parsed_options.recording))


class PlannedLoad(LoadTestShape):
    """Keeps all users there until the plan is over and what is in flight has ended.

    The rate is in the arrivals.
    """

    def tick(self) -> tuple[int, float] | None:
        environment = self.runner.environment
        options = environment.parsed_options
        end = _end(options)
        if isinstance(self.runner, MasterRunner):
            told = [progress.get(client.id, (0.0, 0)) for client in self.runner.clients.all]
        else:
            told = [_progress(environment)]
        # Before its own end the master may still have what workers said of an earlier run.
        run_time = self.get_run_time()
        over = run_time > end and all(seconds > end and not in_flight for seconds, in_flight in told)
        if over or run_time > end + options.deadline + LATE:
            return None
        return options.concurrency, float(options.concurrency)


class Shopper(User):
    """Takes the next request that is due, sleeps until then, plays the next step of its visit.

    Users are no shoppers: a shopper's visit is played by one of them, and their number only bounds what is in
    flight. Latency is counted from when the request was due.
    """

    abstract = True
    protocol = ""
    wait_time = constant(0)

    def on_start(self) -> None:
        options = self.environment.parsed_options
        self.client = self.environment.clients[self.protocol]
        mix = Mix(options.fresh, options.clicks, options.updates)
        self.visits = Visits(self.environment.traffic, mix, random.Random())

    @task
    def next_request(self) -> None:
        if _now(self.environment) > _end(self.environment.parsed_options):
            raise StopUser
        due = self.environment.arrivals.next()
        if due is None:
            raise StopUser
        wait = due - _now(self.environment)
        if wait > 0:
            gevent.sleep(wait)
        action = self.visits.next()
        sent = _now(self.environment)
        failure: EndcapError | None = None
        found: list[str] = []
        self.environment.in_flight += 1
        try:
            found = self.perform(action)
        except EndcapError as error:
            failure = error
        finally:
            self.environment.in_flight -= 1
        self.visits.saw(found)
        # A request that was due and waited for a user has its queueing counted.
        _tell(self.environment, self.protocol, action.call, due, sent, failure, len(found))

    def perform(self, action: Action) -> list[str]:
        """Make the call; the ids of an answer's products."""
        if action.call == "search":
            return self.client.search(action.query, user=action.user, k=K).ids
        if action.call == "recommend":
            return self.client.recommend(action.user, k=K).ids
        if action.call == "feedback":
            self.client.feedback(action.document)
        else:
            self.client.upsert(action.document)
        return []


class GrpcShopper(Shopper):
    protocol = "grpc"


class HttpShopper(Shopper):
    protocol = "http"


def _plan(options: Any) -> Plan:
    return Plan.of_shape(options.shape, options.rate, options.seconds, options.warm_up)


def _page_so_far(options: Any) -> str:
    """The page of ``endcap bench load`` about the run that is going on, or the last one."""
    from benchmarks.load import as_report
    from benchmarks.load_page import page
    from benchmarks.load_run import Load, LoadError, Run
    from benchmarks.load_series import by_phase, by_time

    load = Load(
        shape=options.shape,
        rate=options.rate,
        seconds=options.seconds,
        warm_up=options.warm_up,
        users=options.concurrency,
        workers=options.generators,
        mix=Mix(options.fresh, options.clicks, options.updates),
    )
    try:
        run = Run.of_document(load, recording.document())
    except LoadError:
        return "<p>No request yet: start a run on <a href='/'>Locust's page</a>.</p>"
    return page(as_report(run), run=run, pieces=by_time(run), points=by_phase(run))


def _end(options: Any) -> float:
    return _plan(options).seconds + DRAIN


def _progress(environment: Any) -> tuple[float, int]:
    return (_now(environment), environment.in_flight) if hasattr(environment, "began") else (0.0, 0)


def _hear(client_id: str, data: dict[str, Any]) -> None:
    """What a worker told the master."""
    recording.add(data.pop("endcap"))
    seconds, in_flight = data.pop("endcap_progress")
    progress[client_id] = (seconds, in_flight)


def _now(environment: Any) -> float:
    return time.monotonic() - environment.began


def _tell(
    environment: Any,
    protocol: str,
    call: str,
    due: float,
    sent: float,
    failure: EndcapError | None,
    length: int = 0,
) -> None:
    environment.events.request.fire(
        request_type=protocol,
        name=call,
        response_time=1000 * (_now(environment) - due),
        response_length=length,
        exception=failure,
        context={"due": due, "lag": 1000 * (sent - due)},
    )


def _read_metrics(environment: Any, url: str) -> None:
    while True:
        if hasattr(environment, "began"):
            # A server that is down shows in the requests; its page comes back with it.
            with contextlib.suppress(OSError):
                recording.server.append((_now(environment), triton_metrics.read(url)))
        gevent.sleep(1.0)
