"""All flavours of the client against a real tritonserver."""

import asyncio
import math
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from endcap_client import AsyncClient, Client, EndcapError, Event, IncompatibleServer, InvalidRequest


@pytest.fixture
def url(server, flavour):
    return server.grpc_url if flavour.startswith("grpc") else server.http_url


@pytest.fixture
def other_url(server, flavour):
    return server.http_url if flavour.startswith("grpc") else server.grpc_url


@pytest.fixture
def shop(open_client, url):
    return open_client(url, timeout=20.0)


@pytest.fixture
def new_id():
    return f"test-{uuid.uuid4().hex}"


def test_the_server_is_ready(shop):
    assert shop.ready() is True


def test_a_search_gives_products_best_first(shop):
    result = shop.search("red tent", k=5, diversity=0.0)
    scores = [item.score for item in result]
    assert len(result) == 5
    assert len(set(result.ids)) == 5
    assert scores == sorted(scores, reverse=True)
    assert result.release
    assert result.latency > 0
    assert result.items[0].explanation is None
    assert result.items[0].product is None


def test_every_flavour_gives_the_same_answer(server, shop):
    with Client(server.grpc_url, timeout=20.0) as reference:
        asked = {"k": 7, "diversity": 0.4, "caps": {"brand": 2}}
        assert shop.search("steel kettle", **asked).ids == reference.search("steel kettle", **asked).ids


def test_what_was_understood_comes_along(shop):
    query = "red tent under $50"
    tags = shop.search(query).tags
    assert {"color", "product"} <= {tag.label for tag in tags}
    for tag in tags:
        assert query[tag.start : tag.end].lower() == tag.text.lower()
        assert 0.0 <= tag.confidence <= 1.0


def test_a_batch_equals_its_queries_one_by_one(shop):
    queries = ["red tent", "oak chair", "wool dress under $90"]
    many = shop.search_many(queries, k=4)
    assert [result.ids for result in many] == [shop.search(query, k=4).ids for query in queries]


def test_a_batch_may_have_a_shopper_for_some_rows(shop):
    known, anonymous = shop.search_many(["oak chair", "oak chair"], user=["ada", None], k=3)
    assert len(known) == len(anonymous) == 3
    assert shop.search_many([]) == []


def test_explanations_and_fields_come_when_asked_for(shop):
    item = shop.search("blue boots", k=3, explain=True, fields=["title", "price"]).items[0]
    assert item.explanation
    assert set(item.product) <= {"title", "price", "id"}
    assert item.product["title"]


def test_filters_and_caps_hold(shop):
    result = shop.search(
        "lamp", k=8, filters={"price_max": 60.0}, caps={"brand": 2}, fields=["price", "brand"]
    )
    brands = [item.product["brand"] for item in result]
    assert all(item.product["price"] <= 60.0 for item in result)
    assert max(brands.count(brand) for brand in brands) <= 2


def test_feedback_changes_the_next_answer_of_that_shopper(shop, new_id):
    before = shop.search("tent", user=new_id, k=10, diversity=0.0)
    liked = before.ids[-1]
    assert (
        shop.feedback([Event(new_id, liked, "cart"), {"user": new_id, "item": liked, "event": "click"}]) == 2
    )
    after = shop.search("tent", user=new_id, k=10, diversity=0.0)
    assert [(item.id, item.score) for item in after] != [(item.id, item.score) for item in before]
    assert shop.recommend(new_id, k=5).ids


def test_an_event_may_carry_everything(shop, new_id):
    event = Event(new_id, "p0001", "click", timestamp=1.7e9, query="tent", position=3)
    assert shop.feedback(event) == 1
    assert shop.feedback([]) == 0


def test_an_upserted_product_is_found_and_a_deleted_one_is_gone(shop, new_id):
    product = {"id": new_id, "title": "Kestrel green glass lantern", "brand": "Kestrel", "price": 10.0}
    assert shop.upsert(product) == 1
    assert new_id in shop.search("Kestrel green glass lantern", k=10, diversity=0.0).ids
    assert shop.delete(new_id) == 1
    assert new_id not in shop.search("Kestrel green glass lantern", k=50, diversity=0.0).ids


def test_similar_products_leave_the_product_out(shop):
    ids = shop.similar("p0003", k=5).ids
    assert len(ids) == 5
    assert "p0003" not in ids


def test_an_unknown_shopper_is_served(shop, new_id):
    assert len(shop.search("tent", user=new_id, k=3)) == 3


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda shop: shop.search(""), "query"),
        (lambda shop: shop.search("  \n "), "query"),
        (lambda shop: shop.search("x" * 100_000), "query"),
        (lambda shop: shop.search("tent", k=0), "k"),
        (lambda shop: shop.search("tent", k=-1), "k"),
        (lambda shop: shop.search("tent", k=10_000), "k"),
        (lambda shop: shop.search("tent", diversity=1.5), "diversity"),
        (lambda shop: shop.search("tent", diversity=math.nan), "diversity"),
        (lambda shop: shop.search("tent", filters={"price_min": -1}), "options.filters.price_min"),
        (lambda shop: shop.search("tent", filters={"prize": 1}), "options.filters.prize"),
        (lambda shop: shop.search("tent", caps={"brand": 0}), "options.caps.brand"),
        (lambda shop: shop.search_many(["tent", "", "lamp"]), "query"),
        (lambda shop: shop.similar("no-such-item"), "item"),
        (lambda shop: shop.feedback({"user": "u", "item": "p0001", "event": "stare"}), "event"),
        (lambda shop: shop.feedback({"user": "", "item": "p0001"}), "user"),
        (lambda shop: shop.upsert({"id": "x"}), "document.title"),
        (lambda shop: shop.upsert({"id": "x", "title": "T", "price": -2}), "document.price"),
    ],
)
def test_what_the_server_refuses_names_the_field_and_it_still_serves(shop, call, field):
    with pytest.raises(InvalidRequest) as caught:
        call(shop)
    assert caught.value.field == field
    assert len(shop.search("tent", k=2)) == 2


def test_the_port_of_the_other_protocol_is_named_as_such(open_client, other_url):
    with pytest.raises(IncompatibleServer, match=other_url):
        open_client(other_url).search("tent", timeout=20.0)


def test_the_metrics_port_is_no_endcap(server, open_client):
    address = server.metrics_url.removeprefix("http://").partition("/")[0]
    with pytest.raises(EndcapError, match=address):
        open_client(address).search("tent", timeout=20.0)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_threads_share_a_client(server, protocol):
    queries = [f"{color} tent" for color in ("red", "blue", "green", "black")] * 10
    address = server.grpc_url if protocol == "grpc" else server.http_url
    with Client(address, protocol, timeout=30.0) as shop, ThreadPoolExecutor(8) as pool:
        expected = {query: shop.search(query, k=5).ids for query in set(queries)}
        answers = list(pool.map(lambda query: shop.search(query, k=5).ids, queries))
    assert answers == [expected[query] for query in queries]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_tasks_share_an_async_client(server, protocol):
    address = server.grpc_url if protocol == "grpc" else server.http_url

    async def ask():
        async with AsyncClient(address, protocol, timeout=30.0) as shop:
            return await asyncio.gather(*(shop.search("red tent", k=5) for _ in range(20)))

    answers = asyncio.run(ask())
    assert len({tuple(answer.ids) for answer in answers}) == 1
