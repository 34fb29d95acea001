import json

import pytest
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.options import NO_OPTIONS, Options, WindowCap
from endcap_rerank.schema import MAX_OPTIONS_BYTES


@pytest.mark.parametrize("document", [None, "", b"", "  ", "{}", b" {} "])
def test_nothing_asked_is_the_default(document):
    assert Options.parse(document) == NO_OPTIONS


def test_everything_asked():
    options = Options.parse(
        json.dumps(
            {
                "filters": {
                    "price_min": 5,
                    "price_max": 20.5,
                    "brand": "Acme",
                    "category": ["Home > Kitchen", "Outdoor"],
                    "in_stock": True,
                    "attributes": {"color": "red", "material": ["oak", "steel"]},
                },
                "pin": ["a", "b", "a"],
                "bury": ["c"],
                "exclude": ["d"],
                "boost": {"e": 2, "f": 0.5},
                "recent": ["g"],
                "shown": ["h"],
                "caps": {"brand": 2, "category": 3},
                "algorithm": "mmr",
                "fields": ["title", "price"],
                "explain": True,
                "language": "zh",
                "personalize": False,
                "understand": False,
            }
        ).encode()
    )
    assert options.filters is not None
    assert (options.filters.price_min, options.filters.price_max) == (5.0, 20.5)
    assert options.filters.brands == ("Acme",)
    assert options.filters.categories == ("Home > Kitchen", "Outdoor")
    assert options.filters.in_stock is True
    assert options.filters.attributes == {"color": ("red",), "material": ("oak", "steel")}
    assert options.pin == ("a", "b")
    assert options.bury == {"c"}
    assert options.boost == {"e": 2.0, "f": 0.5}
    assert options.caps == {"brand": 2, "category": 3}
    assert (options.algorithm, options.language) == ("mmr", "zh")
    assert options.explain
    assert not options.personalize
    assert not options.understand


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("not json", "options"),
        ("[1]", "options"),
        ("null", "options"),
        ('"a"', "options"),
        (b"\xff\xfe{}", "options"),
        ('{"a": 1', "options"),
        ("[" * 5000, "options"),
        ('{"filter": {}}', "options.filter"),
        ('{"explain": 1}', "options.explain"),
        ('{"explain": "true"}', "options.explain"),
        ('{"filters": []}', "options.filters"),
        ('{"filters": {"price": 3}}', "options.filters.price"),
        ('{"filters": {"price_min": "3"}}', "options.filters.price_min"),
        ('{"filters": {"price_min": -1}}', "options.filters.price_min"),
        ('{"filters": {"price_min": NaN}}', "options.filters.price_min"),
        ('{"filters": {"price_max": Infinity}}', "options.filters.price_max"),
        ('{"filters": {"price_max": true}}', "options.filters.price_max"),
        ('{"filters": {"price_max": 1' + "0" * 400 + "}}", "options.filters.price_max"),
        ('{"filters": {"price_min": 9, "price_max": 3}}', "options.filters.price_min"),
        ('{"filters": {"brand": [1]}}', "options.filters.brand[0]"),
        ('{"filters": {"in_stock": "yes"}}', "options.filters.in_stock"),
        ('{"filters": {"attributes": ["red"]}}', "options.filters.attributes"),
        ('{"filters": {"attributes": {"color": 3}}}', "options.filters.attributes.color"),
        ('{"pin": [""]}', "options.pin[0]"),
        ('{"pin": {"a": 1}}', "options.pin"),
        ('{"boost": {"a": -1}}', "options.boost.a"),
        ('{"boost": ["a"]}', "options.boost"),
        ('{"caps": {"brand": 0}}', "options.caps.brand"),
        ('{"caps": {"brand": 1.5}}', "options.caps.brand"),
        ('{"caps": {"colour": 1}}', "options.caps.colour"),
        ('{"caps": {"brand": {"limit": 2}}}', "options.caps.brand.window"),
        ('{"caps": {"brand": {"window": 2}}}', "options.caps.brand.limit"),
        ('{"caps": {"brand": {"limit": 0, "window": 6}}}', "options.caps.brand.limit"),
        ('{"caps": {"brand": {"limit": 2, "window": 1}}}', "options.caps.brand.window"),
        ('{"caps": {"brand": {"limit": 2, "window": 6, "of": 1}}}', "options.caps.brand.of"),
        ('{"explore": 1.1}', "options.explore"),
        ('{"explore": true}', "options.explore"),
        ('{"calibrate": -0.1}', "options.calibrate"),
        ('{"adapt_diversity": 1}', "options.adapt_diversity"),
        ('{"algorithm": "best"}', "options.algorithm"),
        ('{"language": "de"}', "options.language"),
        ('{"fields": ["titel"]}', "options.fields[0]"),
        ('{"explain": true, "explain": false}', "options: explain"),
    ],
)
def test_a_wrong_option_is_named(document, field):
    with pytest.raises(InvalidInputError) as caught:
        Options.parse(document)
    assert caught.value.field == field


def test_a_cap_may_hold_in_a_window():
    options = Options.parse('{"caps": {"brand": {"limit": 2, "window": 6}, "category": 3}}')
    assert options.caps == {"brand": WindowCap(2, 6), "category": 3}


def test_too_large_a_document_is_refused_before_it_is_read():
    document = json.dumps({"pin": ["x" * 200] * 100})
    assert len(document) > MAX_OPTIONS_BYTES
    with pytest.raises(InvalidInputError, match="bytes"):
        Options.parse(document)
    with pytest.raises(InvalidInputError, match="bytes"):
        Options.parse(json.dumps({"pin": ["衣" * 200] * 40}, ensure_ascii=False))
