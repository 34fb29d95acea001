"""nDCG as Järvelin & Kekäläinen define it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from endcap_export.evaluate import ndcg


def test_ndcg_of_best_worst_and_hand_made_orders():
    assert ndcg(np.array([3.0, 1.0, 0.0])) == pytest.approx(1.0)
    expected = (1 / math.log2(3) + 3 / math.log2(4)) / (3 / math.log2(2) + 1 / math.log2(3))
    assert ndcg(np.array([0.0, 1.0, 3.0])) == pytest.approx(expected)
    assert ndcg(np.zeros(4)) == 0.0


def test_only_the_first_k_count():
    gains = np.array([0.0] * 10 + [1.0])
    assert ndcg(gains) == 0.0
    assert ndcg(gains, k=11) == pytest.approx(1 / math.log2(12))
