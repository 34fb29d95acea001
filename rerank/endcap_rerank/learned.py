"""A relevance learned from judgments: a sum of small tables, each over one or two features.

    relevance(q, p) = Σ_t values_t[bin(a_t), bin(b_t)]

A generalized additive model with pairs of features (Lou et al., "Accurate Intelligible Models with Pairwise
Interactions", KDD 2013). ``endcap_export.ranking`` makes the tables of LightGBM's trees of depth two, in
which every path asks of two features at most, so that they say exactly what the trees say and each feature
has its own share of the sum. Serving needs no LightGBM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.errors import ReleaseError
from endcap_rerank.features import QUERY_FEATURES, Asked
from endcap_rerank.index import Candidates, LiveIndex
from endcap_rerank.weights import LEARNED

FORMAT = 1

RERANKED = 100
"""Candidates whose relevance is the learned one."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Relevance:
    """Relevance of candidates.

    Attributes:
        values: float32 [n] in [0, 1].
        names: of the features that have a say.
        parts: float32 [parts, n], summing to ``values``: of features, ``base`` that all have, ``fused``.
    """

    values: Floats
    names: tuple[str, ...]
    parts: Floats

    def with_others(self, count: int) -> Relevance:
        """The same with products of no relevance behind, ``count`` in all."""
        missing = count - len(self.values)
        return Relevance(
            np.pad(self.values, (0, missing)), self.names, np.pad(self.parts, ((0, 0), (0, missing)))
        )


