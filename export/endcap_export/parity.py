"""Whether an exported encoder computes what the trained one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from endcap_rerank.errors import EndcapError
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.encoder import OnnxEncoder
from endcap_export.model import TwoHeadBert

TOLERANCE = 1e-4
"""Largest absolute difference of either output that an fp32 export may have."""

_BATCH_SIZES = (1, 2, 3, 7, 16, 32)


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences between PyTorch and ONNX over all batches."""

    embedding_max_abs: float
    logits_max_abs: float
    texts: int
    batches: int

    def as_mapping(self) -> dict[str, float]:
        """The figures as JSON-ready values."""
        return asdict(self)


class ParityError(EndcapError):
    """An exported encoder does not compute what the trained one does; ``parity`` has the figures."""

    def __init__(self, file: Path, parity: Parity, tolerance: float) -> None:
        self.parity = parity
        super().__init__(
            f"{file}: refused, it differs from the trained encoder by {parity.embedding_max_abs:.2e} "
            f"(query_embedding) and {parity.logits_max_abs:.2e} (tag_logits) over {parity.texts} texts in "
            f"{parity.batches} padded batches; at most {tolerance:.0e} is allowed"
        )


def check_parity(
    model: TwoHeadBert,
    file: Path,
    tokenizer: QueryTokenizer,
    texts: Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Parity:
    """Run both on the same padded batches of many sizes and lengths and compare both outputs.

    Texts are shuffled, so short ones stand beside long ones and are padded; extra all-padding columns are
    added to some batches. Logits of padding are not compared: nothing reads them.

    Raises:
        ParityError: a difference above ``tolerance``, or a value that is not finite.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(texts))
    encoder = OnnxEncoder(file, threads=torch.get_num_threads())
    model.eval()
    embedding = logits = 0.0
    start = batches = 0
    while start < len(order):
        size = _BATCH_SIZES[batches % len(_BATCH_SIZES)]
        tokens = tokenizer.encode([texts[row] for row in order[start : start + size]])
        extra = ((0, 0), (0, int(generator.integers(0, 9))))
        ids = np.pad(tokens.input_ids, extra)
        mask = np.pad(tokens.attention_mask, extra)
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids), torch.from_numpy(mask))
        actual = encoder.encode(ids, mask)
        embedding = _worst(embedding, expected[0].numpy() - actual[0])
        logits = _worst(logits, (expected[1].numpy() - actual[1])[mask == 1])
        start, batches = start + size, batches + 1
    parity = Parity(embedding, logits, len(texts), batches)
    if not (embedding <= tolerance and logits <= tolerance):
        raise ParityError(file, parity, tolerance)
    return parity


def _worst(before: float, difference: np.ndarray) -> float:
    """The larger of both; NaN counts as infinite, so that it can never pass."""
    largest = float(np.abs(difference).max(initial=0.0))
    return max(before, largest if np.isfinite(largest) else float("inf"))
