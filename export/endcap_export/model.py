"""One BERT with two heads: an embedding of the text and a label for each of its pieces."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.models.bert.modeling_bert import BertPreTrainedModel

MASKED = -1e4
"""Added to the attention scores of padding; finite, and within half precision."""


class TwoHeadBert(BertPreTrainedModel):
    """A trunk that reads a text once and answers twice.

    The embedding is the mean of the last hidden states over the text's pieces, of unit length; the tag
    head is dropout and a linear layer over each piece. The label set is ``config.id2label``; with the
    one label ``O`` the head is there, untrained and unread, so that every encoder has the same outputs.

    ``config.dimensions`` keeps only that many first numbers of the embedding; absent or None, all.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, len(config.id2label or {}))
        self.post_init()

    @property
    def labels(self) -> tuple[str, ...]:
        """BIO labels by class index."""
        names = cast("dict[int, str]", self.config.id2label)
        return tuple(names[index] for index in sorted(names))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read a padded batch.

        Args:
            input_ids: int64 [B, T].
            attention_mask: int64 [B, T], 0 on padding.

        Returns:
            ``query_embedding`` float [B, D] of unit length, ``tag_logits`` float [B, T, L].
        """
        states = self.states(input_ids, attention_mask)
        return self.pool(states, attention_mask), self.classifier(self.dropout(states))

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Last hidden states [B, T, H], from which both answers follow."""
        # A ready additive mask: transformers' own is a hundred nodes in ONNX, with infinities that
        # half precision cannot hold.
        hidden = (1 - attention_mask)[:, None, None, :].to(self.classifier.weight.dtype) * MASKED
        return self.bert(input_ids=input_ids, attention_mask=hidden).last_hidden_state

    def pool(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """The embedding [B, D] of last hidden states [B, T, H]."""
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        # The floor keeps a warm-up request, whose mask is all zero, from dividing by zero.
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        mean = mean[:, : getattr(self.config, "dimensions", None)]
        return mean / torch.linalg.vector_norm(mean, dim=-1, keepdim=True).clamp(min=1e-12)
