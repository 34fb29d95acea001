"""Which product shoppers take next: item-item affinities learnt from events, mapped from disk.

``endcap_export.affinities`` learns them; this module stores and reads them. Layout of a folder::

    meta.json      format, count of products, fade, how they were learnt
    starts.npy     int64 [count + 1]
    items.npy      int32 [nnz], neighbours of row i at starts[i]:starts[i + 1], likeliest first
    values.npy     float32 [nnz], p(next = neighbour | latest = i)
    prior.npy      float32 [count], p(next) whatever came before
    repeats.npy    float32 [count] in [0, 1], share of purchases after which the product is bought again
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.errors import ReleaseError
from endcap_rerank.events_store import Interaction
from endcap_rerank.index import LiveIndex
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.schema import EVENT_WEIGHTS

AFFINITIES_DIR = "affinities"
"""Folder of ``Settings.state`` in which each release's affinities lie."""

META = "meta.json"
FORMAT = 2

LATEST = 32
"""Most past items that speak for the next one; with a fade of 0.7 the 33rd has a weight of 1e-5."""

REPEATED = 0.3
"""Share of purchases that are followed by another of the same at which one speaks no longer against it."""

LEAST_WEIGHT = 1e-3
"""Share of a history's weight below which an item is not heard: it could not change the order."""

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class History:
    """The items a shopper took, latest first, each once.

    Attributes:
        rows: int64 [m] rows of the released index.
        weights: float32 [m] how much each was taken, before it fades with its place.
    """

    rows: Rows
    weights: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, earlier: History) -> History:
        """This history's items before those of an ``earlier`` one: a session's before long-known ones."""
        if not len(self) or not len(earlier):
            return self if len(self) else earlier
        new = ~np.isin(earlier.rows, self.rows)
        return History(
            np.concatenate([self.rows, earlier.rows[new]])[:LATEST],
            np.concatenate([self.weights, earlier.weights[new]])[:LATEST],
        )


NO_HISTORY = History(np.zeros(0, np.int64), np.zeros(0, np.float32))


def item_weight(total: float) -> float:
    """Weight of an item by the sum of its events' weights: log(1 + total), 0 for what was disliked."""
    return float(np.log1p(max(0.0, total)))


def history_of(taken: Sequence[Interaction], index: LiveIndex) -> History:
    """What a shopper took, newest first. Items that the release never knew are left out."""
    totals: dict[str, float] = {}
    for item, event, _ in taken:
        totals[item] = totals.get(item, 0.0) + EVENT_WEIGHTS.get(event, 0.0)
    return _history(totals, index)


def history_of_session(items: Sequence[str], index: LiveIndex) -> History:
    """What a session touched: ids, latest last, each as much as a click."""
    return _history(dict.fromkeys(reversed(items), EVENT_WEIGHTS["click"]), index)


def _history(totals: Mapping[str, float], index: LiveIndex) -> History:
    rows: list[int] = []
    weights: list[float] = []
    for item, total in totals.items():
        row = index.index.catalog.ids.find(item)
        if row >= 0 and total > 0.0:
            rows.append(row)
            weights.append(item_weight(total))
            if len(rows) == LATEST:
                break
    return History(np.array(rows, np.int64), np.array(weights, np.float32))


