"""The search pipeline in this process, without Triton: what the server's answers are held against."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from endcap_export.encoder import OnnxEncoder
from endcap_rerank.errors import ReleaseError
from endcap_rerank.options import Options
from endcap_rerank.ranker import Ranker
from endcap_rerank.release import Release
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest
from endcap_rerank.settings import Settings
from endcap_rerank.tokenizer import QueryTokenizer

STAGES = ("tokenize", "encode", "retrieve", "rank", "diversify", "answer")
"""The stages of a search, in order, as ``LocalSearch.timed`` names them."""


class LocalSearch:
    """The stages of the server's ``search`` and ``recommend``, on the same release and the same stores."""

    def __init__(self, tokenizer: QueryTokenizer, encoder: OnnxEncoder, ranker: Ranker) -> None:
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.ranker = ranker

    @classmethod
    def open(
        cls,
        release: Release | Path,
        settings: Settings | None = None,
        *,
        precision: str = "",
        threads: int = 1,
    ) -> LocalSearch:
        """Open a release.

        Args:
            release: opened, or its folder.
            settings: from the environment when left out.
            precision: ``int8`` or ``fp32``; left out, what ``register`` would serve: int8 where there is one.
            threads: of the encoder.

        Raises:
            ReleaseError: the release lacks a part.
        """
        opened = release if isinstance(release, Release) else Release.open(release)
        encoder = _encoder(opened, precision)
        ranker = Ranker.open(opened, settings or Settings.from_environment())
        return cls(QueryTokenizer(opened), OnnxEncoder(encoder, threads=threads), ranker)

    def search(
        self,
        query: str,
        *,
        user: str | None = None,
        k: int | None = None,
        diversity: float | None = None,
        options: Options | str | None = None,
    ) -> Ranked:
        """Answer one query as the server does.

        Raises:
            InvalidInputError: names the field.
        """
        return self.timed(query, user=user, k=k, diversity=diversity, options=options)[0]

    def timed(
        self,
        query: str,
        *,
        user: str | None = None,
        k: int | None = None,
        diversity: float | None = None,
        options: Options | str | None = None,
    ) -> tuple[Ranked, dict[str, float]]:
        """Answer one query; also the seconds that each of ``STAGES`` took."""
        clock = time.perf_counter
        marks = [clock()]
        tokens = self.tokenizer.encode([query])
        marks.append(clock())
        embeddings, tag_logits = self.encoder.encode(tokens.input_ids, tokens.attention_mask)
        marks.append(clock())
        request = SearchRequest.validated(
            query,
            embeddings[0],
            tag_logits[0],
            tokens.offsets[0],
            user=user,
            k=k,
            diversity=diversity,
            options=options,
        )
        pool = self.ranker.retrieve(request)
        marks.append(clock())
        scored = self.ranker.rank(request, pool)
        marks.append(clock())
        selected = self.ranker.diversify(request, pool, scored)
        marks.append(clock())
        ranked = self.ranker.answer(request, pool, scored, selected)
        marks.append(clock())
        seconds = [end - begin for begin, end in pairwise(marks)]
        return ranked, dict(zip(STAGES, seconds, strict=True))

    def recommend(
        self,
        *,
        user: str | None = None,
        item: str | None = None,
        k: int | None = None,
        diversity: float | None = None,
        options: Options | str | None = None,
    ) -> Ranked:
        """Answer without a query as the server does.

        Raises:
            InvalidInputError: names the field.
        """
        return self.ranker.recommend(
            RecommendRequest.validated(user=user, item=item, k=k, diversity=diversity, options=options)
        )


def _encoder(release: Release, precision: str) -> Path:
    if precision:
        return release.encoder(precision)
    try:
        return release.encoder("int8")
    except ReleaseError:
        return release.encoder("fp32")
