"""What a live server's metrics page says about the requests it answered."""

import json
import re
import time
import urllib.request

import pytest
from endcap_client import Event
from endcap_rerank.metrics import FAMILIES, exposed_names
from processes import wait_until

_LINE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Page:
    """One reading of the metrics page."""

    def __init__(self, server):
        with urllib.request.urlopen(server.metrics_url, timeout=10) as response:
            self.text = response.read().decode()
        self.lines = {}
        for line in self.text.splitlines():
            if match := _LINE.match(line):
                labels = frozenset(_LABEL.findall(match["labels"] or ""))
                self.lines[match["name"], labels] = float(match["value"])

    def value(self, name, **labels):
        """The line that has exactly these labels; 0 where there is none."""
        return self.lines.get((name, frozenset(labels.items())), 0.0)

    def names(self):
        return {name for name, _ in self.lines}


@pytest.fixture
def counted(server):
    """Runs something and returns what it added to each asked line, once all of it has arrived."""

    def measure(act, name, expected, **labels):
        # What the tests before this one asked for arrives within a second and a half.
        time.sleep(2.0)
        before = Page(server).value(name, **labels)
        act()
        wait_until(lambda: Page(server).value(name, **labels) - before >= expected)
        return Page(server).value(name, **labels) - before

    return measure


def test_every_family_is_on_the_page_from_the_start(server):
    names = Page(server).names()
    for model in FAMILIES:
        assert exposed_names(model) <= names


def test_a_search_is_counted_once_in_every_stage(server, counted, shop):
    added = counted(
        lambda: [shop.search("red dress", k=5) for _ in range(3)],
        "endcap_stage_milliseconds_count",
        3,
        model="rerank",
        stage="whole",
    )
    assert added == 3


def test_a_list_that_was_answered_before_is_counted_like_the_first(server, counted, shop):
    """Of three searches at least one meets an instance that knows the answer, or all do."""
    before = Page(server).value("endcap_list_diversity_count", model="rerank")
    repeated = counted(
        lambda: [shop.search("walnut desk", k=6) for _ in range(3)],
        "endcap_repeated_total",
        1,
        model="rerank",
    )
    assert repeated in (1, 2, 3)
    wait_until(lambda: Page(server).value("endcap_list_diversity_count", model="rerank") >= before + 3)


def test_buckets_add_up(server, shop):
    shop.search("oak chair", k=7)
    time.sleep(2.0)
    page = Page(server)
    for stage in ("retrieve", "rank", "diversify", "answer", "whole"):
        lines = sorted(
            (float(dict(labels)["le"]), value)
            for (name, labels), value in page.lines.items()
            if name == "endcap_stage_milliseconds_bucket"
            and {("stage", stage), ("model", "rerank")} <= labels
        )
        values = [value for _, value in lines]
        assert values == sorted(values)
        count = page.value("endcap_stage_milliseconds_count", model="rerank", stage=stage)
        assert values[-1] == count > 0
        assert page.value("endcap_stage_milliseconds_sum", model="rerank", stage=stage) > 0


def test_lists_are_told_apart(server, counted, shop):
    def search(**asked):
        return lambda: shop.search("lamp", k=5, **asked)

    for name, act in {
        "endcap_answered_total": search(),
        "endcap_filtered_total": search(filters={"price_max": 100}),
        "endcap_cold_total": search(user="nobody-yet"),
        "endcap_empty_total": search(filters={"brand": "no such brand"}),
        "endcap_list_diversity_count": search(),
        "endcap_list_brand_entropy_count": search(),
        "endcap_candidates_count": search(),
    }.items():
        assert counted(act, name, 1, model="rerank") == 1, name


def test_a_known_shopper_is_personalized_and_not_cold(server, counted, shop):
    item = shop.search("red dress", k=1).ids[0]
    stored = counted(
        lambda: shop.feedback(Event("m-known", item, "click")),
        "endcap_events_total",
        1,
        model="feedback",
        event="click",
    )
    assert stored == 1
    before = Page(server).value("endcap_cold_total", model="rerank")
    act = lambda: shop.search("dress", user="m-known", k=3)  # noqa: E731
    assert counted(act, "endcap_personalized_total", 1, model="rerank") == 1
    assert Page(server).value("endcap_cold_total", model="rerank") == before


def test_recommendations_are_counted_apart(server, counted, shop):
    assert counted(lambda: shop.recommend(k=3), "endcap_answered_total", 1, model="recommend") == 1


def test_lag_of_feedback(server, counted, shop, shop_products):
    old = Event("m-late", shop_products[0].id, "view", timestamp=time.time() - 7200)
    assert (
        counted(lambda: shop.feedback(old), "endcap_feedback_lag_seconds_sum", 7000, model="feedback") < 7300
    )


def test_masked_queries_are_counted(server, counted, shop, shop_products):
    event = Event("m-mask", shop_products[0].id, "view", query="tent for bob@example.com")
    assert counted(lambda: shop.feedback(event), "endcap_masked_total", 1, model="feedback") == 1


def test_faults_are_counted_by_whose_they_are(server, counted, grpc):
    def wrong():
        with pytest.raises(Exception, match="k: got"):
            grpc.infer("search", query="lamp", k=0)

    assert counted(wrong, "endcap_failed_total", 1, model="rerank", code="invalid") == 1


def test_changes_of_the_catalogue(server, counted, grpc):
    document = json.dumps({"id": "m-1", "title": "metric ruler"})
    for operation, doc in (("upsert", document), ("delete", json.dumps({"id": "m-1"}))):
        added = counted(
            lambda operation=operation, doc=doc: grpc.infer("catalog", operation=operation, document=doc),
            "endcap_catalog_changes_total",
            1,
            model="catalog",
            operation=operation,
        )
        assert added == 1
    changed = Page(server).value("endcap_catalog_changed_timestamp_seconds", model="catalog")
    assert abs(changed - time.time()) < 60


def test_release_and_its_age(server, shop_release):
    page = Page(server)
    for model in FAMILIES:
        assert page.value("endcap_release_info", model=model, version="1", release=shop_release.id) == 1
        made = page.value("endcap_release_timestamp_seconds", model=model)
        assert 0 <= time.time() - made < 24 * 3600


def test_labels_have_closed_sets_of_values(server):
    """A label that could hold a shopper or a query would grow without bound, and tell."""
    allowed = {"model": set(FAMILIES), "version": None, "release": None, "le": None}
    for families in FAMILIES.values():
        for family in families:
            if family.label:
                allowed.setdefault(family.label, set()).update(family.values)
    for name, labels in Page(server).lines:
        if name.startswith("endcap_"):
            for label, value in labels:
                assert label in allowed, label
                assert allowed[label] is None or value in allowed[label], (label, value)
