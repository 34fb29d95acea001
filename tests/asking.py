"""Requests through tritonclient itself, and what it takes to compare two answers."""

from __future__ import annotations

import json

import numpy as np
from endcap_rerank.schema import MODELS


class Raw:
    """tritonclient over one protocol: arrays in, arrays out."""

    def __init__(self, module, url):
        self.module = module
        self.client = module.InferenceServerClient(url)

    def infer(self, model, outputs=None, *, batch=None, **inputs):
        """Send tensors ``name=values``; scalars and lists become [B, 1] of the schema's dtype."""
        specs = {spec.name: spec for spec in MODELS[model].inputs}
        tensors = []
        for name, values in inputs.items():
            array = as_tensor(specs[name], values)
            tensor = self.module.InferInput(name, list(array.shape), specs[name].dtype)
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        wanted = outputs or [spec.name for spec in MODELS[model].outputs]
        requested = [self.module.InferRequestedOutput(name) for name in wanted]
        result = self.client.infer(model, tensors, outputs=requested)
        return {name: result.as_numpy(name) for name in wanted}

    def search(self, query, **inputs):
        """One query: (ids, scores)."""
        answer = self.infer("search", query=query, **inputs)
        return decoded(answer["item_id"][0]), answer["score"][0]


def as_tensor(spec, values):
    """A value or a list of values as [B, 1]; arrays as they are."""
    if isinstance(values, np.ndarray):
        return values
    rows = values if isinstance(values, list) else [values]
    if spec.dtype == "BYTES":
        rows = [row.encode() if isinstance(row, str) else row for row in rows]
        return np.array(rows, dtype=np.object_).reshape(-1, 1)
    dtype = {"INT32": np.int32, "FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[spec.dtype]
    return np.array(rows, dtype=dtype).reshape(-1, 1)


def alike(one, other, tolerance=1e-5):
    """Whether two JSON documents say the same, numbers up to the rounding of float32 sums."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    return one == other


def documents(texts):
    """JSON documents of an output row, or empty texts."""
    return [json.loads(text) if text else text for text in decoded(texts)]


def decoded(row):
    """A row of a BYTES output, or a list of texts, as texts."""
    return [value.decode() if isinstance(value, bytes) else value for value in list(row)]