@dataclass(frozen=True)
class LearnedRelevance:
    """The tables, laid out for looking up all of them at once.

    Attributes:
        names: of the features that have a say.
        record: how it was learnt.
    """

    names: tuple[str, ...]
    record: Mapping[str, Any] = field(repr=False)
    _columns: npt.NDArray[np.int64] = field(repr=False)
    _cuts: tuple[npt.NDArray[np.float64], ...] = field(repr=False)
    _flat: Floats = field(repr=False)
    _offsets: npt.NDArray[np.int64] = field(repr=False)
    _first: npt.NDArray[np.int64] = field(repr=False)
    _second: npt.NDArray[np.int64] = field(repr=False)
    _widths: npt.NDArray[np.int64] = field(repr=False)
    _shares: Floats = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> LearnedRelevance | None:
        """That of a release's ``ranking.json``; None where it has none.

        Raises:
            ReleaseError: it cannot be used.
        """
        try:
            document = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ReleaseError(f"{file}: not a JSON document ({error})") from error
        found = document.get(LEARNED) if isinstance(document, dict) else None
        if found is None:
            return None
        try:
            return cls.from_mapping(found)
        except ReleaseError as error:
            raise ReleaseError(f"{file}: {error}") from error

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> LearnedRelevance:
        """Lay out ``{"format", "cuts": {feature: numbers}, "tables": [{"features", "values"}], "record"}``.

        A table of features a and b has (cuts of a + 1) rows of (cuts of b + 1) values; of one feature a, one
        row. A feature's value x lies in the bin that counts the cuts below x.

        Raises:
            ReleaseError: names the part that is not right.
        """
        if document.get("format") != FORMAT:
            raise ReleaseError(f"{LEARNED}.format: got {document.get('format')!r}; {FORMAT} is expected")
        cuts: dict[str, npt.NDArray[np.float64]] = {}
        known = list(QUERY_FEATURES)
        try:
            for name, values in dict(document["cuts"]).items():
                if name not in QUERY_FEATURES:
                    raise ReleaseError(f"{LEARNED}.cuts.{name}: known features are {', '.join(known)}")
                cuts[name] = np.array(values, np.float64)
                if cuts[name].ndim != 1 or not (np.diff(cuts[name]) > 0).all():
                    raise ReleaseError(f"{LEARNED}.cuts.{name}: ascending numbers are expected")
            names = tuple(cuts)
            pieces, places, widths = [], [], []
            shares = np.zeros((len(names), len(document["tables"])), np.float32)
            for at, table in enumerate(document["tables"]):
                asked = tuple(table["features"])
                if not 1 <= len(asked) <= 2 or not set(asked) <= set(names):
                    raise ReleaseError(
                        f"{LEARNED}.tables.{at}: got {asked}; one or two with cuts are expected"
                    )
                values = np.array(table["values"], np.float32)
                shape = tuple(len(cuts[name]) + 1 for name in asked)
                if values.shape != shape or not np.isfinite(values).all():
                    raise ReleaseError(
                        f"{LEARNED}.tables.{at}: got {values.shape}; {shape} finite numbers are expected"
                    )
                places.append((names.index(asked[0]), names.index(asked[-1])))
                # A table of one feature is the diagonal's own: its second bin must not move it.
                widths.append((shape[1], 1) if len(asked) == 2 else (1, 0))
                pieces.append(values.ravel())
                for name in asked:
                    shares[names.index(name), at] += 1.0 / len(asked)
            record = dict(document.get("record") or {})
        except (KeyError, TypeError, ValueError) as error:
            raise ReleaseError(f"{LEARNED}: {error!r}; cuts and tables are expected") from error
        if not pieces:
            raise ReleaseError(f"{LEARNED}.tables: at least one is expected")
        offsets = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
        first, second = np.array(places, np.int64).T
        return cls(
            names,
            record,
            np.array([known.index(name) for name in names], np.int64),
            tuple(cuts.values()),
            np.concatenate(pieces),
            offsets.astype(np.int64),
            first,
            second,
            np.array(widths, np.int64),
            shares,
        )

    def contributions(self, features: Floats) -> Floats:
        """What each of ``names`` adds to every product's relevance, before it is scaled: float32 [names, n].

        A table of two features is shared by both, half each.

        Args:
            features: float32 [QUERY_FEATURES, n].
        """
        bins = np.empty((len(self.names), features.shape[1]), np.int64)
        for place, (column, cuts) in enumerate(zip(self._columns.tolist(), self._cuts, strict=True)):
            bins[place] = cuts.searchsorted(features[column].astype(np.float64), "left")
        at = bins[self._first] * self._widths[:, :1]
        at += bins[self._second] * self._widths[:, 1:]
        at += self._offsets[:, None]
        contributions: Floats = self._shares @ self._flat[at]
        return contributions

    def relevance(self, query: str, found: Candidates, index: LiveIndex) -> Relevance:
        """The relevance of a query's candidates, which come best fused score first.

        The first RERANKED are spread anew over the range that their fused scores have; the others, and
        products that the query names by id or model number, keep their fused score. What was judged are
        products that a search had found: of what lies far down a list nothing was learned.
        """
        chosen = reranked(found)
        fused = found.fused[chosen]
        features = Asked.of(query, found).features(
            found.rows[chosen], found.dense[chosen], found.lexical[chosen], index
        )
        contributions = self.contributions(features)
        parts = np.zeros((len(self.names) + 2, len(found)), np.float32)
        parts[-1] = found.fused
        if len(chosen):
            sums = contributions.sum(axis=0)
            low, high = sums.min(), sums.max()
            lowest = fused.min()
            scale = (fused.max() - lowest) / (high - low) if high > low else np.float32(0.0)
            parts[:-2, chosen] = contributions * scale
            parts[-2, chosen] = lowest - low * scale
            parts[-1, chosen] = 0.0
        values: Floats = parts.sum(axis=0)
        return Relevance(values, (*self.names, "base", "fused"), parts)


def reranked(found: Candidates) -> npt.NDArray[np.int64]:
    """Places of the candidates whose relevance is learned: the first RERANKED that are not named."""
    if found.named is None:
        return np.arange(min(RERANKED, len(found)))
    return np.flatnonzero(~found.named)[:RERANKED]
