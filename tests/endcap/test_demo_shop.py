import csv
import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.product import Product
from endcap_rerank.schema import EVENT_WEIGHTS, MAX_QUERY_CHARS

from endcap.demo_shop import generate, language_words
from endcap.demo_shop.catalogue import NOW, make_articles, make_brands, tidy_title
from endcap.demo_shop.judgments import Truth, grades
from endcap.demo_shop.queries import Wants
from endcap.demo_shop.structure import LEAVES

FILES = ("products.jsonl", "events.csv", "judgments.csv", "tags.bio", "queries.csv", "shoppers.json")


def rows(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def products_of(directory):
    lines = (directory / "products.jsonl").read_text("utf-8").splitlines()
    return [Product.from_mapping(json.loads(line)) for line in lines]


def tagged_of(directory):
    blocks = (directory / "tags.bio").read_text("utf-8").strip().split("\n\n")
    return [
        [line.split("\t") for line in block.splitlines() if not line.startswith("# ")] for block in blocks
    ]


@pytest.fixture(scope="module", params=["en", "zh"])
def shop(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"shop-{request.param}")
    generate(directory, products=1500, seed=3, language=request.param, shoppers=80)
    return request.param, directory


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        generate(tmp_path / name, products=120, seed=seed, shoppers=10)
    for file in FILES:
        first, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == again, file
        assert first != other, file


def test_more_shoppers_do_not_change_the_products(tmp_path):
    generate(tmp_path / "few", products=120, shoppers=5)
    generate(tmp_path / "many", products=120, shoppers=20)
    for file in ("products.jsonl", "queries.csv", "judgments.csv", "tags.bio"):
        assert (tmp_path / "few" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()


def test_the_log_ends_when_it_is_told_to(tmp_path):
    generate(tmp_path / "then", products=120, shoppers=20, now=NOW - 1_000_000.0)
    times = [int(row["timestamp"]) for row in rows(tmp_path / "then" / "events.csv")]
    assert NOW - 1_000_000.0 - 20 * 86_400 < max(times) < NOW - 1_000_000.0


def test_every_product_is_valid_and_every_leaf_is_stocked(shop):
    language, directory = shop
    products = products_of(directory)
    words = language_words(language)
    assert len({product.id for product in products}) == len(products) == 1500
    assert {product.category.count(" > ") for product in products} == {2}
    assert {product.category.rsplit(" > ")[-1] for product in products} == {
        leaf.name for leaf in words.leaves.values()
    }
    assert {product.currency for product in products} == {words.currency}
    assert all(product.price > 0 and product.created_at <= NOW for product in products)
    assert not any("  " in p.title or "()" in p.title or ",," in p.title or "{" in p.title for p in products)
    assert not any("{" in p.description for p in products)


def test_word_tables_are_complete():
    assert len(LEAVES) >= 60
    for code in ("en", "zh"):
        words = language_words(code)
        assert set(words.leaves) == {leaf.key for leaf in LEAVES}
        assert len(set(words.brands)) == len(words.brands) >= 80
        for leaf in words.leaves.values():
            assert leaf.titles
            assert leaf.others
            assert leaf.modifiers


def test_other_words_of_a_leaf_never_stand_in_its_titles(shop):
    language, directory = shop
    words = {leaf.name: leaf for leaf in language_words(language).leaves.values()}
    for product in products_of(directory):
        leaf = words[product.category.rsplit(" > ")[-1]]
        title = product.title.casefold()
        if language == "en":
            assert not any(f" {other.casefold()} " in f" {title} " for other in leaf.others), product.title
        else:
            assert not any(other in title.replace(" ", "") for other in leaf.others), product.title


def test_prices_and_reviews_have_long_tails(shop):
    products = products_of(shop[1])
    prices = np.array([product.price for product in products])
    reviews = np.array([product.review_count for product in products])
    assert np.mean(prices) > 1.3 * np.median(prices)
    assert np.percentile(reviews, 99) > 15 * max(np.median(reviews), 1)
    leaves = Counter(product.category for product in products)
    assert max(leaves.values()) > 3 * min(leaves.values())
    assert 0.85 < np.mean([product.in_stock for product in products]) < 0.99


def test_brands_are_strong_in_some_departments(shop):
    departments = defaultdict(set)
    for product in products_of(shop[1]):
        departments[product.brand].add(product.category.split(" > ")[0])
    assert max(len(places) for places in departments.values()) <= 3


def test_tags_align_with_the_queries(shop):
    language, directory = shop
    queries = [row["query"] for row in rows(directory / "queries.csv")]
    tagged = tagged_of(directory)
    joint = " " if language == "en" else ""
    assert [joint.join(token for token, _ in query) for query in tagged] == queries
    assert len(set(queries)) == len(queries)
    assert all(len(query) <= MAX_QUERY_CHARS for query in queries)
    before = "O"
    for query in tagged:
        before = "O"
        for token, tag in query:
            assert token
            assert language == "en" or len(token) == 1
            if tag.startswith("I-"):
                assert before[2:] == tag[2:]
            before = tag
    labels = {tag[2:] for query in tagged for _, tag in query if tag != "O"}
    assert labels == set(vars(language_words(language).labels).values())


def test_all_kinds_of_query_are_there(shop):
    kinds = Counter(row["kind"] for row in rows(shop[1] / "queries.csv"))
    for kind in (
        "type",
        "brand_type",
        "color_type",
        "material_type",
        "price",
        "attribute",
        "occasion",
        "several",
    ):
        assert kinds[kind] >= 10, kinds
    assert kinds["typo"] >= 20
    assert kinds["brand"] >= 3


def test_judgments_are_graded_and_every_query_has_an_answer(shop):
    _, directory = shop
    ids = {product.id for product in products_of(directory)}
    by_query = defaultdict(list)
    for row in rows(directory / "judgments.csv"):
        assert row["item_id"] in ids
        by_query[row["query"]].append(int(row["relevance"]))
    assert set(by_query) == {row["query"] for row in rows(directory / "queries.csv")}
    assert all(max(grades) == 3 and min(grades) == 0 for grades in by_query.values())
    assert {grade for grades in by_query.values() for grade in grades} == {0, 1, 2, 3}


def test_grades_follow_what_was_asked_for():
    words = language_words("en")
    rng = np.random.Generator(np.random.PCG64(5))
    articles = make_articles(words, make_brands(words, rng), 3000, rng)
    truth = Truth.of(articles)
    sofa = next(i for i, leaf in enumerate(LEAVES) if leaf.key == "sofa")
    graded = grades(truth, Wants(leaf=sofa, color="navy", high=700.0))
    sofas, navy, cheap = truth.leaf == sofa, truth.color == "navy", truth.price <= 700.0
    assert (graded[sofas & navy & cheap] == 3).all()
    assert (graded[sofas & navy & (truth.price > 900)] == 2).all()
    assert (graded[sofas & (truth.family != "blue") & (truth.price > 900)] == 1).all()
    assert (graded[~sofas] == 0).all()
    kind_only = grades(truth, Wants(leaf=sofa))
    assert (kind_only[sofas] == 3).all()
    assert (kind_only[~sofas & (truth.aisle == "living")] == 1).all()
    assert (kind_only[truth.aisle != "living"] == 0).all()


def test_events_are_in_time_order_and_a_purchase_follows_a_click(shop):
    _, directory = shop
    events = rows(directory / "events.csv")
    ids = {product.id for product in products_of(directory)}
    queries = {row["query"] for row in rows(directory / "queries.csv")} | {""}
    times = [int(event["timestamp"]) for event in events]
    assert times == sorted(times)
    seen = set()
    for event in events:
        assert event["event"] in EVENT_WEIGHTS
        assert event["item_id"] in ids
        assert event["query"] in queries
        assert (event["position"] == "") == (event["query"] == "")
        if event["event"] == "purchase":
            assert (event["user_id"], event["item_id"], "click") in seen
        seen.add((event["user_id"], event["item_id"], event["event"]))
    kinds = Counter(event["event"] for event in events)
    assert kinds["view"] > kinds["click"] > kinds["cart"] > kinds["purchase"] > 0


def test_hidden_tastes_show_in_what_shoppers_do(shop):
    _, directory = shop
    tastes = {row["user_id"]: row for row in json.loads((directory / "shoppers.json").read_text("utf-8"))}
    products = {product.id: product for product in products_of(directory)}
    loved = {"view": [], "cart": []}
    favourite = []
    for event in rows(directory / "events.csv"):
        taste, product = tastes[event["user_id"]], products[event["item_id"]]
        favourite.append(taste["departments"][product.category.split(" > ")[0]])
        if event["event"] in loved:
            loved[event["event"]].append(product.brand in taste["brands"])
    # A taste-blind visitor would see a department's share near 1/9 and the brands near 4/80 of a shelf.
    assert np.mean(favourite) > 0.4
    assert np.mean(loved["cart"]) > np.mean(loved["view"]) > 0.12


def test_titles_are_tidied_of_empty_fields():
    assert tidy_title("Varnholt   sofa - , 3-seat ()", capitals=True) == "Varnholt Sofa - 3-seat"
    assert (
        tidy_title("smart TV stand , , 40 inch,  | Acorn", capitals=True) == "Smart TV Stand, 40 Inch | Acorn"
    )


@pytest.mark.parametrize(
    ("field", "arguments"),
    [("products", {"products": 0}), ("shoppers", {"shoppers": -1}), ("language", {"language": "xx"})],
)
def test_bad_arguments_name_the_field(tmp_path, field, arguments):
    with pytest.raises(InvalidInputError) as error:
        generate(tmp_path / "shop", **arguments)
    assert error.value.field == field
    assert not (tmp_path / "shop").exists()
