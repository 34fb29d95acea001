"""Trees of depth two as tables over one or two features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Region = Mapping[int, tuple[float, float]]
"""Feature → the open lower and the closed upper end of what it may be."""


def tables_of(
    model: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, list[float]], list[dict[str, Any]]]:
    """What ``LearnedRelevance.from_mapping`` takes, of a LightGBM model of depth two.

    A leaf of a path over features a and b adds its value to the bins of the table (a, b) that the path
    admits; so the tables' sum is the trees' sum.

    Args:
        model: of ``Booster.dump_model()``.
        names: of the features by column.

    Raises:
        ValueError: a path asks of more features, or a split is not "at most".
    """
    leaves = [leaf for tree in model["tree_info"] for leaf in _leaves(tree["tree_structure"], {})]
    ends: dict[int, set[float]] = {}
    for region, _ in leaves:
        for feature, bounds in region.items():
            ends.setdefault(feature, set()).update(end for end in bounds if np.isfinite(end))
    cuts = {feature: np.array(sorted(values)) for feature, values in sorted(ends.items())}
    tables: dict[tuple[int, ...], npt.NDArray[np.float64]] = {}
    for region, value in leaves:
        features = tuple(sorted(region))
        if not features:
            continue  # a tree without a split: the same for all
        if len(features) > 2:
            raise ValueError(f"a path over {len(features)} features; two at most are expected")
        shape = tuple(len(cuts[feature]) + 1 for feature in features)
        table = tables.setdefault(features, np.zeros(shape))
        table[tuple(_bins(cuts[feature], *region[feature]) for feature in features)] += value
    return (
        {names[feature]: values.tolist() for feature, values in cuts.items()},
        [
            {"features": [names[feature] for feature in features], "values": np.round(table, 7).tolist()}
            for features, table in sorted(tables.items())
        ],
    )


def _leaves(node: Mapping[str, Any], region: Region) -> Iterator[tuple[Region, float]]:
    if "split_feature" not in node:
        yield region, float(node["leaf_value"])
        return
    if node["decision_type"] != "<=":
        raise ValueError(f"a split by {node['decision_type']!r}; '<=' is expected")
    feature, threshold = int(node["split_feature"]), float(node["threshold"])
    low, high = region.get(feature, (-np.inf, np.inf))
    yield from _leaves(node["left_child"], {**region, feature: (low, min(high, threshold))})
    yield from _leaves(node["right_child"], {**region, feature: (max(low, threshold), high)})


def _bins(cuts: npt.NDArray[np.float64], low: float, high: float) -> slice:
    """Bins of the values above ``low`` and up to ``high``."""
    first = 0 if low == -np.inf else int(cuts.searchsorted(low, "left")) + 1
    last = len(cuts) if high == np.inf else int(cuts.searchsorted(high, "left"))
    return slice(first, last + 1)
