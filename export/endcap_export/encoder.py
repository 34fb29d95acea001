"""Running an exported encoder with ONNX Runtime, without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.tokenizer import Tokens

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_CHUNK = 16_384
"""Texts that are tokenized and sorted at once: bounds memory, and is enough for like lengths."""


class Encoder(Protocol):
    """What encodes texts, exported or not.

    Attributes:
        dimension: D of its embeddings.
    """

    dimension: int

    def encode(self, input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        """Padded batch [B, T] to ``query_embedding`` float32 [B, D] and ``tag_logits`` float32 [B, T, L]."""


class OnnxEncoder:
    """One exported encoder: word pieces in, query embedding and tag logits out.

    Args:
        path: an ONNX file with the inputs and outputs of ``endcap_rerank.schema.ENCODE``.
        threads: intra-op threads; 1 in serving, every core when a catalogue is encoded.

    Raises:
        ReleaseError: the file cannot be loaded or lacks one of the tensors.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads take the cores from whatever else runs here.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own classes, one a status code
            raise ReleaseError(f"{path}: ONNX Runtime cannot load it ({error})") from error
        names = {node.name for node in (*self._session.get_inputs(), *self._session.get_outputs())}
        expected = {"input_ids", "attention_mask", "query_embedding", "tag_logits"}
        if not expected <= names:
            raise ReleaseError(f"{path}: has tensors {sorted(names)}; {sorted(expected)} are expected")
        shapes = {node.name: node.shape for node in self._session.get_outputs()}
        self.dimension = shapes["query_embedding"][-1]
        self.label_count = shapes["tag_logits"][-1]
        if not isinstance(self.dimension, int) or not isinstance(self.label_count, int):
            raise ReleaseError(
                f"{path}: output shapes are {shapes}; the last dimension of each must be fixed"
            )

    def encode(self, input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        """Encode a padded batch.

        Args:
            input_ids: int64 [B, T].
            attention_mask: int64 [B, T], 1 for a word piece and 0 for padding.

        Returns:
            ``query_embedding`` float32 [B, D] of unit length, ``tag_logits`` float32 [B, T, L].

        Raises:
            InvalidInputError: the two shapes differ or are not [B, T].
        """
        if input_ids.ndim != 2 or input_ids.shape != attention_mask.shape:
            shapes = (input_ids.shape, attention_mask.shape)
            raise InvalidInputError("input_ids, attention_mask", shapes, "two arrays of one shape [B, T]")
        feeds = {
            "input_ids": input_ids.astype(np.int64, copy=False),
            "attention_mask": attention_mask.astype(np.int64, copy=False),
        }
        embeddings, logits = self._session.run(["query_embedding", "tag_logits"], feeds)
        return embeddings, logits


def encode_texts(
    encoder: Encoder,
    tokenize: Callable[[Sequence[str]], Tokens],
    texts: Sequence[str],
    *,
    workers: int | None = None,
    batch_pieces: int = 1024,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Embed many texts, in batches of like length so that little is spent on padding.

    Batches run side by side on one-threaded sessions: two threads that split each small product between
    them would spend their time waiting for each other.

    Args:
        encoder: an encoder that works with one thread.
        tokenize: ``QueryTokenizer.encode_products`` for products, ``.encode`` for queries.
        texts: what to embed.
        workers: batches at a time; every core that this process may use when None.
        batch_pieces: word pieces of one batch, padding included; small batches stay in the cache.
        progress: called after each batch with the number of texts done in it.

    Returns:
        float32 [len(texts), D], unit length, in the order of ``texts``.
    """
    embeddings = np.empty((len(texts), encoder.dimension), np.float32)
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        for first in range(0, len(texts), _CHUNK):
            tokens = tokenize(texts[first : first + _CHUNK])
            batches = _like_lengths(tokens.attention_mask.sum(axis=1), batch_pieces)
            inputs = (
                (tokens.input_ids[rows, :width], tokens.attention_mask[rows, :width])
                for rows, width in batches
            )
            for (rows, _), answer in zip(
                batches, pool.map(lambda batch: encoder.encode(*batch)[0], inputs), strict=True
            ):
                embeddings[first + rows] = answer
                if progress is not None:
                    progress(len(rows))
    return embeddings


def _like_lengths(lengths: Integers, batch_pieces: int) -> list[tuple[Integers, int]]:
    """Rows of each batch and its width, such that rows times width stays at most ``batch_pieces``."""
    order = np.argsort(lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        # Sorted by length, the last of a batch is the longest.
        end = start + 1
        while end < len(order) and (end + 1 - start) * lengths[order[end]] <= batch_pieces:
            end += 1
        batches.append((order[start:end], int(lengths[order[end - 1]])))
        start = end
    return batches
