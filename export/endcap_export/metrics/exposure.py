"""How evenly products, brands or sellers are shown over many lists."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import InvalidInputError


def exposure(lists: Iterable[Sequence[Hashable]]) -> dict[Hashable, float]:
    """What each value is seen, over all lists: Σ 1/log2(1 + place), the position bias of DCG.

    Singh & Joachims, KDD 2018. Values are item ids, or the brand or seller of each product of a list.
    """
    seen: dict[Hashable, float] = {}
    for values in lists:
        for place, value in enumerate(values):
            seen[value] = seen.get(value, 0.0) + 1.0 / float(np.log2(2 + place))
    return seen


def gini(amounts: Mapping[Hashable, float] | npt.ArrayLike, size: int | None = None) -> float:
    """Gini coefficient: Σ_i (2i - n - 1)·x_i / (n·Σ x) of the ascending x_1 … x_n.

    Args:
        amounts: what each has, at least 0; of :func:`exposure`, say.
        size: n, where those that have nothing are left out of ``amounts`` (products never shown).

    Returns:
        0 where all have the same, (n - 1)/n where one has everything; 0 where nobody has anything.

    Raises:
        InvalidInputError: an amount below 0, or a size smaller than the number of amounts.
    """
    values = np.asarray(list(amounts.values()) if isinstance(amounts, Mapping) else amounts, np.float64)
    if (values < 0.0).any() or not np.isfinite(values).all():
        raise InvalidInputError("amounts", values, "finite numbers of at least 0 are expected")
    if size is not None:
        if size < len(values):
            raise InvalidInputError("size", size, f"at least {len(values)} is expected, as there are amounts")
        values = np.concatenate([np.zeros(size - len(values)), values])
    total, count = float(values.sum()), len(values)
    if total <= 0.0:
        return 0.0
    ranks = 2.0 * np.arange(1, count + 1) - count - 1.0
    return float(ranks @ np.sort(values) / (count * total))
