"""A small catalogue with vectors, for the tests of the index."""

from __future__ import annotations

import numpy as np
from endcap_rerank.index import Index, build_index
from endcap_rerank.product import Product

ENCODER = "encoder-a"
DIMENSION = 8

PRODUCTS = [
    Product(
        id="drill",
        title="Cordless drill 18V",
        brand="DeWalt",
        category="Tools > Power tools > Drills",
        price=99.99,
        rating=4.5,
        review_count=120,
        attributes={"Color": "Yellow"},
        created_at=1.7e9,
    ),
    Product(
        id="driver",
        title="Impact driver kit",
        brand="Makita",
        category="Tools > Power tools > Drivers",
        price=149.0,
        in_stock=False,
        attributes={"Color": "Blue"},
    ),
    Product(
        id="hammer", title="Claw hammer 16 oz.", brand="DEWALT", category="Tools > Hand tools", price=19.99
    ),
    Product(
        id="toolbelt", title="Leather belt", category="Toolsmith > Belts", attributes={"Color": "Yellow"}
    ),
    Product(id="lamp", title="Desk lamp", brand="Philips", category="Lighting", price=35.0),
    Product(id="phone", title="红米手机 5G", brand="小米", category="数码 > 手机", price=1999.0),
]


def unit_vectors(count: int, dimension: int = DIMENSION, seed: int = 3) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered_vectors(count: int, dimension: int = 32, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((40, dimension)).astype(np.float32)
    vectors = centres[rng.integers(0, 40, count)] + 0.5 * rng.standard_normal((count, dimension)).astype(
        np.float32
    )
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def small_index(directory, products=PRODUCTS, vectors=None) -> Index:
    build_index(
        directory, products, unit_vectors(len(products)) if vectors is None else vectors, encoder_id=ENCODER
    )
    return Index.open(directory)