@dataclass(frozen=True)
class Affinities:
    """p(next item | history) = Σ_r w_r·values[h_r] + prior, with w_r ∝ weight_r·fade^r over the history.

    Attributes:
        count: products of the index that it was learnt for.
        fade: weight of an item against that of the one after it.
        record: how it was learnt.
    """

    count: int
    fade: float
    record: Mapping[str, Any] = field(repr=False)
    starts: npt.NDArray[np.int64] = field(repr=False)
    items: npt.NDArray[np.int32] = field(repr=False)
    values: Floats = field(repr=False)
    prior: Floats = field(repr=False)
    repeats: Floats = field(repr=False)
    popular: Rows = field(repr=False)
    """The likeliest rows by ``prior``, at most 1,000, likeliest first."""

    @classmethod
    def open(cls, directory: Path, count: int) -> Affinities:
        """Map the affinities in ``directory``.

        Args:
            count: products of the index they shall fit.

        Raises:
            ReleaseError: a file is missing or damaged, or they were learnt for another index.
        """
        file = directory / META
        try:
            meta = json.loads(file.read_text("utf-8"))
            known = (meta["format"], meta["count"])
            fade = float(meta["fade"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{file}: not a description of affinities ({error})") from error
        if known != (FORMAT, count):
            raise ReleaseError(
                f"{directory}: format and products are {known}; ({FORMAT}, {count}) are expected"
            )
        starts, items = open_array(directory, "starts"), open_array(directory, "items")
        values, prior = open_array(directory, "values"), open_array(directory, "prior")
        repeats = open_array(directory, "repeats")
        if (
            len(starts) != count + 1
            or len(prior) != count
            or len(repeats) != count
            or not len(items) == len(values) == starts[-1]
        ):
            raise ReleaseError(f"{directory}: the arrays do not fit each other")
        popular = np.argsort(-prior, kind="stable")[:1000]
        return cls(count, fade, meta, starts, items, values, prior, repeats, popular[prior[popular] > 0.0])

    def following(self, history: History) -> tuple[Rows, Floats]:
        """What follows a history, the prior left out.

        Returns:
            Distinct rows int64 [n], ascending, and their probabilities float32 [n].
        """
        found, spoken, _ = self._spoken(history)
        if not len(found):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows, places = np.unique(found, return_inverse=True)
        sums = np.bincount(places, weights=spoken, minlength=len(rows))
        return rows.astype(np.int64), sums.astype(np.float32)

    def likely(self, history: History, count: int) -> tuple[Rows, Floats]:
        """The ``count`` likeliest next items, the history's own left out.

        Returns:
            Rows int64 [at most count], likeliest first, and their probabilities, prior included.
        """
        followers, spoken = self.following(history)
        others = np.setdiff1d(self.popular[:count], followers, assume_unique=True)
        rows = np.concatenate([followers, others])
        chances = self.prior[rows]
        chances[: len(followers)] += spoken
        new = ~np.isin(rows, history.rows)
        rows, chances = rows[new], chances[new]
        order = np.argsort(-chances, kind="stable")[:count]
        return rows[order], chances[order]

    def chances(self, history: History, rows: Rows) -> Floats:
        """p(next = row | history) of each of ``rows`` [n], prior included; 0 for rows beyond ``count``."""
        known = rows < self.count
        chances = np.zeros(len(rows), np.float32)
        chances[known] = self.prior[rows[known]] + self.spoken_for(history, rows[known])
        return chances

    def spoken_for(self, history: History, rows: Rows) -> Floats:
        """p(next = row | history) of each of ``rows`` [n] without the prior: float32 [n]."""
        followers, chances = self.following(history)
        if not len(followers):
            return np.zeros(len(rows), np.float32)
        at = np.minimum(followers.searchsorted(rows), len(followers) - 1)
        found: Floats = np.where(followers[at] == rows, chances[at], np.float32(0.0))
        return found

    def bought_again(self, rows: Rows) -> Floats:
        """How usual it is to buy each of ``rows`` again, in [0, 1]: 1 where REPEATED of its buyers do."""
        known = rows < self.count
        again = np.zeros(len(rows), np.float32)
        again[known] = np.minimum(1.0, self.repeats[rows[known]] / np.float32(REPEATED))
        return again

    def reasons(self, history: History, row: int, most: int) -> Rows:
        """Rows of the history that speak most for ``row``, at most ``most``, the strongest first."""
        found, spoken, places = self._spoken(history)
        mine = np.flatnonzero(found == row)
        best = mine[np.argsort(-spoken[mine], kind="stable")[:most]]
        reasons: Rows = history.rows[places[best]]
        return reasons

    def _spoken(self, history: History) -> tuple[npt.NDArray[np.int32], Floats, Rows]:
        """Every neighbour of every item of the history, its weighted value, and the item's place."""
        weights = history.weights * np.float32(self.fade) ** np.arange(len(history), dtype=np.float32)
        total = float(weights.sum())
        if total <= 0.0:
            return np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        weights /= np.float32(total)
        heard = np.flatnonzero(weights >= LEAST_WEIGHT)
        slices = [slice(self.starts[row], self.starts[row + 1]) for row in history.rows[heard].tolist()]
        sizes = np.array([part.stop - part.start for part in slices])
        places = np.repeat(heard, sizes)
        found = np.concatenate([self.items[part] for part in slices])
        spoken = np.concatenate([self.values[part] for part in slices]) * weights[places]
        return found, spoken, places


def write_affinities(
    directory: Path,
    *,
    starts: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    values: Floats,
    prior: Floats,
    repeats: Floats,
    fade: float,
    record: Mapping[str, Any],
) -> None:
    """Put affinities in place of those in ``directory``, in one step: a reader sees the old or the new.

    ``directory`` becomes a link to a folder of its own beside it.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    folder.chmod(0o755)
    meta = {**record, "format": FORMAT, "count": len(prior), "fade": fade}
    arrays: dict[str, npt.NDArray[Any]] = {
        "starts": starts,
        "items": items,
        "values": values,
        "prior": prior,
        "repeats": repeats,
    }
    for name, array in arrays.items():
        save_array(folder, name, array)
    (folder / META).write_text(json.dumps(meta, indent=1), "utf-8")
    former = directory.resolve() if directory.is_symlink() else None
    link = folder.with_suffix(".link")
    link.symlink_to(folder.name)
    os.replace(link, directory)
    if former is not None and former != folder:
        # Who has mapped its files keeps them until the process lets go.
        shutil.rmtree(former, ignore_errors=True)


class LiveAffinities:
    """The affinities of a release as they are now: learnt anew, they are taken up without a restart."""

    def __init__(self, state: Path, release: str, count: int) -> None:
        self._directory = affinities_path(state, release)
        self._count = count
        self._target = ""
        self._affinities: Affinities | None = None

    @property
    def name(self) -> str:
        """Of the folder that was last opened: other affinities have another one."""
        return self._target

    def current(self) -> Affinities | None:
        """The affinities; None where none were learnt. Microseconds when nothing changed.

        Those that cannot be read are logged and passed over: the former ones go on serving.
        """
        try:
            target = os.readlink(self._directory)
        except OSError:
            return None
        if target != self._target:
            try:
                self._affinities = Affinities.open(self._directory.parent / target, self._count)
            except ReleaseError as error:
                if os.readlink(self._directory) != target:
                    return self._affinities  # replaced while it was opened: the next request finds the new
                _log.warning("affinities are not taken up: %s", error)
            self._target = target
        return self._affinities


def affinities_path(state: Path, release: str) -> Path:
    """Where the affinities of a release lie."""
    return state / AFFINITIES_DIR / release
