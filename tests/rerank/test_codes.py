import numpy as np
import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex
from endcap_rerank.index.codes import codes_in, codes_of
from endcap_rerank.product import Product
from small_catalog import small_index, unit_vectors

MODELS = [
    f"{'DXKQ'[n % 4]}{'CWT'[n % 3]}{'DB'[n % 2]}{700 + 7 * n}{'CKP'[n % 3]}{n % 9 + 1}" for n in range(60)
]
PRODUCTS = [
    Product(
        id=f"sku-{n}",
        title=f"Brushless drill driver {model}" if n % 2 else "Brushless drill driver",
        price=50.0 + n,
        attributes={} if n % 2 else {"Model": f"{model[:3]}-{model[3:]}"},
    )
    for n, model in enumerate(MODELS)
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    index = small_index(folder / "index", PRODUCTS)
    return LiveIndex(index, CatalogStore(folder / "catalog.db"))


def first(live, query, **options):
    # The vector is that of another product: nothing but the code speaks for the right one.
    found = live.retrieve(query, unit_vectors(len(PRODUCTS))[59], count=20, **options)
    return live.item_ids(found.rows[:1])[0]


@pytest.mark.parametrize("number", range(0, 59, 3))
def test_a_model_number_finds_its_product_first(live, number):
    model = MODELS[number]
    ways = (model, model.lower(), f"{model[:3]}-{model[3:]}", f"{model[:3]} {model[3:]}", f"drill {model}")
    assert [first(live, way) for way in ways] == [f"sku-{number}"] * len(ways)


def test_an_id_finds_its_product_first(live):
    assert first(live, "sku-17") == "sku-17"
    assert first(live, " SKU-17 ") == "sku-17"


def test_filters_stay_in_force(live):
    assert first(live, MODELS[10], filters=Filters(price_max=55.0)) != "sku-10"


def test_changed_products_have_their_codes(live):
    vector = unit_vectors(1)[0]
    live.upsert([(Product(id="new", title="Saw ZX-9041B"), vector)])
    assert first(live, "zx9041b") == "new"
    live.upsert([(Product(id="new", title="Saw ZX-9042B"), vector)])
    assert first(live, "zx9042b") == "new"
    assert first(live, "zx9041b") != "new"
    live.delete(["new"])
    assert first(live, "zx9042b") != "new"


def test_the_named_one_stands_apart(live):
    found = live.retrieve(MODELS[4], unit_vectors(len(PRODUCTS))[59], count=20)
    assert found.fused[0] >= 0.5 >= found.fused[1]
    assert np.all(np.diff(found.fused) <= 0)


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("DCD771C2", ["dcd771c2"]),
        ("dcd-771 c2", ["dcd771c2", "dcd771"]),
        ("dewalt DCD771C2 kit", ["dcd771c2"]),
        ("18v cordless drill", []),
        ("10-gauge wire", []),
        ("drill", []),
        ("1234", []),
        ("0045242", ["0045242"]),
        ("博世GSR120电钻", ["gsr120"]),
    ],
)
def test_codes_of_queries(query, codes):
    assert list(codes_in(query)) == codes


def test_codes_of_products():
    product = Product(id="p", title="Bosch GSR-120 drill 18V 2", attributes={"Model": "06019F7"})
    assert codes_of(product) >= {"gsr120", "06019f7"}
    assert "p" not in codes_of(product)
