"""The gate before a release is served: is it sound, and does it lose against the one that is served?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from endcap_rerank.errors import ReleaseError
from endcap_rerank.release import Release

from endcap_export.duel import Scores, rank_both, tag_both
from endcap_export.held import HeldSet
from endcap_export.served import Served, milliseconds

TOLERANCE = 0.01
"""Loss of F1 or nDCG@10, absolute, that is never refused."""

CLEAR_LOSS = 0.05
"""Loss that is refused even where the held set is too small to tell it from chance."""

SLOWEST = 1.5
"""Most milliseconds per query, as a multiple of what the running encoder takes."""

NOTICEABLE_MS = 0.1
"""Differences below this are no reason to refuse, whatever their ratio."""

PARITY = 1e-4
"""Largest absolute difference between the exported encoder and the trained one; as in ``parity``."""

INDEX_MEAN = 0.99
INDEX_WORST = 0.95
"""Mean and smallest cosine between a vector of the index and the served encoder's of the same product.
Measured: 1.0000 where int8 made both, 0.9975 and 0.996 for an fp32 encoder on an index made by int8, at most
0.85 for another fine-tuning of the same BERT."""

INDEX_SAMPLE = 64
TIMED_QUERIES = 50


@dataclass(frozen=True)
class Check:
    """One line of a verdict.

    Attributes:
        name: what was looked at.
        candidate: the candidate's figure; None where there is none.
        running: the running release's figure; None where there is none.
        refused: whether the candidate is refused for it.
        says: what was found, with the figures.
        forceable: whether a reason may overrule it; what is broken stays refused.
    """

    name: str
    candidate: float | None
    running: float | None
    refused: bool
    says: str
    forceable: bool = True


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes:
        running: id of the release that is served; empty for the first one.
    """

    candidate: str
    running: str
    checks: tuple[Check, ...]

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that the candidate is refused for."""
        return tuple(check for check in self.checks if check.refused)

    def as_mapping(self) -> dict[str, Any]:
        """The verdict as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> Verdict:
        """The verdict that ``as_mapping`` made this of."""
        checks = tuple(Check(**check) for check in document["checks"])
        return cls(document["candidate"], document["running"], checks)


class GateError(ReleaseError):
    """A release was refused; ``verdict`` has all figures."""

    def __init__(self, release: Release, verdict: Verdict) -> None:
        self.verdict = verdict
        reasons = "; ".join(f"{check.name}: {check.says}" for check in verdict.refusals)
        forceable = all(check.forceable for check in verdict.refusals)
        way = (
            "`endcap register --force REASON` takes it all the same"
            if forceable
            else "--force cannot help it"
        )
        super().__init__(f"{release.path}: refused; {reasons}. {way}")


def judge(
    candidate: Release,
    precision: str,
    running: Release | None = None,
    running_precision: str = "int8",
) -> Verdict:
    """Look at a release before it is served, and compare it with the one that is.

    Both are run as served, on one thread, on held queries that the candidate carries; for a part that it has
    none of, on those of the running release.

    Args:
        candidate: files that fit their checksums.
        precision: which of its encoders would be served.
        running: what is served now; None where nothing is.
        running_precision: which of its encoders is served.

    Raises:
        ReleaseError: a part of the candidate cannot be loaded.
    """
    served = Served.open(candidate, precision)
    checks = [_parity(candidate), _index(served)]
    if running is None:
        return _verdict(candidate, "", [*checks, _told("comparison", "nothing is served yet")])
    if running.id == candidate.id:
        return _verdict(candidate, running.id, [*checks, _told("comparison", "this release is served now")])
    try:
        incumbent = Served.open(running, running_precision)
    except ReleaseError as error:
        # What cannot be opened cannot be served either: whatever comes is better.
        why = f"the running release cannot be opened ({error})"
        return _verdict(candidate, running.id, [*checks, _told("comparison", why)])
    mine, theirs = HeldSet.read(candidate.evaluation), HeldSet.read(running.evaluation)
    pair = served, incumbent
    checks += [
        _quality("tag F1", tag_both(*pair, mine.tagged, theirs.tagged)),
        _quality("nDCG@10", rank_both(*pair, mine.judged, theirs.judged)),
        _latency(served, incumbent, mine or theirs),
    ]
    return _verdict(candidate, running.id, checks)


