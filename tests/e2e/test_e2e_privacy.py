"""Planted personal data is in no log, no store and not on the metrics page (`personal_data_hits`)."""

import contextlib
import sqlite3
import time
import urllib.request
from pathlib import Path

import pytest
import tritonclient.grpc
import tritonclient.http
from asking import Raw
from endcap_client import Client
from endcap_export.registry import register
from endcap_rerank.events import open_events
from endcap_rerank.settings import Settings

from benchmarks.reliability.planted import EMAILS, PHONES, USERS, hits, plant, plant_refused
from endcap.launcher import Server


@pytest.fixture(scope="module")
def used(tmp_path_factory, shop_release, shop_products):
    """A repository, its server's metrics page and the items, after a run with planted data."""
    repository = tmp_path_factory.mktemp("private")
    key = tmp_path_factory.mktemp("keys") / "users.key"
    key.write_text("a secret of the shop, not guessable\n")
    register(shop_release.path, repository, precision="fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENDCAP_USER_KEY_FILE", str(key))
        patch.setenv("ENDCAP_SLOW_MS", "1")  # every answer that takes a millisecond is logged
        with Server.start(repository) as server:
            for protocol, url in (("grpc", server.grpc_url), ("http", server.http_url)):
                with Client(url, protocol, timeout=60) as shop:
                    plant(shop, [product.id for product in shop_products])
                    plant_refused(shop)
            _plant_faults(server)
            time.sleep(1.5)
            with urllib.request.urlopen(server.metrics_url, timeout=10) as response:
                page = response.read()
            # While it runs: the write-ahead logs are still there.
            files = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    return repository, key, page, files


def _plant_faults(server):
    """What is refused or fails must not be quoted either."""
    for module, url in ((tritonclient.grpc, server.grpc_url), (tritonclient.http, server.http_url)):
        raw = Raw(module, url)
        for inputs in (
            {"query": f"lamp {EMAILS[0]}", "user": USERS[0], "k": 0},
            {"query": f"lamp {PHONES[0]} " * 60, "user": USERS[0]},
            {"query": "lamp", "user": USERS[1] * 30},
            {"query": "lamp", "user": USERS[0], "options": '{"filters": "planted.alice@example.com"}'},
        ):
            with contextlib.suppress(Exception):
                raw.infer("search", **inputs)
        with contextlib.suppress(Exception):
            raw.infer("feedback", user=USERS[0], item="", event="click", query=EMAILS[0])
        raw.client.close()


def test_no_planted_text_in_logs_stores_and_metrics(used):
    _, _, page, files = used
    names = {path.name for path in files}
    assert {"events.db", "events.db-wal"} <= names
    assert any(path.parent.name == "logs" for path in files)
    assert hits({**files, Path("metrics"): page}) == []


def test_the_scan_finds_what_is_there(used):
    """The same run was stored: masked queries and hashed shoppers, under the same scan."""
    _, _, _, files = used
    stored = b"".join(content for path, content in files.items() if path.name.startswith("events.db"))
    for mark in (b"[email]", b"[phone]", b"[card]", b"hmac:"):
        assert mark in stored
    assert hits({Path("x"): b"mail planted.bob@example.org now"}) == [("x", "planted.bob@example.org")]


def test_slow_and_failed_requests_were_logged(used):
    _, _, _, files = used
    logs = b"".join(content for path, content in files.items() if path.parent.name == "logs")
    assert b"slow" in logs
    assert b"candidates" in logs


def test_the_shop_still_knows_its_shoppers(used):
    repository, key, _, _ = used
    store = open_events(Settings(state=repository / "state", user_key_file=key))
    assert len(store.of_user(USERS[0], 100)) >= 3
    store.close()
    with sqlite3.connect(repository / "state" / "events.db") as connection:
        users = {user for (user,) in connection.execute("SELECT DISTINCT user FROM events")}
    assert len(users) == len(USERS)
    assert all(user.startswith("hmac:") for user in users)
