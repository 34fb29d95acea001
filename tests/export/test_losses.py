"""What the losses reward, on vectors small enough to see."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.alignment import IGNORED  # noqa: E402
from endcap_export.batches import NO_GRADE  # noqa: E402
from endcap_export.losses import batch_losses, consistency_loss, grade_loss, pair_loss, tag_loss  # noqa: E402
from endcap_export.training_settings import TrainingSettings  # noqa: E402
from torch.nn import functional  # noqa: E402

OWNERS = torch.tensor([0, 0, 0, 1, 1])
GRADES = torch.tensor([1.0, 0.9, 0.2, 1.0, NO_GRADE])
ONES = torch.ones(5)
NOBODY = torch.zeros(2, 5, dtype=torch.bool)


def pairs(scores, grades=GRADES, weights=ONES, false_negatives=NOBODY):
    """The pair loss and its gradient by the scores."""
    scores = scores.clone().requires_grad_()
    loss = pair_loss(scores, OWNERS, grades, weights, false_negatives)
    (gradient,) = torch.autograd.grad(loss, scores)
    return loss.item(), gradient


def test_a_pair_is_softmax_cross_entropy_among_the_wrong_answers():
    scores = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    loss, _ = pairs(scores)
    expected = [
        # An answer, then what is wrong beside it: the other query's products, and hard negatives.
        functional.cross_entropy(scores[0, [0, 3, 4]], torch.tensor(0)),
        functional.cross_entropy(scores[0, [1, 3, 4]], torch.tensor(0)),
        functional.cross_entropy(scores[1, [3, 0, 1, 2, 4]], torch.tensor(0)),
    ]
    assert loss == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


def test_right_answers_rise_and_wrong_ones_fall():
    _, gradient = pairs(torch.zeros(2, 5))
    assert (gradient[0, :2] < 0).all()
    assert (gradient[0, 3:] > 0).all()
    assert gradient[0, 2] == 0  # a lower grade of the same query
    assert gradient[1, 3] < 0
    assert (gradient[1, [0, 1, 2, 4]] > 0).all()


def test_what_answers_both_queries_is_no_negative_of_either():
    both = NOBODY.clone()
    both[1, 0] = True
    _, gradient = pairs(torch.zeros(2, 5), false_negatives=both)
    assert gradient[1, 0] == 0
    assert gradient[1, 1] > 0


def test_a_weight_counts_an_answer_more_often():
    scores = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    weights = torch.tensor([3.0, 1, 1, 1, 1])
    plain, weighted = pairs(scores)[0], pairs(scores, weights=weights)[0]
    first = functional.cross_entropy(scores[0, [0, 3, 4]], torch.tensor(0)).item()
    assert weighted == pytest.approx(plain + 2 * first / 3, rel=1e-5)


def test_the_grade_loss_is_least_where_scores_follow_the_grades():
    spread = 0.25
    right = torch.zeros(2, 5)
    right[0, :3] = GRADES[:3] / spread
    assert grade_loss(right, OWNERS, GRADES, spread).item() == pytest.approx(0, abs=1e-6)
    turned = right.clone()
    turned[0, :3] = right[0, [2, 1, 0]]
    assert grade_loss(turned, OWNERS, GRADES, spread) > 0.5


def test_the_grade_loss_does_not_look_at_hard_negatives_or_other_queries():
    scores = torch.zeros(2, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(grade_loss(scores, OWNERS, GRADES, 0.25), scores)
    assert (gradient[0, :3] != 0).all()
    # The second query has one graded product, and so nothing to compare.
    assert (gradient[0, 3:] == 0).all()
    assert (gradient[1] == 0).all()


def test_smoothing_keeps_the_tag_head_from_certainty():
    labels = torch.tensor([[0, 1, -100]])
    sure = 20 * functional.one_hot(torch.tensor([[0, 1, 1]]), 3).float()
    assert tag_loss(sure, labels).item() == pytest.approx(0, abs=1e-6)
    assert tag_loss(sure, labels, 0.1) > 1


def test_two_readings_of_a_query_cost_nothing_where_they_agree():
    labels = torch.tensor([[0, 1, IGNORED]])
    first = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]])
    second = first.clone()
    second[0, 2] = -second[0, 2]  # carries no label
    assert consistency_loss(first, second, labels).item() == pytest.approx(0, abs=1e-6)
    p, q = first[:, :2].softmax(-1), first.flip(-1)[:, :2].softmax(-1)
    by_hand = ((p - q) * (p.log() - q.log())).sum(-1).mean() / 2
    assert consistency_loss(first, first.flip(-1), labels).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_consistency_reads_each_tagged_query_twice():
    seen = []

    def model(ids, mask):
        seen.append(ids)
        logits = torch.arange(float(ids.numel() * 2)).reshape(*ids.shape, 2)  # each row answers otherwise
        return None, logits.remainder(3)

    tags = {
        "tag_ids": torch.tensor([[1, 2], [3, 4]]),
        "tag_mask": torch.ones(2, 2, dtype=torch.int64),
        "tag_labels": torch.tensor([[0, 1], [1, IGNORED]]),
    }
    once = batch_losses(model, tags, TrainingSettings())["tags"]
    twice = batch_losses(model, tags, TrainingSettings(consistency=0.5))["tags"]
    assert [len(ids) for ids in seen] == [2, 4]
    assert torch.equal(seen[1][:2], seen[1][2:])
    logits = torch.arange(16.0).reshape(4, 2, 2).remainder(3)
    plain = tag_loss(logits, tags["tag_labels"].repeat(2, 1))
    apart = consistency_loss(logits[:2], logits[2:], tags["tag_labels"])
    assert apart > 0
    assert twice.item() == pytest.approx((plain + 0.5 * apart).item(), rel=1e-6)
    assert once.item() == pytest.approx(tag_loss(logits[:2], tags["tag_labels"]).item(), rel=1e-6)
