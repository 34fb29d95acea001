"""Vectors of the packaged MiniLM as it comes, for quality runs that shall not depend on a training run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_rerank.release import TOKENIZER, Release, TextSettings
from endcap_rerank.tokenizer import QueryTokenizer

FOLDER = Path("build/untuned")
"""The exported encoder and what it encoded; it is made once."""

DIMENSION = 384
TEXT = TextSettings()


def draft_release(directory: Path, encoder_id: str = "minilm") -> Release:
    """A release without an encoder of its own: what a ``Ranker`` needs beside an index in ``directory``."""
    return Release(directory, "untuned", (), DIMENSION, TEXT, encoder_id, manifest={})


def embed(texts: Sequence[str], *, queries: bool = False, folder: Path = FOLDER) -> npt.NDArray[np.float32]:
    """Embed texts, products unless ``queries``: float32 [n, 384], unit length. Kept on disk by content."""
    from endcap_export.encoder import OnnxEncoder, encode_texts

    digest = hashlib.sha256("\0".join([str(queries), *texts]).encode()).hexdigest()[:16]
    file = folder / f"{digest}.npy"
    if file.is_file():
        kept: npt.NDArray[np.float32] = np.load(file)
        return kept
    encoder = folder / "int8.onnx"
    if not encoder.is_file():
        _export(folder)
    tokenizer = QueryTokenizer(draft_release(folder))
    tokenize = tokenizer.encode if queries else tokenizer.encode_products
    vectors = encode_texts(OnnxEncoder(encoder), tokenize, texts)
    np.save(file, vectors)
    return vectors


def _export(folder: Path) -> None:
    from endcap_export.base import find_base, load_model, save_tokenizer
    from endcap_export.onnx_export import export_onnx
    from endcap_export.quantize import quantize

    folder.mkdir(parents=True, exist_ok=True)
    base = find_base("minilm")
    save_tokenizer(base, folder / TOKENIZER)
    model = load_model(base, ["O"])
    model.train(False)
    export_onnx(model, folder / "fp32.onnx")
    quantize(folder / "fp32.onnx", folder / "int8.onnx", "rowwise")
