"""Products for older shoppers: out of every list without a stated age, wherever the product lies."""

import json
from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.affinities import affinities_path, write_affinities
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event
from endcap_rerank.filters import Filters
from endcap_rerank.index import Index, LiveIndex, compaction
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.options import Options
from endcap_rerank.product import Product
from endcap_rerank.ranker import CATALOG_FILE, Ranker
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.settings import Settings
from ranking_shop import embed, open_ranker, products, search_request
from small_catalog import small_index, unit_vectors

BASE = {"p3", "p9", "p15"}
"""Red lamps of the release for shoppers from 18 on."""

CATALOGUE = [replace(product, min_age=18 * (product.id in BASE)) for product in products()]
LATER = Product(id="later", title="Northwind red lamp of later days", brand="Northwind", min_age=21)


def options(**given):
    return json.dumps(given)


def requests(**given):
    asked = {"k": 200, "user": "u"}
    return [
        search_request("red lamp", options=options(pin=sorted(BASE), **given), **asked),
        search_request("p3", options=options(**given), **asked),
        search_request("Northwind red lamp later", options=options(pin=["later"], **given), **asked),
        RecommendRequest.validated(item="p3", options=options(recent=["p9"], **given), **asked),
        RecommendRequest.validated(options=options(pin=["p9"], **given), **asked),
        RecommendRequest.validated(k=200, options=options(filters={"category": "Home"}, **given)),
    ]


def answer(ranker, request):
    return ranker.recommend(request) if isinstance(request, RecommendRequest) else ranker.search(request)


def shown(ranker, **given):
    """All that the requests find, and all that their notes and explanations say."""
    answers = [answer(ranker, request) for request in requests(explain=True, **given)]
    assert all(len(one.item_ids) >= 90 for one in answers)
    reasons = {
        item
        for one in answers
        for text in one.explanations
        for items in json.loads(text)["because"].values()
        for item in items
    }
    return {item for one in answers for item in one.item_ids}, reasons


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return open_ranker(tmp_path_factory.mktemp("release"), CATALOGUE).release


@pytest.fixture
def ranker(release, tmp_path):
    """A shopper drawn to restricted products, and affinities by which everything leads to them."""
    ranker = Ranker.open(release, Settings(state=tmp_path))
    count = len(CATALOGUE)
    wanted = np.array([3, 9, 15], np.int32)
    write_affinities(
        affinities_path(tmp_path, release.id),
        starts=3 * np.arange(count + 1),
        items=np.tile(wanted, count),
        values=np.full(3 * count, 0.3, np.float32),
        prior=np.full(count, 0.1 / count, np.float32),
        repeats=np.zeros(count, np.float32),
        fade=0.5,
        record={},
    )
    ranker.feedback([Event.validated("u", item, "click", 1000.0) for item in ("p9", "p21", "p33")])
    return ranker


def check(ranker, restricted):
    """Nobody sees ``restricted`` but who has the age."""
    for given in ({}, {"age": 17}, {"age": 0}):
        items, reasons = shown(ranker, **given)
        assert not restricted & items
        assert not restricted & reasons
    items, reasons = shown(ranker, age=21)
    assert restricted <= items
    assert "p9" in reasons


def test_restricted_products_of_a_release_never_appear_without_the_age(ranker):
    check(ranker, BASE)
    note = "Pinned product p3 does not pass the filters."
    assert note in json.loads(answer(ranker, requests()[0]).query_info)["notes"]


def test_each_product_asks_for_its_own_age(ranker):
    ranker.upsert([(LATER, embed(LATER.encoder_text()))])
    items, _ = shown(ranker, age=18)
    assert items >= BASE
    assert "later" not in items


def test_changed_products_stay_restricted_in_memory_and_in_a_segment(ranker, release, tmp_path):
    cheaper = replace(CATALOGUE[3], price=1.5)
    reworded = replace(CATALOGUE[9], title="Acme red lamp, reworded")
    taken_in = [LATER, cheaper, reworded]
    ranker.upsert([(product, embed(product.encoder_text())) for product in taken_in])
    assert ranker.index.row("p3") == 3
    check(ranker, BASE | {"later"})
    folder = SegmentFolder(tmp_path, release.id)
    assert compaction.compact(ranker.index.index, ranker.index._store, folder) is not None
    opened = Ranker.open(release, Settings(state=tmp_path))
    check(opened, BASE | {"later"})
    # On top of the segment: a price, and another age.
    opened.upsert([(replace(LATER, price=2.5), embed(LATER.encoder_text()))])
    check(opened, BASE | {"later"})
    everybody = [
        replace(CATALOGUE[3], min_age=0),
        replace(LATER, min_age=0),
        replace(CATALOGUE[21], min_age=18),
    ]
    opened.upsert([(product, embed(product.encoder_text())) for product in everybody])
    items, _ = shown(opened)
    assert {"p3", "later"} <= items
    check(opened, {"p9", "p15", "p21"})
    assert (tmp_path / CATALOG_FILE).is_file()


def test_what_can_be_found_is_exact_under_every_filter(tmp_path):
    """The count of results too, in a catalogue large enough to be searched by codes."""
    vectors = unit_vectors(5000, 16)
    catalogue = [
        Product(id=f"i{n}", title=f"thing {n}", price=float(n), min_age=18 * (n % 3 == 0))
        for n in range(5000)
    ]
    live = LiveIndex(small_index(tmp_path, catalogue, vectors))
    for filters in (None, Filters(), Filters(price_max=900.0), Filters(exclude=frozenset({"i1"}))):
        for found in (live.nearest(vectors[0], 4000, filters), live.popular(4000, filters)):
            price = 5000.0 if filters is None or filters.price_max is None else filters.price_max
            expected = {n for n in range(5000) if n % 3 and n <= price} - (
                {1} if filters and filters.exclude else set()
            )
            assert set(found.rows.tolist()) == expected
    assert len(live.nearest(vectors[0], 5000, Filters(age=18)).rows) == 5000


def test_an_index_of_an_older_version_is_for_everybody(tmp_path):
    small_index(tmp_path)
    (tmp_path / "column.min_age.npy").unlink()
    live = LiveIndex(Index.open(tmp_path))
    assert not live.restricted
    assert len(live.popular(10).rows) == 6


def test_ages_are_whole_years():
    assert Product.from_mapping({"id": "a", "title": "A", "min_age": "18"}).min_age == 18
    assert Product(id="a", title="A", min_age=18).as_mapping()["min_age"] == 18
    for wrong in (17.5, -1, 200, True, "adult"):
        with pytest.raises(InvalidInputError, match="min_age"):
            Product.from_mapping({"id": "a", "title": "A", "min_age": wrong})
    assert Options.parse('{"age": 18}').age == 18
    for wrong in ("18", 17.5, -1, 121, True):
        with pytest.raises(InvalidInputError, match=r"options\.age"):
            Options.parse(json.dumps({"age": wrong}))
