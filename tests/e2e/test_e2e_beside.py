"""Two releases answer on one server, a shopper always gets the same one, and events say which it was."""

import math
import re
import urllib.request

import pytest
from endcap_client import Client, Event, IncompatibleServer, Split, team_draft
from endcap_export.beside import end_beside, serve_beside
from endcap_export.registry import current
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import EVENTS_FILE, SqliteEventStore
from processes import wait_until
from tiny import tiny_products, tiny_release

SHARE = 0.3
SHOPPERS = [f"beside-{number}" for number in range(150)]


@pytest.fixture(scope="module")
def other(server, repository, tmp_path_factory):
    """A release of another encoder and other products, beside the session's own."""
    made = tiny_release(tmp_path_factory.mktemp("other"), tiny_products(80, seed=8), seed=9)
    yield serve_beside(str(made.path), repository, precision="fp32", server=server.grpc_url)
    end_beside(made.id, repository, server=server.grpc_url)


def test_both_releases_answer_and_a_shopper_keeps_hers(server, other, shop, repository):
    main = current(repository).release
    split = Split({other: SHARE}, key="e2e")
    got = {}
    for _ in range(2):
        for shopper in SHOPPERS:
            found = shop.search("red dress", user=shopper, k=3, release=split.release_of(shopper))
            assert len(found) == 3
            assert got.setdefault(shopper, found.release) == found.release
    assert set(got.values()) == {main, other}
    share = sum(release == other for release in got.values()) / len(SHOPPERS)
    assert abs(share - SHARE) < 4 * math.sqrt(SHARE * (1 - SHARE) / len(SHOPPERS))
    assert shop.recommend(k=3, release=other).release == other
    assert shop.similar(shop.search("lamp", release=other).ids[0], release=other).release == other
    assert [one.release for one in shop.search_many(["lamp", "tent"], release=other)] == [other, other]
    with pytest.raises(IncompatibleServer, match="search-absent"):
        shop.search("lamp", release="absent")


def test_events_of_an_interleaved_list_say_whose_product_was_taken(server, other, repository):
    with Client(server.grpc_url) as shop:
        page = team_draft(shop.search("oak chair", k=6), shop.search("oak chair", k=6, release=other), 6)
        shop.feedback(
            Event("drafted", one.item.id, "view", query="oak chair", position=place, release=one.release)
            for place, one in enumerate(page)
        )
    store = SqliteEventStore(repository / "state" / EVENTS_FILE)
    stored = [event for event in store.every() if event.user == "drafted"]
    store.close()
    assert {event.position: event.release for event in stored} == {
        place: one.release for place, one in enumerate(page)
    }
    assert {event.release for event in stored} == {other, current(repository).release}


def test_the_metrics_page_names_both(server, other, repository):
    def served():
        with urllib.request.urlopen(server.metrics_url, timeout=10) as response:
            page = response.read().decode()
        lines = re.findall(
            r'^endcap_release_info\{model="rerank",release="(\S+?)",\S* 1$', page, re.MULTILINE
        )
        return {other, current(repository).release} <= set(lines)

    wait_until(served)


def test_the_current_release_cannot_be_served_beside_itself(server, repository):
    with pytest.raises(InvalidInputError, match="release"):
        serve_beside(current(repository).release, repository)
