"""The index of a catalogue: building it, opening it, searching it while it changes.

Example::

    build_index(directory, products, vectors, encoder_id="…")
    live = LiveIndex(Index.open(directory), CatalogStore(state / "catalog.db"))
    live.refresh()
    found = live.retrieve("cordless drill", query_vector, count=200, filters=Filters(price_max=99))
    live.item_ids(found.rows)
"""

from endcap_rerank.index.build import Index, build_index
from endcap_rerank.index.fusion import LEXICAL_WEIGHT, Candidates
from endcap_rerank.index.live import LiveIndex

__all__ = ["LEXICAL_WEIGHT", "Candidates", "Index", "LiveIndex", "build_index"]
