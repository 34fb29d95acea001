"""Building the index of a catalogue, and opening it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.index.catalog import Catalog, write_catalog
from endcap_rerank.index.dense import DenseIndex, write_dense
from endcap_rerank.index.lexical import LexicalIndex, write_lexical
from endcap_rerank.product import Product

FORMAT = 1
"""Raised when the files change so that older code cannot read them."""

META = "index.json"


@dataclass(frozen=True)
class Index:
    """The memory-mapped index of one release. Products are rows 0 … count-1.

    Attributes:
        encoder_id: the encoder that made the vectors.
        dimension: D, the size of a vector.
    """

    directory: Path
    count: int
    dimension: int
    encoder_id: str
    catalog: Catalog
    dense: DenseIndex
    lexical: LexicalIndex

    @classmethod
    def open(cls, directory: Path) -> Index:
        """Map the index that :func:`build_index` wrote into ``directory``.

        Raises:
            ReleaseError: no index there, one of another format, or a damaged one.
        """
        file = directory / META
        try:
            meta = json.loads(file.read_text("utf-8"))
            if meta["format"] != FORMAT:
                raise ReleaseError(f"{file}: format {meta['format']!r}; this Endcap reads {FORMAT}")
            return cls(
                directory=directory,
                count=meta["count"],
                dimension=meta["dimension"],
                encoder_id=meta["encoder_id"],
                catalog=Catalog(directory, largest_count=meta["largest_count"]),
                dense=DenseIndex(directory),
                lexical=LexicalIndex(directory, count=meta["count"], average_length=meta["average_length"]),
            )
        except FileNotFoundError:
            raise ReleaseError(f"{directory}: no {META}; this is not an index") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{file}: not a description of an index ({error})") from error


def build_index(
    directory: Path,
    products: Sequence[Product],
    embeddings: NDArray[np.float32],
    *,
    encoder_id: str,
    interactions: NDArray[Any] | None = None,
) -> None:
    """Write the index of ``products`` into ``directory``, which is created if it is missing.

    Args:
        embeddings: float32 [N, D], one L2-normalized vector a product.
        encoder_id: checksum of the encoder that made them.
        interactions: [N] how often shoppers took each product, the source of its popularity;
            ``review_count`` where it is not given.

    Raises:
        InvalidInputError: vectors of the wrong shape or length, or not finite; a duplicate id; negative
            interactions.
    """
    vectors = _checked_vectors(embeddings, len(products))
    _check_ids(products)
    if interactions is None:
        interactions = np.array([product.review_count for product in products])
    counts = np.asarray(interactions, np.float64)
    if counts.shape != (len(products),) or not np.isfinite(counts).all() or (counts < 0).any():
        raise InvalidInputError(
            "interactions", counts.shape, f"{len(products)} finite numbers of at least 0 are expected"
        )
    write_parts(directory, products, vectors, counts, encoder_id=encoder_id)


def write_parts(
    directory: Path,
    products: Sequence[Product],
    vectors: NDArray[np.float32],
    counts: NDArray[np.float64],
    *,
    encoder_id: str,
    like: Index | None = None,
) -> None:
    """What :func:`build_index` does with what it has checked.

    Args:
        vectors: float32 [N, D]; zeros where a product has none.
        like: the index beside which this one is searched, by whose statistics its words are scored.
    """
    directory.mkdir(parents=True, exist_ok=True)
    largest = write_catalog(directory, products, counts)
    average = write_lexical(directory, products, None if like is None else like.lexical)
    write_dense(directory, vectors)
    meta = {
        "format": FORMAT,
        "count": len(products),
        "dimension": vectors.shape[1],
        "encoder_id": encoder_id,
        "largest_count": largest,
        "average_length": average,
    }
    (directory / META).write_text(json.dumps(meta, indent=1), "utf-8")


def _check_ids(products: Sequence[Product]) -> None:
    seen: set[str] = set()
    for product in products:
        if product.id in seen:
            raise InvalidInputError(
                "id", product.id, "each product needs an id of its own; this one is there twice"
            )
        seen.add(product.id)


def _checked_vectors(embeddings: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    vectors = np.ascontiguousarray(embeddings, np.float32)
    if vectors.ndim != 2 or len(vectors) != count or vectors.shape[1] == 0:
        raise InvalidInputError(
            "embeddings", np.shape(embeddings), f"one vector for each of {count} products is expected"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) < 1e-2))
    if len(wrong):
        row = int(wrong[0])
        raise InvalidInputError(
            "embeddings",
            float(lengths[row]),
            f"vectors of length 1 are expected; that of product {row} is not",
        )
    return vectors
