"""A shop's files, found by name in one folder and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.release import checksum

from endcap_export.bio import TaggedQuery, label_set, read_tags
from endcap_export.data import Judgment, read_events, read_judgments, read_products
from endcap_export.held import stable_order
from endcap_export.rows import EXTENSIONS, MAX_BAD_SHARE, DataError

T = TypeVar("T")

HELD_SHARE = 0.1
"""Share of the queries that are held out for evaluation where the shop names none."""

_HELD = ("dev", "valid", "validation", "held")
_MOST_HELD = 2000


@dataclass(frozen=True)
class ShopFiles:
    """Where a shop's files are; everything but the products may be absent."""

    products: Path
    judgments: Path | None = None
    held_judgments: Path | None = None
    events: Path | None = None
    tags: Path | None = None
    held_tags: Path | None = None

    @classmethod
    def find(cls, data: Path, tags: Path | None = None) -> ShopFiles:
        """Find ``products.*``, ``judgments.*``, ``events.*`` and ``*.bio`` by name.

        ``judgments.train.csv`` beside ``judgments.dev.csv``, and ``tags.train.bio`` or ``train.bio`` beside
        ``dev.bio``, are training and held-out parts.

        Args:
            data: the shop's folder.
            tags: a BIO file, or a folder of them; the shop's folder when None.

        Raises:
            DataError: no such folder, no products, or two files that could be meant.
        """
        for folder in (data, tags):
            if folder is not None and not folder.exists():
                raise DataError(f"{folder}: no such folder")
        tables = sorted(path for path in data.iterdir() if path.suffix.lower() in EXTENSIONS)
        products, _ = _parts(tables, "products")
        if products is None:
            raise DataError(f"{data}: no products file; products.{{csv,jsonl,parquet}} is expected")
        judgments, held_judgments = _parts(tables, "judgments")
        events, _ = _parts(tables, "events")
        if tags is not None and tags.is_file():
            return cls(products, judgments, held_judgments, events, tags)
        found = sorted((tags or data).glob("*.bio"))
        if tags is not None and not found:
            raise DataError(f"{tags}: no .bio file")
        trained, held = _parts(found, "")
        return cls(products, judgments, held_judgments, events, trained, held)

    def paths(self) -> list[Path]:
        """All files that are there."""
        return [path for path in vars(self).values() if path is not None]


@dataclass(frozen=True)
class Shop:
    """What a shop brings, read and validated.

    Attributes:
        fingerprint: file name → SHA-256.
        warnings: a line for everything that was left out.
    """

    files: ShopFiles
    products: tuple[Product, ...] = field(repr=False)
    judgments: tuple[Judgment, ...] = field(default=(), repr=False)
    held_judgments: tuple[Judgment, ...] = field(default=(), repr=False)
    tags: tuple[TaggedQuery, ...] = field(default=(), repr=False)
    held_tags: tuple[TaggedQuery, ...] = field(default=(), repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    fingerprint: dict[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """BIO labels of the training part; the one label ``O`` without tagged queries."""
        return label_set(self.tags)

    @classmethod
    def load(cls, files: ShopFiles, *, max_bad_share: float = MAX_BAD_SHARE, seed: int = 0) -> Shop:
        """Read every file; a part without a held-out file gives one query of ten to evaluation.

        Raises:
            DataError: a file cannot be used as a whole; it has the rows that say why.
        """
        loaded = read_products(files.products, max_bad_share=max_bad_share)
        products, warnings = loaded.rows, loaded.warnings()
        known = {product.id for product in products}

        def judged(file: Path | None) -> tuple[Judgment, ...]:
            if file is None:
                return ()
            read = read_judgments(file, known_items=known, max_bad_share=max_bad_share)
            warnings.extend(read.warnings())
            return read.rows

        def tagged(file: Path | None, labels: Sequence[str] | None = None) -> tuple[TaggedQuery, ...]:
            if file is None:
                return ()
            read = read_tags(file, labels=labels, max_bad_share=max_bad_share)
            warnings.extend(read.warnings())
            return read.rows

        judgments, held_judgments = judged(files.judgments), judged(files.held_judgments)
        if not held_judgments:
            judgments, held_judgments = _hold_out(judgments, [one.query for one in judgments], seed)
        tags = tagged(files.tags)
        held_tags = tagged(files.held_tags, label_set(tags))
        if not held_tags:
            tags, held_tags = _hold_out(tags, [one.text for one in tags], seed)
            tags, held_tags = _labels_seen(tags, held_tags)
        events: tuple[Event, ...] = ()
        if files.events is not None:
            log = read_events(files.events, known_items=known, max_bad_share=max_bad_share)
            warnings.extend(log.warnings())
            events = log.rows
        return cls(
            files,
            products,
            judgments,
            held_judgments,
            tags,
            held_tags,
            events,
            {path.name: checksum(path) for path in files.paths()},
            tuple(warnings),
        )


def _parts(paths: Sequence[Path], stem: str) -> tuple[Path | None, Path | None]:
    """The training and the held-out file of a kind: ``stem``, ``stem.train`` and ``stem.dev``."""
    mine = [path for path in paths if not stem or path.name.split(".")[0] == stem]
    held = [path for path in mine if any(part in _HELD for part in path.name.split("."))]
    rest = [path for path in mine if path not in held and "test" not in path.name.split(".")]
    for several in (held, rest):
        if len(several) > 1:
            names = ", ".join(path.name for path in several)
            raise DataError(
                f"{several[0].parent}: {names}: one of them is expected; name the parts .train, .dev"
            )
    if held and not rest:
        raise DataError(f"{held[0]}: a held-out part without its training part")
    return (rest[0] if rest else None), (held[0] if held else None)


def _hold_out(rows: tuple[T, ...], keys: Sequence[str], seed: int) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Split by query, so that no query is on both sides; too few queries are all for training."""
    queries = stable_order(keys, seed)
    count = min(_MOST_HELD, int(len(queries) * HELD_SHARE))
    if count < 2:
        return rows, ()
    held = set(queries[:count])
    kept = tuple(row for row, key in zip(rows, keys, strict=True) if key not in held)
    return kept, tuple(row for row, key in zip(rows, keys, strict=True) if key in held)


def _labels_seen(
    kept: tuple[TaggedQuery, ...], held: tuple[TaggedQuery, ...]
) -> tuple[tuple[TaggedQuery, ...], tuple[TaggedQuery, ...]]:
    """A held-out query with a label that no other has is better learned from."""
    labels = set(label_set(kept))
    rare = {query.text for query in held if not labels.issuperset(query.labels)}
    back = tuple(query for query in held if query.text in rare)
    return kept + back, tuple(query for query in held if query.text not in rare)


def texts_of(products: Sequence[Product]) -> dict[str, str]:
    """Product id → the text that the product tower reads."""
    return {product.id: product.encoder_text() for product in products}
