"""Codes of a large catalogue in lists by neighbourhood: a query reads only the lists near it.

The vectors are grouped around about 2·√N centres by k-means, and each list holds 4-bit codes of the
differences from its centre (IVFADC: Jégou et al., "Product Quantization for Nearest Neighbor Search", 2011),
packed for comparison in registers as faiss does it ("fast scan"). A query reads the ``PROBES`` lists whose
centres are nearest; a filtered one the nearest lists *that hold passing rows*, so that a filter which follows
the clusters, as a category or a brand does, costs no quality.

faiss keeps such packed lists in the memory of each process. Here they lie in one file that every process
maps: faiss's lists on disk expect the codes of a list and then its row numbers, ``capacity`` of each, and a
capacity of whole blocks of 32 makes room for exactly the packed blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import ReleaseError
from endcap_rerank.index.arrays import open_array, save_array

PROBES = 64
"""Lists that a query reads, at most 3 % of those of a million products. There 48 miss no more than 112."""

FILTERED_PROBES = 64
"""Lists holding passing rows that a filtered query reads at least, where there are so many."""

_INDEX = "lists.faiss"
_LISTS = "lists.bin"
_BLOCK = 32
"""Codes that faiss packs together."""
_TRAINING_VECTORS = 48
"""For each centre; faiss asks for at least 39."""
_ROUNDS = 8
_ONE_BY_ONE = 10
"""faiss's name for the search that takes query after query and list after list; the quickest one here."""
_ADDED_AT_ONCE = 65_536
_SAMPLE = 131_072
"""Rows by which it is told in which lists the passing rows of a filter lie: looking up all takes longer than
a search. Of seven passing rows in a list it sees one, at a million."""
_COARSER = 8
"""The first look is at one in so many of the sample."""
_SAMPLED = 8192
"""Passing rows that are enough of a sample."""
_SORTED = 512
"""Lists that are put in order at first; most queries need no more."""
_NEAREST = 16
"""Lists that are read in any case where the lists that hold passing rows are told by a sample."""
_TOGETHER = 2.0
"""How many times as likely to pass a row has to be beside one that passes, for them to lie together."""
_SPARSE = 8192
"""Passing rows up to which all are looked up: a sample would miss their lists."""
_REMEMBERED = 8
"""Filters of which it is kept where their rows are."""
_ROWS_READ = 3.5
"""Passing rows in the lists that are read, for each one wanted, under a filter without neighbourhoods."""
_MOST_ROWS_READ = 36
"""The same for filters that do: what passes may lie far from the query, where centres tell less."""
_MOST_OF_ALL = 0.7
"""Share of the passing rows that is read at most: the nearest are among the nearer ones."""
_GATHER_COST = 64
"""Codes that are compared in the time that one vector is read and compared exactly."""


