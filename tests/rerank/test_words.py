from endcap_rerank.index.words import VERSION, Words, texts_digest
from small_catalog import PRODUCTS


def test_what_is_stored_comes_back_and_another_version_does_not():
    words = Words.of(PRODUCTS[0])
    assert Words.loads(words.dumps()) == words
    assert Words.loads(words.dumps().replace(f'"version":{VERSION}', '"version":0')) is None


def test_the_version_is_raised_when_products_are_taken_apart_otherwise():
    """Stores hold what is pinned here. When this fails, raise VERSION, and then pin it anew."""
    assert (VERSION, Words.of(PRODUCTS[0]).terms) == (
        1,
        {"cordless": 1.0, "drill": 1.5, "18": 1.0, "v": 1.0, "dewalt": 0.5, "yellow": 0.5},
    )


def test_the_digest_tells_texts_apart_and_not_numbers():
    from dataclasses import replace

    drill = PRODUCTS[0]
    same = replace(drill, price=1.0, in_stock=False, rating=1.0, review_count=0, created_at=0.0)
    assert texts_digest(same) == texts_digest(drill)
    others = [
        replace(drill, title="x"),
        replace(drill, brand=""),
        replace(drill, attributes={"Color": "Blue"}),
        replace(drill, image_url="https://x/y.png"),
    ]
    assert len({texts_digest(one) for one in (drill, *others)}) == 5
    two = {"a": "1", "b": "2"}
    assert texts_digest(replace(drill, attributes=two)) == texts_digest(
        replace(drill, attributes=dict(reversed(two.items())))
    )
