"""The same request without Triton: each stage called in turn, in this process, and timed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from time import perf_counter

from endcap_export.encoder import OnnxEncoder
from endcap_export.registry import current
from endcap_rerank.deployed import deployed_release
from endcap_rerank.ranker import Ranker
from endcap_rerank.requests import SearchRequest
from endcap_rerank.settings import Settings
from endcap_rerank.tokenizer import QueryTokenizer

STAGES = ("tokenize", "encode", "retrieve", "rank", "diversify")
"""The stages whose sum the whole request is held against; ``answer`` (ids and JSON) comes after them."""


class InProcess:
    """What a registered repository serves, opened in this process, on one thread.

    Args:
        repository: what ``endcap register`` wrote.
        state: folder of the stores; that of a running server, so that both know the same shoppers.
    """

    def __init__(self, repository: Path, state: Path) -> None:
        version = str(current(repository).version)
        models = repository / "models"
        self.release = deployed_release(models / "rerank" / version)
        self._tokenizer = QueryTokenizer(self.release)
        self._encoder = OnnxEncoder(models / "encode" / version / "model.onnx", threads=1)
        self._ranker = Ranker.open(self.release, Settings(state=state))

    def search(self, query: str, user: str, k: int, diversity: float) -> tuple[list[str], dict[str, float]]:
        """Product ids, best first, and the milliseconds of each stage and of ``answer``."""
        at = [perf_counter()]
        tokens = self._tokenizer.encode([query])
        at.append(perf_counter())
        embeddings, logits = self._encoder.encode(tokens.input_ids, tokens.attention_mask)
        at.append(perf_counter())
        request = SearchRequest.validated(
            query, embeddings[0], logits[0], tokens.offsets[0], user=user, k=k, diversity=diversity
        )
        pool = self._ranker.retrieve(request)
        at.append(perf_counter())
        scored = self._ranker.rank(request, pool)
        at.append(perf_counter())
        selected = self._ranker.diversify(request, pool, scored)
        at.append(perf_counter())
        answer = self._ranker.answer(request, pool, scored, selected)
        at.append(perf_counter())
        spans = (1000 * (end - start) for start, end in pairwise(at))
        return answer.item_ids, dict(zip((*STAGES, "answer"), spans, strict=True))