def write_inverted(directory: Path, vectors: NDArray[np.float32]) -> None:
    """Write what :class:`InvertedCodes` reads; a minute on one core for a million of 384 dimensions.

    Args:
        vectors: [N, D], L2-normalized.
    """
    count, dimension = vectors.shape
    lists = 1 << round(math.log2(2 * math.sqrt(count)))
    pieces = dimension // 2 if dimension % 2 == 0 else dimension
    centres = faiss.IndexFlatIP(dimension)
    index: Any = faiss.IndexIVFPQFastScan(centres, dimension, lists, pieces, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = True
    index.cp.niter = _ROUNDS
    index.cp.max_points_per_centroid = _TRAINING_VECTORS
    faiss.omp_set_num_threads(1)  # as in dense.py
    # Evenly spread rows: shops list their products by category.
    index.train(np.ascontiguousarray(vectors[:: max(1, count // (lists * _TRAINING_VECTORS))]))
    for start in range(0, count, _ADDED_AT_ONCE):
        index.add(np.ascontiguousarray(vectors[start : start + _ADDED_AT_ONCE]))
    _write_lists(directory, faiss.downcast_InvertedLists(index.invlists), lists, count)
    save_array(directory, "lists.centres", centres.reconstruct_n(0, lists))
    index.reset()
    faiss.write_index(index, str(directory / _INDEX))


def _write_lists(directory: Path, blocks: Any, lists: int, count: int) -> None:
    table = np.zeros((lists, 3), np.uint64)  # size, capacity, offset: a list as faiss describes it
    list_of_row = np.zeros(count, np.uint16 if lists <= 1 << 16 else np.int32)
    with (directory / _LISTS).open("wb") as stream:
        for number in range(lists):
            size = blocks.list_size(number)
            capacity = -(-size // _BLOCK) * _BLOCK
            table[number] = size, capacity, stream.tell()
            if not size:
                continue
            rows = np.zeros(capacity, np.int64)
            rows[:size] = faiss.rev_swig_ptr(blocks.get_ids(number), size)
            list_of_row[rows[:size]] = number
            packed = faiss.rev_swig_ptr(blocks.get_codes(number), capacity // _BLOCK * blocks.block_size)
            stream.write(packed.tobytes())
            stream.write(rows.tobytes())
    save_array(directory, "lists.table", table)
    save_array(directory, "lists.of_row", list_of_row)


# faiss's own annotations do not know what its Python layer adds.
_parameters: Any = faiss.SearchParametersIVF
_bitmap: Any = faiss.IDSelectorBitmap
_pointer: Any = faiss.swig_ptr


@dataclass
class _Places:
    """Where the rows of a filter lie.

    Attributes:
        passing: bool [N], the filter.
        bits: the same, as faiss reads it.
        together: how many times as likely to pass a row is in the lists of passing rows; more than 1 where
            the filter follows the neighbourhoods, as a category does. What passes may then lie far from the
            query, where centres tell less, and more of it is read.
        rows, lists: the passing rows and the list of each, where they are few; otherwise empty.
        held: how many each list holds, from ``rows`` or else from a sample; None where the rows of the
            nearest lists are held against the filter instead.
    """

    passing: NDArray[np.bool_]
    bits: NDArray[np.uint8]
    together: float
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lists: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.uint16))
    held: NDArray[np.int64] | None = None


class InvertedCodes:
    """The lists of a base catalogue, memory-mapped: processes share them.

    Raises:
        ReleaseError: a file is missing or damaged.
    """

    def __init__(self, directory: Path) -> None:
        table = open_array(directory, "lists.table")
        self._sizes = table[:, 0].astype(np.int64)
        self._centres: NDArray[np.float32] = open_array(directory, "lists.centres")
        self._list_of_row = open_array(directory, "lists.of_row")
        file = directory / _LISTS
        try:
            index: Any = faiss.read_index(str(directory / _INDEX))
            self._lists = _mapped(file, table, index.fast_scan_code_size())
            self._rows_of = _rows(file, table, index.fast_scan_code_size())
        except (RuntimeError, OSError) as error:
            raise ReleaseError(f"{directory}: the lists cannot be read ({error})") from error
        index.implem = _ONE_BY_ONE
        index.replace_invlists(self._lists, False)
        index.ntotal = len(self._list_of_row)
        self._index = index
        self._every = max(1, len(self._list_of_row) // _SAMPLE)
        self._sampled_lists = self._list_of_row[:: self._every].copy()
        self._places: dict[int, _Places] = {}

    @staticmethod
    def exist(directory: Path) -> bool:
        """Whether :func:`write_inverted` wrote here."""
        return (directory / _INDEX).is_file()

    def nearest(self, queries: NDArray[np.float32], wanted: int) -> list[NDArray[np.int64]]:
        """About ``wanted`` rows nearest to each of ``queries`` [B, D], ascending."""
        faiss.omp_set_num_threads(1)
        probes = min(PROBES, len(self._sizes))
        found = self._index.search(queries, wanted, params=_parameters(nprobe=probes))[1]
        return [_ascending(rows) for rows in found]

    def nearest_passing(
        self, query: NDArray[np.float32], wanted: int, passing: NDArray[np.bool_], allowed: int
    ) -> NDArray[np.int64]:
        """About ``wanted`` passing rows near ``query`` [D]: the nearest by their codes, or all of the
        lists near it where comparing them is quicker; ascending.

        Args:
            passing: bool [N]; ``allowed`` of them are true.
        """
        places = self._placed(passing, allowed)
        closeness = self._centres @ query
        enough = min(min(_ROWS_READ * places.together, _MOST_ROWS_READ) * wanted, _MOST_OF_ALL * allowed)
        if places.held is None:
            near = self._nearest_holding(np.argsort(-closeness), passing, enough)
        else:
            near, counts = _nearest_of(closeness, places.held, not len(places.rows), enough)
            if len(places.rows) and _GATHER_COST * counts.sum() < self._sizes[near].sum():
                read = np.zeros(len(closeness), bool)
                read[near] = True
                rows: NDArray[np.int64] = places.rows[read[places.lists]]
                return rows
        nearness = closeness[near]  # named, since faiss gets its address and nothing else holds it
        scores, found = np.empty((1, wanted), np.float32), np.empty((1, wanted), np.int64)
        faiss.omp_set_num_threads(1)
        # faiss's Python layer lets no parameters through here; its C++ does.
        self._index.search_preassigned_c(
            1,
            _pointer(query),
            wanted,
            *(_pointer(array) for array in (near, nearness, scores, found)),
            False,
            _parameters(sel=_bitmap(places.bits), nprobe=len(near)),
        )
        return _ascending(found[0])

    def _placed(self, passing: NDArray[np.bool_], allowed: int) -> _Places:
        """Where the rows of a filter lie; kept for a filter that nobody can write to."""
        kept = self._places.get(id(passing))
        if kept is not None:
            return kept
        places = _Places(passing, np.packbits(passing, bitorder="little"), 1.0)
        if allowed <= _SPARSE:
            places.rows = np.flatnonzero(passing)
            places.lists = self._list_of_row[places.rows]
            places.held = np.bincount(places.lists, minlength=len(self._sizes))
            places.together = self._together(places.held, 1)
        else:
            places.together = self._together(self._sampled(passing, _COARSER), _COARSER * self._every)
            if places.together >= _TOGETHER:
                fewer = max(1, allowed // (self._every * _SAMPLED))
                places.held = fewer * self._every * self._sampled(passing, fewer)
        if not passing.flags.writeable:
            if len(self._places) >= _REMEMBERED:
                del self._places[next(iter(self._places))]
            self._places[id(passing)] = places  # holds the filter too, so that no other one gets its id
        return places

    def _sampled(self, passing: NDArray[np.bool_], fewer: int) -> NDArray[np.int64]:
        """How many rows of a sample, one in ``fewer`` of the largest, pass in each list."""
        rows = passing[:: fewer * self._every]
        return np.bincount(self._sampled_lists[::fewer][rows], minlength=len(self._sizes))

    def _together(self, held: NDArray[np.int64], every: int) -> float:
        """See :class:`_Places`; ``held`` counts passing rows in each list, one row in ``every`` looked at."""
        # The share of passing rows around a passing row, beside that around any row; 1 under a random filter.
        around = float(held @ ((held - 1) / np.maximum(self._sizes / every - 1, 1)))
        passed = max(1, int(held.sum()))
        return max(1.0, around / passed * len(self._list_of_row) / every / passed)

    def _nearest_holding(
        self, order: NDArray[np.int64], passing: NDArray[np.bool_], enough: float
    ) -> NDArray[np.int64]:
        """The first of the lists ``order`` that hold passing rows, ``enough`` of them."""
        held = np.zeros(len(order), np.int64)
        start, end = 0, FILTERED_PROBES
        while True:
            lists = order[start:end]
            full = lists[self._sizes[lists] > 0]
            if len(full):
                rows = np.concatenate([self._rows_of[number] for number in full.tolist()])
                sizes = self._sizes[full]
                held[start:end][self._sizes[lists] > 0] = np.add.reduceat(
                    passing[rows], sizes.cumsum() - sizes, dtype=np.int64
                )
            start, end = end, 2 * end
            near, counts = _first_holding(order[:start], held[:start], enough)
            if start >= len(order) or (len(near) >= FILTERED_PROBES and counts.sum() >= enough):
                return near


def _nearest_of(
    closeness: NDArray[np.float32], held: NDArray[np.int64], sampled: bool, enough: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lists nearest to the query that hold passing rows, and how many each of them holds.

    Args:
        closeness: of each list's centre.
        held: by list, passing rows.
        sampled: whether ``held`` is told by a sample, which misses lists that hold few.
        enough: passing rows to be reached, where there are so many.
    """
    total = len(closeness)
    few = min(total, _SORTED)
    while True:
        order = np.argpartition(-closeness, few - 1)[:few] if few < total else np.arange(total)
        order = order[np.argsort(-closeness[order])]
        holding = held[order]
        if sampled:
            holding[:_NEAREST] = np.maximum(holding[:_NEAREST], 1)
        near, counts = _first_holding(order, holding, enough)
        if few == total or (len(near) >= FILTERED_PROBES and counts.sum() >= enough):
            return near, counts
        few = total


def _first_holding(
    order: NDArray[np.int64], held: NDArray[np.int64], enough: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of the lists ``order`` that hold passing rows, and how many each of them holds.

    Args:
        held: passing rows in each of ``order``.
        enough: passing rows to be reached; FILTERED_PROBES lists are taken at least.
    """
    holding = np.flatnonzero(held)
    counts = held[holding]
    reached = max(FILTERED_PROBES, int(np.searchsorted(counts.cumsum(), enough)) + 1)
    return np.ascontiguousarray(order[holding[:reached]]), counts[:reached]


def _ascending(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows in order of memory, without the -1 of places that were not filled."""
    kept: NDArray[np.int64] = np.sort(rows)
    return kept[kept.searchsorted(0) :]


def _mapped(file: Path, table: NDArray[np.uint64], code_size: int) -> Any:
    expected = int(table[:, 1].sum()) * (code_size + 8)
    if file.stat().st_size != expected:
        raise OSError(f"{file.name} has {file.stat().st_size} bytes; {expected} are expected")
    lists: Any = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size, lists.totsize = len(table), code_size, expected
    lists.filename, lists.read_only, lists.prefetch_nthread = str(file), True, 0
    lists.lists.resize(len(table))
    described = np.ascontiguousarray(table, np.uint64)
    faiss.memcpy(lists.lists.data(), faiss.swig_ptr(described), described.nbytes)
    lists.do_mmap()
    return lists


def _rows(file: Path, table: NDArray[np.uint64], code_size: int) -> list[NDArray[np.int64]]:
    """The row numbers of each list, as they lie in the mapped file."""
    data = np.memmap(file, np.int64, "r").view(np.ndarray)
    starts = (table[:, 2] + table[:, 1] * np.uint64(code_size)) // np.uint64(8)
    sizes = table[:, 0]
    return [data[at : at + size] for at, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
