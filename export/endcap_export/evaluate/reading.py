"""The files of an evaluation: a shop's held-out parts, or single files as a whole."""

from __future__ import annotations

from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from endcap_export.bio import read_tags
from endcap_export.data import read_judgments, read_products
from endcap_export.evaluate.run import EvaluationSet
from endcap_export.rows import MAX_BAD_SHARE, DataError
from endcap_export.shop import Shop, ShopFiles

_HELD = ("dev", "valid", "validation", "held")


def read_set(
    data: Path | None = None,
    *,
    tags: Path | None = None,
    judgments: Path | None = None,
    products: Path | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
) -> EvaluationSet:
    """Read what is to be evaluated on.

    Args:
        data: a shop's folder, of which the held-out parts are taken as in training.
        tags: a BIO file, every query of it, in place of the folder's; or a folder with ``dev.bio``.
        judgments: a file of graded pairs, every pair of it, in place of the folder's.
        products: a catalogue, in place of the folder's.
        max_bad_share: share of bad rows above which a file is refused.

    Raises:
        DataError: a file cannot be used; it has the rows that say why.
        InvalidInputError: nothing was named.
    """
    if data is None and tags is None and judgments is None:
        raise InvalidInputError(
            "--data", "nothing", "a shop's folder, or --tags or --judgments with a file, is expected"
        )
    found = EvaluationSet()
    warnings: list[str] = []
    if data is not None:
        folder = tags if tags is not None and tags.is_dir() else None
        shop = Shop.load(ShopFiles.find(data, folder), max_bad_share=max_bad_share)
        found = EvaluationSet(shop.held_tags, shop.tags, shop.held_judgments, shop.products)
        warnings += shop.warnings
    tagged, training = found.tags, found.training_tags
    if tags is not None and (data is None or not tags.is_dir()):
        file, beside = _tag_files(tags)
        # Labels that the model does not know stay: their spans are missed, not left out.
        read = read_tags(file, max_bad_share=max_bad_share)
        tagged = read.rows
        warnings += read.warnings()
        if beside is not None:
            training = read_tags(beside, max_bad_share=1.0).rows
    catalogue = found.products
    if products is not None:
        loaded = read_products(products, max_bad_share=max_bad_share)
        catalogue = loaded.rows
        warnings += loaded.warnings()
    graded = found.judgments
    if judgments is not None:
        known = {product.id for product in catalogue} if catalogue else None
        pairs = read_judgments(judgments, known_items=known, max_bad_share=max_bad_share)
        graded = pairs.rows
        warnings += pairs.warnings()
    return EvaluationSet(tagged, training, graded, catalogue, tuple(warnings))


def _tag_files(path: Path) -> tuple[Path, Path | None]:
    """The file to evaluate on and, in a folder, the training file beside it."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_file():
        return path, None
    files = sorted(path.glob("*.bio"))
    held = [file for file in files if any(part in _HELD for part in file.name.split("."))]
    if len(held) != 1:
        names = ", ".join(file.name for file in files) or "no .bio file"
        raise DataError(f"{path}: {names}; one dev.bio is expected, or the name of a file")
    training = [file for file in files if "train" in file.name.split(".")]
    return held[0], training[0] if training else None
