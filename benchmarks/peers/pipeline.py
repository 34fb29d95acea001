"""The search of every peer: encode, retrieve 200, diversify to 20. Needs nothing of Endcap.

The encoder is this release's, as ONNX int8 through ONNX Runtime, or as PyTorch through
sentence-transformers; the products' vectors are the release's; retrieval is faiss' HNSW graph, which on this
catalogue needs a fifth of an exact scan's time; diversification is pyversity's DPP, as Endcap's default is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from pyversity import dpp

CANDIDATES = 200
K = 20
DIVERSITY = 0.3
FOLDER = "ENDCAP_PEERS_ASSETS"
"""Environment variable with the folder that :mod:`benchmarks.peers.assets` wrote."""


Floats = npt.NDArray[np.float32]


class OnnxEncoder:
    """The release's ONNX file, one query at a time."""

    def __init__(self, folder: Path, settings: dict[str, Any], precision: str = "int8") -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / f"{precision}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._prefix = settings["query_prefix"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_length=settings["query_length"])
        # int8 activations are scaled by the whole tensor, padding included: pad as Endcap does.
        self._tokenizer.enable_padding(
            pad_to_multiple_of=settings["pad_multiple"],
            pad_id=settings["pad_id"],
            pad_token=settings["pad_token"],
        )

    def encode(self, query: str) -> Floats:
        """float32 [D], L2-normalized."""
        pieces = self._tokenizer.encode(self._prefix + query)
        feed = {
            "input_ids": np.array([pieces.ids], np.int64),
            "attention_mask": np.array([pieces.attention_mask], np.int64),
        }
        embedding: Floats = self._session.run(["query_embedding"], feed)[0][0]
        return embedding


class TorchEncoder:
    """The same weights in PyTorch, eager, through sentence-transformers."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self._prefix = settings["query_prefix"]
        self._model = SentenceTransformer(str(folder / "sentence-transformers"), device="cpu")

    def encode(self, query: str) -> Floats:
        """float32 [D], L2-normalized."""
        embedding: Floats = self._model.encode(self._prefix + query, show_progress_bar=False)
        return embedding


class Pipeline:
    """One worker's search.

    Args:
        encoder: ``onnx`` or ``torch``.
        folder: of the assets; left out, the environment names it.
    """

    def __init__(self, encoder: str = "onnx", folder: Path | None = None) -> None:
        folder = folder or Path(os.environ[FOLDER])
        settings = json.loads((folder / "assets.json").read_text("utf-8"))
        faiss.omp_set_num_threads(1)
        self._encoder = (TorchEncoder if encoder == "torch" else OnnxEncoder)(folder, settings)
        index: Any = faiss.read_index(str(folder / "hnsw.faiss"))
        index.hnsw.efSearch = settings["ef_search"]
        self._index = index
        # Mapped: the workers share its pages.
        self._vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        self._ids = json.loads((folder / "ids.json").read_text("utf-8"))

    def retrieve(self, query: str) -> tuple[npt.NDArray[np.int64], Floats]:
        """Rows of the nearest products and their cosine similarities."""
        embedding = self._encoder.encode(query)
        scores, rows = self._index.search(embedding[None], CANDIDATES)
        return rows[0], scores[0]

    def search(self, query: str, k: int = K, diversity: float = DIVERSITY) -> dict[str, list[Any]]:
        """``{"ids": […], "scores": […]}``, best first."""
        rows, scores = self.retrieve(query)
        chosen = dpp(self._vectors[rows], scores, k, diversity).indices
        return {
            "ids": [self._ids[row] for row in rows[chosen].tolist()],
            "scores": scores[chosen].tolist(),
        }

    def candidates(self, query: str) -> dict[str, list[Any]]:
        """All candidates, for the check before anything is timed."""
        rows, scores = self.retrieve(query)
        return {"ids": [self._ids[row] for row in rows.tolist()], "scores": scores.tolist()}
