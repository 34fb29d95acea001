"""What both heads are trained to lower."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from endcap_export.alignment import IGNORED
from endcap_export.training_settings import TrainingSettings

TAGS = "tags"
PAIRS = "pairs"
LOSSES = (TAGS, PAIRS)
"""Names of the losses, of which a batch has one or more."""


def batch_losses(
    model: torch.nn.Module, batch: Mapping[str, Tensor], settings: TrainingSettings
) -> dict[str, Tensor]:
    """Mean loss of each part that the batch has, in float32.

    Args:
        model: gives embeddings and tag logits, as ``TwoHeadBert``.
        batch: as ``JointDataset.collate`` makes it.
        settings: hyperparameters.
    """
    losses = {}
    if "tag_ids" in batch:
        _, logits = model(batch["tag_ids"], batch["tag_mask"])
        losses[TAGS] = tag_loss(logits.float(), batch["tag_labels"])
    if "query_ids" in batch:
        queries, _ = model(batch["query_ids"], batch["query_mask"])
        items, _ = model(batch["item_ids"], batch["item_mask"])
        losses[PAIRS] = pair_loss(
            queries.float(), items.float(), batch["false_negatives"], settings.temperature
        )
    return losses


def batch_counts(batch: Mapping[str, Tensor]) -> dict[str, int]:
    """How much each mean of ``batch_losses`` is a mean of: labelled pieces, and pairs.

    The loss of several batches is the mean over all that they hold, whichever batch it lies in.
    """
    counts = {}
    if "tag_ids" in batch:
        counts[TAGS] = int((batch["tag_labels"] != IGNORED).sum())
    if "query_ids" in batch:
        counts[PAIRS] = len(batch["query_ids"])
    return counts


def loss_weights(settings: TrainingSettings) -> dict[str, float]:
    """Weight of each loss in their sum."""
    return {TAGS: settings.tag_weight, PAIRS: 1.0}


def tag_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the pieces that carry a label.

    Args:
        logits: float32 [B, T, L].
        labels: int64 [B, T], ``IGNORED`` where a piece carries none.
    """
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def pair_loss(queries: Tensor, items: Tensor, false_negatives: Tensor, temperature: float) -> Tensor:
    """Softmax cross-entropy of each query's product among the products of the batch.

    f(q, n) = softmax(M(q) · v_n / temperature), where a product that also answers the query is no negative.

    Args:
        queries, items: float32 [P, D] of unit length; item i answers query i.
        false_negatives: bool [P, P], where item j answers query i although it is another pair's item.
        temperature: above 0.
    """
    scores = (queries @ items.T / temperature).masked_fill(false_negatives, -torch.inf)
    return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))
