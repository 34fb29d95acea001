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
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import ReleaseError
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.inner import inner_products
from endcap_rerank.index.placing import Places, Placing, nearest_holding, with_nearest

PROBES = 64
"""Lists that a query reads at least, 3 % of those of a million products. There 48 miss no more than 112."""
CODES_READ = 16_384
"""Codes that it reads about, which in smaller catalogues is a larger share: of 54,367 Home Depot titles 64 of
512 lists hold 98.1 % of the 100 nearest, 128 of them 99.2 %."""

_INDEX = "lists.faiss"
_LISTS = "lists.bin"
_BLOCK = 32
"""Codes that faiss packs together."""
_TRAINING_VECTORS = 48
"""For each centre; faiss asks for at least 39."""
_ROUNDS = 8
_ONE_BY_ONE = 11
"""faiss's name for the search that takes query after query and list after list, and keeps more than is wanted
until the end; the quickest one here."""
_ADDED_AT_ONCE = 65_536
_ROWS_READ = 3.5
"""Passing rows in the lists that are read, for each one wanted, under a filter without neighbourhoods."""
_MOST_ROWS_READ = 36
"""The same for filters that do: what passes may lie far from the query, where centres tell less."""
_MOST_OF_ALL = 0.7
"""Share of the passing rows that is read at most: the nearest are among the nearer ones."""
_GATHER_COST = 20
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
        share = CODES_READ * len(self._sizes) // max(1, len(self._list_of_row))
        self._probes = min(max(PROBES, share), len(self._sizes))
        self._placing = Placing(self._list_of_row, self._sizes)

    @staticmethod
    def exist(directory: Path) -> bool:
        """Whether :func:`write_inverted` wrote here."""
        return (directory / _INDEX).is_file()

    def nearest(self, queries: NDArray[np.float32], wanted: int) -> list[NDArray[np.int64]]:
        """About ``wanted`` rows nearest to each of ``queries`` [B, D], ascending."""
        faiss.omp_set_num_threads(1)
        found = self._index.search(queries, wanted, params=_parameters(nprobe=self._probes))[1]
        return [_ascending(rows) for rows in found]

    def nearest_passing(
        self, query: NDArray[np.float32], count: int, wanted: int, passing: NDArray[np.bool_], allowed: int
    ) -> NDArray[np.int64]:
        """About ``wanted`` passing rows near ``query`` [D]: the nearest by their codes, and all rows of those
        lists near it where so few pass that they are compared sooner than the codes; ascending.

        Args:
            count: how many of them are asked for.
            passing: bool [N]; ``allowed`` of them are true.
        """
        places = self._placing.of(passing, allowed)
        enough = min(min(_ROWS_READ * places.together, _MOST_ROWS_READ) * wanted, _MOST_OF_ALL * allowed)
        near, nearness, counts = self._near(query, places, count, enough)
        rows: NDArray[np.int64] = np.zeros(0, np.int64)
        if len(places.rows):
            few = _GATHER_COST * counts < self._sizes[near]
            read = np.zeros(len(self._sizes), bool)
            read[near[few]] = True
            rows = places.rows[read[places.lists]]
            near, nearness = near[~few], nearness[~few]
            if not len(near):
                return rows
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
        return _ascending(np.concatenate([rows, found[0]]))

    def _near(
        self, query: NDArray[np.float32], places: Places, count: int, enough: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """The lists to read, how near the centre of each is, and how many passing rows each holds."""
        if places.held is None:
            closeness = self._centres @ query
            look_up = partial(self._held, places.passing)
            near, counts = nearest_holding(closeness, look_up, count, enough, self._probes, self._probes // 2)
            return near, closeness[near], counts
        lists, held = places.holding
        if len(places.rows):
            closeness = inner_products(self._centres, lists, query)
        else:
            closeness = self._centres @ query
            lists, held = with_nearest(lists, held, closeness)
            closeness = closeness[lists]
        near, counts = nearest_holding(closeness, held.take, count, enough, self._probes)
        return lists[near], closeness[near], counts

    def _held(self, passing: NDArray[np.bool_], lists: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many passing rows each of ``lists`` holds."""
        held = np.zeros(len(lists), np.int64)
        sizes = self._sizes[lists]
        full = np.flatnonzero(sizes)
        if len(full):
            rows = np.concatenate([self._rows_of[number] for number in lists[full].tolist()])
            sizes = sizes[full]
            held[full] = np.add.reduceat(passing[rows], sizes.cumsum() - sizes, dtype=np.int64)
        return held


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