def _verdict(candidate: Release, running: str, checks: Sequence[Check]) -> Verdict:
    return Verdict(candidate.id, running, tuple(checks))


def _told(name: str, says: str) -> Check:
    return Check(name, None, None, False, says)


def _parity(release: Release) -> Check:
    figures = release.manifest.get("record", {}).get("parity", {})
    try:
        worst = max(float(figures["embedding_max_abs"]), float(figures["logits_max_abs"]))
    except (KeyError, TypeError, ValueError):
        says = "the manifest does not say how far the exported encoder is from the trained one"
        return Check("parity", None, None, True, f"{says}; `endcap export` measures it")
    refused = not worst <= PARITY  # NaN is refused too
    says = f"exported and trained encoder differ by {worst:.1e}, at most {PARITY:.0e} is allowed"
    return Check("parity", worst, None, refused, says)


def _index(served: Served) -> Check:
    index, release = served.index.index, served.release
    if index.encoder_id != release.encoder_id:
        says = (
            f"made with encoder {index.encoder_id[:12]}…, the release's encoder is "
            f"{release.encoder_id[:12]}…; {_cosines(served)[2]}"
        )
        return Check("index", None, None, True, says, forceable=False)
    mean, worst, says = _cosines(served)
    refused = not (mean >= INDEX_MEAN and worst >= INDEX_WORST)
    if refused:
        says += f"; at least {INDEX_MEAN} and {INDEX_WORST} are expected: another encoder made the index"
    return Check("index", mean, None, refused, says, forceable=False)


def _cosines(served: Served) -> tuple[float, float, str]:
    """Mean and smallest cosine between the index's vectors and the encoder's, and both in words."""
    index = served.index.index
    rows = np.unique(np.linspace(0, index.count - 1, INDEX_SAMPLE).astype(np.int64))
    if served.encoder.dimension != index.dimension:
        return 0.0, 0.0, f"vectors of {index.dimension} numbers, the encoder makes {served.encoder.dimension}"
    vectors = served.embed_products([served.index.product(row).encoder_text() for row in rows])
    cosines = (vectors * served.index.embeddings(rows)).sum(axis=1)
    cosines = np.where(np.isfinite(cosines), cosines, -1.0)
    mean, worst = float(cosines.mean()), int(cosines.argmin())
    item = served.index.item_ids(rows[worst : worst + 1])[0]
    says = (
        f"its vectors meet those of the {served.precision} encoder with cosine {mean:.4f} over {len(rows)} "
        f"products, {cosines[worst]:.4f} at worst ({item})"
    )
    return mean, float(cosines[worst]), says


def _quality(name: str, compared: Scores | str) -> Check:
    if isinstance(compared, str):
        return _told(name, compared)
    loss = -compared.difference
    refused = loss > CLEAR_LOSS or (loss > TOLERANCE and compared.high < 0)
    size = f"{abs(loss):.3f} {'less' if loss > 0 else 'more'}"
    says = (
        f"{compared.candidate:.3f} against {compared.running:.3f}, {size} (95%: {compared.low:+.3f} to "
        f"{compared.high:+.3f}) on {compared.queries} held queries{compared.note}"
    )
    return Check(name, compared.candidate, compared.running, refused, says)


def _latency(served: Served, incumbent: Served, held: HeldSet) -> Check:
    queries = [query.text for query in held.tagged] + list(held.judged)
    what = "held queries"
    if not queries:
        rows = np.linspace(0, served.index.index.count - 1, TIMED_QUERIES).astype(int)
        queries = [served.index.product(row).title[:100] for row in rows]
        what = "titles"
    queries = queries[:: max(1, len(queries) // TIMED_QUERIES)][:TIMED_QUERIES]
    mine, theirs = milliseconds((served, incumbent), queries)
    refused = mine > SLOWEST * theirs and mine - theirs > NOTICEABLE_MS
    says = (
        f"{mine:.2f} ({served.precision}) against {theirs:.2f} ({incumbent.precision}), {mine / theirs:.2f} "
        f"times as long on {len(queries)} {what}; at most {SLOWEST:g} times is allowed"
    )
    return Check("ms per query", mine, theirs, refused, says)
