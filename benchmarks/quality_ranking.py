"""The learned relevance of Home Depot, from queries that the encoder it is learned with never saw."""

from __future__ import annotations

from pathlib import Path

from endcap_export.evaluate.models import open_model
from endcap_export.evaluate.ranking import judged_queries
from endcap_export.evaluate.systems import indexed
from endcap_export.progress import Progress, silent
from endcap_export.ranking import Learned, learn_ranking
from endcap_export.trained import TrainedEncoder

from benchmarks.quality_parts import CONFIGS, FOLDER, HALF, Data, other_half, shop_of, trained_part


def half_encoder(
    data: Data,
    folder: Path = FOLDER,
    *,
    configs: Path = CONFIGS,
    train: bool = True,
    progress: Progress = silent,
) -> TrainedEncoder:
    """The encoder that was trained on half of the training queries.

    Raises:
        EndcapError: it would have to be trained and ``train`` is false.
    """
    return trained_part(HALF, shop_of(HALF, data), folder, configs=configs, train=train, progress=progress)


def learned_with(
    half: TrainedEncoder, data: Data, *, vectors: Path | None = None, progress: Progress = silent
) -> Learned:
    """What the other half of the training queries teaches; the dev queries have no part in it.

    Args:
        vectors: folder where vectors of the catalogue are kept.
    """
    shop = shop_of("pairs", data)
    model = open_model(half.path)
    embeddings = model.vectors([one.encoder_text() for one in shop.products], kept=vectors)
    new = other_half(shop)
    place = {product.id: row for row, product in enumerate(shop.products)}
    queries = judged_queries([one for one in shop.judgments if one.query in new], place.get)
    asked = model.vectors([query.query for query in queries], queries=True, kept=vectors)
    with indexed(shop.products, embeddings) as index:
        return learn_ranking(index, queries, asked, progress=progress)
