"""Answers differ by shopper, and what a shopper does counts at once."""

import time
import uuid

import pytest


def someone():
    return f"shopper-{uuid.uuid4().hex[:12]}"


def liked(shop, user, products, event="purchase"):
    shop.feedback([{"user": user, "item": product.id, "event": event} for product in products])


def test_two_shoppers_get_different_answers(shop, shop_products):
    one, other = someone(), someone()
    liked(shop, one, [product for product in shop_products if product.brand == "Acme"][:8])
    liked(shop, other, [product for product in shop_products if product.brand == "Tundra"][:8])
    ids = [shop.search("red", user=user, k=10, diversity=0).ids for user in (one, other)]
    assert ids[0] != ids[1]
    brand = {product.id: product.brand for product in shop_products}
    count = [[brand[item] for item in answer].count("Acme") for answer in ids]
    assert count[0] > count[1]


def test_click_changes_the_next_answer_of_that_shopper_only(shop, shop_products):
    user, bystander = someone(), someone()
    before = shop.search("dress", user=user, k=10, diversity=0)
    clicked = [
        product for product in shop_products if product.brand == "Kestrel" and "Dresses" in product.category
    ]
    liked(shop, user, clicked[:3], "click")
    after = shop.search("dress", user=user, k=10, diversity=0)
    assert before.ids != after.ids or [i.score for i in before] != [i.score for i in after]
    assert after.info["personalized"]
    assert shop.search("dress", user=bystander, k=10, diversity=0).ids == before.ids


def test_every_feedback_is_visible_to_the_request_after_it(grpc, shop_products):
    """Several instances answer in turn; none may lag behind."""
    user, seen = someone(), set()
    for number, product in enumerate(shop_products[:12], start=1):
        grpc.infer("feedback", user=user, item=product.id, event="click", timestamp=time.time())
        scores = [tuple(grpc.search("red", user=user, k=50, diversity=0)[1]) for _ in range(3)]
        assert len(set(scores)) == 1
        seen.add(scores[0])
        assert len(seen) == number


def test_unknown_shopper_is_served_and_noted(shop):
    user = someone()
    result = shop.search("red dress", user=user, diversity=0)
    assert result.ids == shop.search("red dress", diversity=0).ids
    assert not result.info["personalized"]
    assert any(user in note or "shopper" in note.lower() or "user" in note.lower() for note in result.notes)


def test_feedback_is_idempotent_by_event_id(grpc, shop_products):
    user, event_id = someone(), uuid.uuid4().hex
    event = {
        "user": user,
        "item": shop_products[0].id,
        "event": "cart",
        "event_id": event_id,
        "timestamp": 1.7e9,
    }
    grpc.infer("feedback", **event)
    once = grpc.search("red", user=user)
    assert grpc.infer("feedback", **event)["accepted"].tolist() == [[1]]
    assert grpc.search("red", user=user)[0] == once[0]


def test_one_bad_event_refuses_its_whole_request(grpc, shop_products):
    user = someone()
    with pytest.raises(Exception, match=r"event \(row 1\): got 'stare'"):
        grpc.infer("feedback", user=[user] * 2, item=[shop_products[0].id] * 2, event=["click", "stare"])
    assert not grpc.infer("search", query="red", user=user)["query_info"][0, 0].count(b'"personalized":true')


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("user", {"user": ""}),
        ("user", {"user": b"\xff"}),
        ("item", {"item": "x" * 300}),
        ("timestamp", {"timestamp": float("nan")}),
        ("timestamp", {"timestamp": 1e12}),
        ("position", {"position": -4}),
    ],
)
def test_bad_event_is_refused_by_field(raw, field, change):
    event = {"user": "ada", "item": "p0001", "event": "click", **change}
    with pytest.raises(Exception, match=rf"{field}: got"):
        raw.infer("feedback", **event)
