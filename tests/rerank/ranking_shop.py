"""A shop of a few hundred products with a real index and real stores, for the tests of ranking."""

import zlib
from pathlib import Path

import numpy as np
from endcap_rerank.index import build_index
from endcap_rerank.product import Product
from endcap_rerank.ranker import Ranker
from endcap_rerank.release import INDEX_DIR, Release, TextSettings
from endcap_rerank.requests import SearchRequest
from endcap_rerank.settings import Settings

DIMENSION = 64
LABELS = ("O", "B-brand", "I-brand", "B-product", "I-product", "B-color", "B-price", "I-price")
BRANDS = ("Northwind", "Acme", "Kestrel", "Oakline", "Vela", "Solis")
COLORS = ("red", "blue", "green", "black")
KINDS = {
    "lantern": "Outdoor > Lamps",
    "tent": "Outdoor > Tents",
    "kettle": "Home > Kitchen",
    "lamp": "Home > Lighting",
    "drill": "Tools > Power",
    "hammer": "Tools > Hand",
}
ROLES = (
    dict.fromkeys((brand.casefold() for brand in BRANDS), "B-brand")
    | dict.fromkeys(KINDS, "B-product")
    | dict.fromkeys(COLORS, "B-color")
    | {"under": "B-price"}
)


def products() -> list[Product]:
    made = []
    for number in range(288):
        kind = list(KINDS)[number % 6]
        brand, color = BRANDS[number // 6 % 6], COLORS[number // 36 % 4]
        made.append(
            Product(
                id=f"p{number}",
                title=f"{brand} {color} {kind} number {number}",
                brand=brand,
                category=KINDS[kind],
                price=5.0 + number % 97,
                in_stock=number % 11 != 0,
                rating=3.0 + number % 5 / 2,
                review_count=number * 7 % 101,
                attributes={"color": color},
            )
        )
    return made


def embed(text: str) -> np.ndarray:
    """Texts that share words are near each other."""
    total = np.zeros(DIMENSION, np.float32)
    for word in text.casefold().replace("|", " ").split():
        if not word.isdigit():
            total += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION)
        else:  # numbers tell products apart, and little more
            total += 0.1 * np.random.default_rng(int(word)).standard_normal(DIMENSION)
    return total / max(1e-9, float(np.linalg.norm(total)))


def open_ranker(directory: Path, catalogue: list[Product] | None = None, state: str = "state") -> Ranker:
    release = Release(directory, "r-test", LABELS, DIMENSION, TextSettings(), "encoder-a", manifest={})
    if not (directory / INDEX_DIR).exists():
        shop = products() if catalogue is None else catalogue
        vectors = np.stack([embed(product.encoder_text()) for product in shop])
        build_index(directory / INDEX_DIR, shop, vectors, encoder_id="encoder-a")
    return Ranker.open(release, Settings(state=directory / state))


def search_request(query: str, **asked) -> SearchRequest:
    """A request as the encoder would have understood it."""
    offsets, labels, inside = [(0, 0)], [0], False
    at = 0
    for word in query.split():
        start = query.index(word, at)
        at = start + len(word)
        offsets.append((start, at))
        role = ROLES.get(word.casefold(), "I-price" if inside else "O")
        inside = role in ("B-price", "I-price")
        labels.append(LABELS.index(role))
    logits = np.zeros((len(offsets), len(LABELS)), np.float32)
    logits[np.arange(len(labels)), labels] = 8.0
    return SearchRequest.validated(query, embed(query), logits, np.array(offsets, np.int32), **asked)
