"""What the peers read, made once of a release: its weights, vectors and ids in the forms that they take."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from endcap_export.encoder import OnnxEncoder
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.release import Release
from endcap_rerank.tokenizer import QueryTokenizer
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from benchmarks.peers.pipeline import CANDIDATES

DONE = "assets.json"
"""Written last: a folder that has it is whole."""

OVERLAP = 0.985
"""Least share of the exact nearest that the graph has to find where its depth is set; above what is demanded
of it later, on other queries."""

DEPTHS = (200, 250, 300, 400, 600, 800)
PADDING = ("[PAD]", "<pad>")

Floats = npt.NDArray[np.float32]


def prepare(
    release: Release, folder: Path, queries: Sequence[str], told: Callable[[str], None] = lambda text: None
) -> Path:
    """The folder of a release's assets under ``folder``; made where it is missing, which takes a minute.

    Args:
        queries: on which the depth of the graph's search is set.
        told: told of each step.
    """
    target = folder / release.id
    if (target / DONE).is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{release.id}-", dir=folder))
    try:
        _write(release, work, queries, told)
        shutil.rmtree(target, ignore_errors=True)
        work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _write(release: Release, work: Path, queries: Sequence[str], told: Callable[[str], None]) -> None:
    index = Index.open(release.index)
    for precision in ("fp32", "int8"):
        (work / f"{precision}.onnx").symlink_to(release.encoder(precision).resolve())
    (work / "tokenizer.json").symlink_to(release.tokenizer.resolve())
    (work / "vectors.npy").symlink_to((release.index / "vectors.npy").resolve())
    ids = LiveIndex(index).item_ids(np.arange(index.count))
    (work / "ids.json").write_text(json.dumps(ids), "utf-8")
    told("the weights for sentence-transformers")
    write_sentence_transformers(release, work / "sentence-transformers")
    told(f"faiss' graph of {index.count} products")
    vectors = np.ascontiguousarray(index.dense.vectors, np.float32)
    graph: Any = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 200
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    graph.add(vectors)
    faiss.write_index(graph, str(work / "hnsw.faiss"))
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        depth = depth_for(graph, vectors, embed(release, "int8", queries))
    tokenizer = Tokenizer.from_file(str(release.tokenizer))
    pad_token = next(piece for piece in PADDING if tokenizer.token_to_id(piece) is not None)
    settings = {
        "ef_search": depth,
        "query_prefix": release.text.query_prefix,
        "query_length": release.text.query_length,
        "pad_multiple": release.text.pad_multiple,
        "pad_token": pad_token,
        "pad_id": tokenizer.token_to_id(pad_token),
    }
    (work / DONE).write_text(json.dumps(settings, indent=1), "utf-8")


def embed(release: Release, precision: str, queries: Sequence[str]) -> Floats:
    """Vectors of queries, each alone as it is served: float32 [Q, D]."""
    tokenizer, encoder = QueryTokenizer(release), OnnxEncoder(release.encoder(precision))
    tokens = [tokenizer.encode([query]) for query in queries]
    return np.concatenate([encoder.encode(each.input_ids, each.attention_mask)[0] for each in tokens])


def nearest(vectors: Floats, embeddings: Floats, count: int = CANDIDATES) -> npt.NDArray[np.int64]:
    """Rows of the exactly nearest products, best first: int64 [Q, count]."""
    scores = embeddings @ vectors.T
    rows = np.argpartition(-scores, count, axis=1)[:, :count]
    order = np.take_along_axis(scores, rows, 1).argsort(axis=1)[:, ::-1]
    return np.take_along_axis(rows, order, 1)


def depth_for(graph: Any, vectors: Floats, embeddings: Floats) -> int:
    """The least ``efSearch`` with which the graph finds OVERLAP of the exact nearest; else the largest."""
    exact = nearest(vectors, embeddings)
    for depth in DEPTHS:
        graph.hnsw.efSearch = depth
        found = graph.search(embeddings, exact.shape[1])[1]
        shared = [len(np.intersect1d(one, other)) for one, other in zip(found, exact, strict=True)]
        if np.mean(shared) / exact.shape[1] >= OVERLAP:
            return depth
    return DEPTHS[-1]


def write_sentence_transformers(release: Release, folder: Path) -> None:
    """The release's fp32 weights as a sentence-transformers folder: trunk, mean over pieces, unit length."""
    from endcap_export.base import find_base, quiet
    from transformers import AutoConfig, AutoTokenizer, BertModel

    base = find_base(str(release.manifest["record"]["base"])).source
    with quiet():
        model = BertModel(AutoConfig.from_pretrained(base), add_pooling_layer=False)
        missing, unknown = model.load_state_dict(trunk_weights(release.encoder("fp32")), strict=False)
        if unknown or any(not name.endswith("position_ids") for name in missing):
            raise ValueError(f"{release.encoder('fp32')}: missing {missing}, unknown {unknown}")
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    shutil.copyfile(release.tokenizer, folder / "tokenizer.json")
    for name in ("1_Pooling", "2_Normalize"):
        (folder / name).mkdir()
    documents: dict[str, object] = {
        "modules.json": [
            {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for place, (path, kind) in enumerate(
                [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
            )
        ],
        "sentence_bert_config.json": {"max_seq_length": release.text.query_length, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": release.dimension,
            "pooling_mode_mean_tokens": True,
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1), "utf-8")


def trunk_weights(file: Path) -> dict[str, Any]:
    """The state dict of the BERT in an exported encoder.

    The exporter keeps names but those of the matrices that it transposed: each is the one by which an input
    is multiplied before the bias of its name is added.
    """
    import onnx
    import torch

    graph = onnx.load(str(file)).graph
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    weights = {name: value for name, value in values.items() if name.startswith("bert.")}
    for node in graph.node:
        biases = [name for name in node.input if name.startswith("bert.") and name.endswith(".bias")]
        if node.op_type != "Add" or not biases:
            continue
        (product,) = [made_by[name] for name in node.input if name not in biases]
        matrix = next(values[name] for name in product.input if name in values)
        weights[biases[0].removesuffix("bias") + "weight"] = matrix.T
    return {
        name.removeprefix("bert."): torch.from_numpy(np.array(value))
        for name, value in weights.items()
        if not name.endswith("position_ids")
    }
