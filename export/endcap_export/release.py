"""Writing a release: the immutable folder that ``endcap_rerank.release`` opens."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import ReleaseError
from endcap_rerank.index import build_index
from endcap_rerank.product import Product
from endcap_rerank.release import (
    ENCODER_DIR,
    EVALUATION,
    FORMAT,
    INDEX_DIR,
    MANIFEST,
    MANIFEST_CHECKSUM,
    RANKING,
    TOKENIZER,
    Release,
    TextSettings,
    checksum,
    manifest_checksum,
)

from endcap_export.held import HeldSet

TENSORRT = "tensorrt"
"""Key of ``encoders`` whose file is a TensorRT plan; every other key is an ONNX precision."""

_LIBRARIES = (
    "endcap-export",
    "endcap-rerank",
    "numpy",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "lightgbm",
    "tensorrt-rtx",
)


def write_release(
    directory: Path,
    *,
    tokenizer: Path,
    encoders: Mapping[str, Path],
    labels: Sequence[str],
    text: TextSettings,
    products: Sequence[Product],
    embeddings: npt.NDArray[np.float32],
    interactions: npt.NDArray[np.float64] | None = None,
    ranking: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    held: HeldSet | None = None,
) -> Release:
    """Write ``directory/<id>/`` and return it opened; nothing is left behind when anything fails.

    The folder is written under a temporary name, flushed to disk and renamed, so a release that can
    be seen is whole. Needs no torch.

    Args:
        directory: where releases lie; made when absent.
        tokenizer: a ``tokenizer.json`` of a Hugging Face fast tokenizer.
        encoders: precision → ONNX file, ``fp32`` among them; ``tensorrt`` → a plan, with its
            ``.json`` beside it.
        labels: BIO labels by class index; the width of ``tag_logits``.
        text: prefixes and lengths with which the encoder was trained.
        products: the catalogue.
        embeddings: float32 [len(products), D], L2-normalized, of ``fp32``'s space.
        interactions: as of ``build_index``.
        ranking: ranking weights, when there are learned ones.
        record: what is worth keeping of how it was made: training data, metrics, parity.
        held: queries that it was not trained on; ``register`` compares releases on them.

    Raises:
        ReleaseError: no products, no fp32 encoder, shapes that do not fit each other, vectors that
            are not finite or not of unit length.
    """
    _check(encoders, labels, products, embeddings)
    directory.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".release-", dir=directory))
    try:
        shutil.copyfile(tokenizer, draft / TOKENIZER)
        (draft / ENCODER_DIR).mkdir()
        for precision, file in encoders.items():
            _copy_encoder(precision, file, draft / ENCODER_DIR)
        encoder_id = checksum(draft / ENCODER_DIR / "fp32.onnx")
        build_index(draft / INDEX_DIR, products, embeddings, encoder_id=encoder_id, interactions=interactions)
        if ranking is not None:
            (draft / RANKING).write_text(json.dumps(ranking, indent=2), "utf-8")
        if held:
            held.write(draft / EVALUATION)
        checksums = {
            file.relative_to(draft).as_posix(): checksum(file)
            for file in sorted(draft.rglob("*"))
            if file.is_file()
        }
        created = datetime.now(UTC)
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "id": "",
            "created_at": created.isoformat(timespec="seconds"),
            "labels": list(labels),
            "dimension": int(embeddings.shape[1]),
            "text": asdict(text),
            "encoder_id": encoder_id,
            "precisions": sorted(encoders),
            "products": len(products),
            "versions": library_versions(),
            "record": dict(record or {}),
            "checksums": checksums,
        }
        # Through JSON and back: what a reader gets, tuples as lists and all.
        manifest = json.loads(json.dumps(manifest))
        # Of all that it says: equal files can come with other labels within one second.
        content = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        manifest["id"] = f"{created:%Y%m%d-%H%M%S}-{content[:6]}"
        manifest[MANIFEST_CHECKSUM] = manifest_checksum(manifest)
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False), "utf-8")
        draft.chmod(0o755)
        sync_tree(draft)
        target = directory / str(manifest["id"])
        if target.exists():
            raise ReleaseError(f"{target}: exists already")
        draft.rename(target)
        sync(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Release.open(target)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a release, those that are installed."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def sync(path: Path) -> None:
    """Flush a file or a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Flush a folder and all that is in it to disk."""
    for path in directory.rglob("*"):
        sync(path)
    sync(directory)


def _copy_encoder(precision: str, file: Path, directory: Path) -> None:
    if precision != TENSORRT:
        shutil.copyfile(file, directory / f"{precision}.onnx")
        return
    shutil.copyfile(file, directory / f"{TENSORRT}.plan")
    if (described := file.with_suffix(".json")).is_file():
        shutil.copyfile(described, directory / f"{TENSORRT}.json")


def _check(
    encoders: Mapping[str, Path],
    labels: Sequence[str],
    products: Sequence[Product],
    embeddings: npt.NDArray[np.float32],
) -> None:
    if "fp32" not in encoders:
        raise ReleaseError(f"encoders: got {sorted(encoders)}; 'fp32' is required")
    if not products:
        raise ReleaseError("products: the catalogue is empty; a release needs at least one product")
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or len(embeddings) != len(products):
        raise ReleaseError(
            f"embeddings: got {embeddings.dtype} {list(embeddings.shape)}; "
            f"float32 [{len(products)}, D] is expected, one row a product"
        )
    norms = np.linalg.norm(embeddings, axis=1)
    if not np.all(np.abs(norms - 1.0) < 1e-3):
        worst = int(np.nanargmax(np.where(np.isfinite(norms), np.abs(norms - 1.0), np.inf)))
        raise ReleaseError(
            f"embeddings: row {worst} ({products[worst].id!r}) has norm {norms[worst]:.4g}; 1 is expected"
        )
    if len(set(labels)) != len(labels):
        raise ReleaseError(f"labels: got {list(labels)}; each may stand once")
