"""A look at the held-out data while a model trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.evaluate import ranking_scores, tag_scores
from endcap_export.model import TwoHeadBert
from endcap_export.shop import Shop, texts_of
from endcap_export.torch_encoder import TorchEncoder


@dataclass(frozen=True)
class HeldOut:
    """What a model is looked at with; either part may be empty.

    Attributes:
        tagged: queries for the tag head.
        judgments: graded pairs for the embedding.
        texts: product id → the text that the product tower reads.
    """

    tagged: Sequence[TaggedQuery] = ()
    judgments: Sequence[Judgment] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, shop: Shop) -> HeldOut:
        """The held-out part of a shop's data."""
        return cls(shop.held_tags, shop.held_judgments, texts_of(shop.products))

    def figures(self, model: TwoHeadBert, tokenizer: QueryTokenizer) -> dict[str, float]:
        """``held_f1`` and ``held_ndcg10``, those that there are data for, and their sum ``held``.

        The model reads as it does in training: in bfloat16 where it trains so.
        """
        encoder = TorchEncoder(model)
        figures = {}
        if self.tagged:
            figures["held_f1"] = tag_scores(encoder, tokenizer, model.labels, self.tagged)["f1"]
        if ranked := ranking_scores(encoder, tokenizer, self.judgments, self.texts):
            figures["held_ndcg10"] = ranked["ndcg10"]
        return {**figures, "held": round(sum(figures.values()), 4)} if figures else {}
