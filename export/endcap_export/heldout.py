"""A look at the held-out data while a model trains."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.evaluate import ranking_scores, tag_scores
from endcap_export.model import TwoHeadBert
from endcap_export.shop import Shop, texts_of


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
        encoder = ModelEncoder(model)
        figures = {}
        if self.tagged:
            figures["held_f1"] = tag_scores(encoder, tokenizer, model.labels, self.tagged)["f1"]
        if ranked := ranking_scores(encoder, tokenizer, self.judgments, self.texts):
            figures["held_ndcg10"] = ranked["ndcg10"]
        return {**figures, "held": round(sum(figures.values()), 4)} if figures else {}


class ModelEncoder:
    """A model in training with the calls of an exported encoder."""

    def __init__(self, model: TwoHeadBert) -> None:
        self._model = model.eval()
        self.dimension = int(getattr(model.config, "dimensions", None) or model.config.hidden_size)
        # Texts are encoded by several threads; PyTorch has threads of its own for one batch at a time.
        self._lock = threading.Lock()

    def encode(
        self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As an exported encoder does, in the precision of training."""
        device = self._model.device
        with self._lock, torch.no_grad():
            embeddings, logits = self._model(
                torch.from_numpy(input_ids).to(device), torch.from_numpy(attention_mask).to(device)
            )
            return embeddings.float().cpu().numpy(), logits.float().cpu().numpy()
