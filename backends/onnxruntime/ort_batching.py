"""Requests of one dynamic batch into one run of the model, and its outputs back to the requests.

Rows are stacked along the batch dimension. Inputs with ``allow_ragged_batch`` may differ in size: they are
padded with zeros to the longest, so an attention mask among them is 0 on padding; the outputs' dimensions
of the same name are cut back to each request's own size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from ort_contract import Contract

Arrays = list[np.ndarray]


def groups(contract: Contract, requests: Sequence[Arrays]) -> list[list[int]]:
    """Positions of the requests that can run together, each group in order of arrival.

    Requests whose own inputs contradict each other form groups of one, so that their error is theirs.
    """
    if len(requests) == 1:
        return [[0]]
    if not contract.batched:
        return [[position] for position in range(len(requests))]
    together: dict[object, list[int]] = {}
    for position, arrays in enumerate(requests):
        key: object
        try:
            contract.check(arrays)
            key = tuple(
                array.ndim if spec.ragged else array.shape[1:]
                for spec, array in zip(contract.inputs, arrays, strict=True)
            )
        except ValueError:
            key = position
        together.setdefault(key, []).append(position)
    return list(together.values())


def run(contract: Contract, session: ort.InferenceSession, requests: Sequence[Arrays]) -> list[Arrays]:
    """Outputs of each request, in the order of ``contract.outputs``: views of the batch's, not copies.

    Raises:
        Exception: what ONNX Runtime raises; the whole group then failed.
    """
    names = [spec.name for spec in contract.outputs]
    if len(requests) == 1:
        feed = {spec.name: array for spec, array in zip(contract.inputs, requests[0], strict=True)}
        return [session.run(names, feed)]
    feed = {
        spec.name: stack([arrays[position] for arrays in requests])
        for position, spec in enumerate(contract.inputs)
    }
    outputs = session.run(names, feed)
    answers, row = [], 0
    for arrays in requests:
        rows = slice(row, row + len(arrays[0]))
        row = rows.stop
        own = _own_sizes(contract, arrays, feed)
        answers.append(
            [
                array[(rows, *(slice(own.get(dimension)) for dimension in spec.shape[1:]))]
                if own
                else array[rows]
                for spec, array in zip(contract.outputs, outputs, strict=True)
            ]
        )
    return answers


def stack(arrays: Arrays) -> np.ndarray:
    """Arrays [B_i, …] as one [sum B_i, …], zero-padded to the largest in every other dimension."""
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return np.concatenate(arrays)
    largest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    stacked = np.zeros((sum(len(array) for array in arrays), *largest), dtype=arrays[0].dtype)
    row = 0
    for array in arrays:
        stacked[(slice(row, row + len(array)), *(slice(size) for size in array.shape[1:]))] = array
        row += len(array)
    return stacked


def _own_sizes(contract: Contract, arrays: Arrays, feed: dict[str, np.ndarray]) -> dict[object, int]:
    """Sizes of the named dimensions in which a request is smaller than the batch it ran in."""
    return {
        dimension: size
        for spec, array in zip(contract.inputs, arrays, strict=True)
        if array.shape[1:] != feed[spec.name].shape[1:]
        for dimension, size in zip(spec.shape[1:], array.shape[1:], strict=True)
        if isinstance(dimension, str)
    }
