"""Products changed since the release, encoded again when another encoder is registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.release import Release
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.encoder import OnnxEncoder, encode_texts

_CHUNK = 256


def reencode_changes(
    store: Path, release: Release, precision: str, progress: Callable[[int], None] | None = None
) -> int:
    """Give the catalogue's changes vectors of the release's encoder.

    Until that is done they are found by their words only. A product that is upserted meanwhile keeps its
    newer state.

    Args:
        store: the catalogue's SQLite file; nothing is done where there is none.
        release: the release that is served from now on.
        precision: which of its encoders is served.
        progress: called with the number of products done.

    Returns:
        How many changes were encoded.

    Raises:
        StoreError: the store cannot be read or written.
        ReleaseError: the encoder or the tokenizer cannot be opened.
    """
    if not store.is_file():
        return 0
    changes = CatalogStore(store)
    try:
        stale = [
            (change.seq, change.product)
            for change in changes.changes_since(0)
            if change.product is not None and change.encoder_id != release.encoder_id
        ]
        if not stale:
            return 0
        encoder, tokenizer = OnnxEncoder(release.encoder(precision)), QueryTokenizer(release)
        for start in range(0, len(stale), _CHUNK):
            chunk = stale[start : start + _CHUNK]
            texts = [product.encoder_text() for _, product in chunk]
            vectors = encode_texts(encoder, tokenizer.encode_products, texts)
            numbers = [seq for seq, _ in chunk]
            changes.reencode(zip(numbers, vectors, strict=True), release.encoder_id)
            if progress is not None:
                progress(len(chunk))
        return len(stale)
    finally:
        changes.close()
