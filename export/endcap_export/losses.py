"""What both heads are trained to lower."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from endcap_export.alignment import IGNORED
from endcap_export.batches import NO_GRADE
from endcap_export.data import RIGHT
from endcap_export.matryoshka import matryoshka_loss
from endcap_export.training_settings import TrainingSettings

TAGS = "tags"
PAIRS = "pairs"
GRADES = "grades"
LOSSES = (TAGS, PAIRS, GRADES)
"""Names of the losses, of which a batch has one or more."""

_OUT = -1e4
"""Score of what takes no part: finite, so that a row without any other score has a gradient."""


def batch_losses(
    model: torch.nn.Module, batch: Mapping[str, Any], settings: TrainingSettings
) -> dict[str, Tensor]:
    """Mean loss of each part that the batch has, in float32.

    Args:
        model: gives embeddings and tag logits, as ``TwoHeadBert``.
        batch: as ``JointDataset.collate`` makes it.
        settings: hyperparameters.
    """
    losses = {}
    if "tag_ids" in batch:
        losses[TAGS] = _tags(model, batch, settings)
    if "query_ids" in batch:
        queries = model(batch["query_ids"], batch["query_mask"])[0].float()
        items = torch.cat([model(ids, mask)[0] for ids, mask in batch["items"]]).float()
        counts = batch_counts(batch)
        losses |= {
            name: matryoshka_loss(queries, items, settings.matryoshka, partial(loss, batch, settings))
            for name, loss in ((PAIRS, _pairs), (GRADES, _grades))
            if counts[name]
        }
    return losses


def batch_counts(batch: Mapping[str, Any]) -> dict[str, int]:
    """How much each mean of ``batch_losses`` is a mean of: labelled pieces, right answers, graded queries.

    The loss of several batches is the mean over all that they hold, whichever batch it lies in.
    """
    counts = {}
    if "tag_ids" in batch:
        counts[TAGS] = int((batch["tag_labels"] != IGNORED).sum())
    if "query_ids" in batch:
        counts[PAIRS] = int((batch["grades"] >= RIGHT).sum())
        counts[GRADES] = len(_comparable(batch["owners"], batch["grades"]))
    return counts


def loss_weights(settings: TrainingSettings) -> dict[str, float]:
    """Weight of each loss in their sum."""
    return {TAGS: settings.tag_weight, PAIRS: 1.0, GRADES: settings.grade_weight}


def tag_loss(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the pieces that carry a label.

    Args:
        logits: float32 [B, T, L].
        labels: int64 [B, T], ``IGNORED`` where a piece carries none.
        smoothing: share of the label's probability that is spread over all labels.
    """
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
    )


def consistency_loss(first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
    """How far two readings of the same queries are from each other, each with dropout of its own.

    (KL(p ‖ q) + KL(q ‖ p)) / 2 of the label probabilities: R-Drop, Liang et al. 2021,
    https://arxiv.org/abs/2106.14448.

    Args:
        first, second: tag logits, float32 [B, T, L] both.
        labels: int64 [B, T], ``IGNORED`` where a piece carries none.

    Returns:
        Mean over the pieces that carry a label.
    """
    read = labels != IGNORED
    p, q = first[read].log_softmax(dim=-1), second[read].log_softmax(dim=-1)
    one_way = partial(functional.kl_div, reduction="batchmean", log_target=True)
    return (one_way(p, q) + one_way(q, p)) / 2


def pair_loss(
    scores: Tensor, owners: Tensor, grades: Tensor, weights: Tensor, false_negatives: Tensor
) -> Tensor:
    """Softmax cross-entropy of each right answer among the products of the batch.

    f(q, n) = softmax(M(q) · v_n / temperature). The negatives of an answer are the hard negatives of its
    query and the products that came with other queries, unless they answer this one too. Lower graded
    products of its own query are none: they are still nearer to it than most of the catalogue, and recall
    falls where they are pushed away; their order is for ``grade_loss``.

    Args:
        scores: float32 [Q, N], cosines over the temperature.
        owners: int64 [N], the query that each product came with.
        grades: float [N] in [0, 1], ``NO_GRADE`` for hard negatives.
        weights: float [N], how much each right answer counts.
        false_negatives: bool [Q, N].

    Returns:
        Mean over right answers; there must be one.
    """
    right = (grades >= RIGHT).nonzero()[:, 0]
    asked = owners[right]
    own = owners[None, :] == asked[:, None]
    wrong = torch.where(own, (grades == NO_GRADE)[None, :], ~false_negatives[asked])
    wrong[torch.arange(len(right), device=wrong.device), right] = True
    losses = functional.cross_entropy(scores[asked].masked_fill(~wrong, _OUT), right, reduction="none")
    return (weights[right] * losses).mean()


def grade_loss(scores: Tensor, owners: Tensor, grades: Tensor, spread: float) -> Tensor:
    """How far each query's order of its graded products is from their grades.

    KL(softmax(grades / spread) ‖ softmax(scores)) over the products of one query: ListNet, Cao et al.,
    "Learning to Rank: From Pairwise Approach to Listwise Approach" (ICML 2007), less its constant part.

    Args:
        scores: float32 [Q, N], cosines over the temperature.
        owners: int64 [N].
        grades: float [N] in [0, 1], ``NO_GRADE`` for hard negatives, which take no part.
        spread: above 0; the smaller, the more only the best grade counts.

    Returns:
        Mean over the queries with two graded products or more; there must be one.
    """
    asked = _comparable(owners, grades)
    own = (owners[None, :] == asked[:, None]) & (grades != NO_GRADE)[None, :]
    wanted = (grades / spread).expand(len(asked), -1).masked_fill(~own, _OUT).log_softmax(dim=1)
    given = scores[asked].masked_fill(~own, _OUT).log_softmax(dim=1)
    return functional.kl_div(given, wanted, reduction="batchmean", log_target=True)


def _tags(model: torch.nn.Module, batch: Mapping[str, Any], settings: TrainingSettings) -> Tensor:
    readings = 2 if settings.consistency else 1
    ids, mask, labels = (
        torch.cat([batch[name]] * readings) for name in ("tag_ids", "tag_mask", "tag_labels")
    )
    logits = model(ids, mask)[1].float()
    loss = tag_loss(logits, labels, settings.label_smoothing)
    if settings.consistency:
        first, second = logits.chunk(2)
        loss = loss + settings.consistency * consistency_loss(first, second, batch["tag_labels"])
    return loss


def _pairs(batch: Mapping[str, Any], settings: TrainingSettings, queries: Tensor, items: Tensor) -> Tensor:
    return pair_loss(
        queries @ items.T / settings.temperature,
        batch["owners"],
        batch["grades"],
        batch["weights"],
        batch["false_negatives"],
    )


def _grades(batch: Mapping[str, Any], settings: TrainingSettings, queries: Tensor, items: Tensor) -> Tensor:
    scores = queries @ items.T / settings.temperature
    return grade_loss(scores, batch["owners"], batch["grades"], settings.grade_spread)


def _comparable(owners: Tensor, grades: Tensor) -> Tensor:
    """Queries with two graded products or more."""
    found, counts = owners[grades != NO_GRADE].unique(return_counts=True)
    return found[counts > 1]
