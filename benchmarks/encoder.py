"""The int8 encoder of a release beside its fp32 ONNX form and PyTorch: time of a query, and agreement."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from endcap_export.base import find_base, load_model
from endcap_export.encoder import OnnxEncoder
from endcap_export.model import TwoHeadBert
from endcap_export.onnx_export import export_onnx
from endcap_export.parity import TOLERANCE, Parity, ParityError, check_parity
from endcap_export.trained import TrainedEncoder
from endcap_rerank.release import Release
from endcap_rerank.tokenizer import QueryTokenizer, Tokens

from benchmarks.traffic import Traffic
from endcap.reports import Figure, Report

ROUND = 20
"""Queries that one form encodes in a row: enough to be warm, few enough that all meet the same machine."""

PARITY_QUERIES = 500
_TOGETHER = 20
_WARM_UP = 3
_SEED = 7

Encode = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], object]
Times = npt.NDArray[np.float64]


def measure(
    release: Release,
    queries: Path,
    *,
    encoder: Path | None = None,
    runs: int = 400,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """The report ``encoder``.

    Args:
        release: its int8 and fp32 encoders are what is timed.
        queries: a file of queries, or a shop's folder.
        encoder: what ``endcap train`` wrote; None takes the same architecture with the base's weights,
            which take as long.
        runs: real queries that each form encodes, one at a time.
        progress: called with (queries done, runs).

    Raises:
        EndcapError: the release lacks an encoder, or the base is not there.
    """
    texts = _chosen(Traffic.of_path(queries).queries, max(runs, PARITY_QUERIES))
    tokenizer = QueryTokenizer(release)
    with one_thread():
        model, origin = _pytorch(release, encoder)
        parity = _parity(model, tokenizer, texts[:PARITY_QUERIES])
        # The export sets plain attention; transformers' default is the fair rival.
        model.set_attn_implementation("sdpa")
        forms = {name: OnnxEncoder(release.encoder(name)) for name in ("int8", "fp32")}
        sets = [tokenizer.encode([text]) for text in texts[:runs]]
        with torch.inference_mode():
            times = in_turns([forms["int8"].encode, forms["fp32"].encode, eager_form(model)], sets, progress)
    int8, fp32, eager = 1e3 * np.median(times, axis=1)
    milliseconds = {"int8_ms": float(int8), "fp32_ms": float(fp32), "pytorch_ms": float(eager)}
    nearness, padding = _cosines(forms, tokenizer, texts[: min(runs, 200)])
    lengths = [tokens.input_ids.shape[1] for tokens in sets]
    figures = {
        "int8_speedup_onnx": speedup(times[1], times[0], ">= 2.5", milliseconds),
        "int8_speedup_torch": speedup(times[2], times[0], ">= 6", milliseconds),
        "onnx_parity_max_abs": Figure(
            max(parity.embedding_max_abs, parity.logits_max_abs),
            goal=f"<= {TOLERANCE:g}",
            baselines={"query_embedding": parity.embedding_max_abs, "tag_logits": parity.logits_max_abs},
        ),
        "int8_cosine": Figure(
            float(nearness.mean()), "", *_interval(nearness), baselines={"worst": float(nearness.min())}
        ),
        "int8_padded_cosine": Figure(
            float(padding.min()), goal=">= 0.9999", baselines={"mean": float(padding.mean())}
        ),
    }
    notes = (
        f"Release {release.path.name}, int8 by {release.manifest['record'].get('quantization', '?')}; "
        f"{len(sets)} different real queries, batch 1, {np.median(lengths):g} word pieces with padding "
        f"(median, {min(lengths)} to {max(lengths)}), one thread. {ROUND} queries in a row by each form, in "
        f"turns, after {_WARM_UP} that are not counted. A speed-up is the ratio of the medians, its interval "
        f"95% by bootstrap over queries. PyTorch {torch.__version__} (eager mode, scaled-dot-product "
        f"attention, inference mode): {origin}. ONNX Runtime {version('onnxruntime')}. Parity: an export of "
        f"that PyTorch model against it, {parity.texts} queries in {parity.batches} random padded batches, "
        f"both outputs. int8_cosine is to fp32; int8_padded_cosine the worst of a query alone to itself in a "
        f"padded batch of {_TOGETHER}. Load average at the end: {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores."
    )
    return Report("encoder", figures, notes)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as the others run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_turns(
    forms: Sequence[Encode],
    sets: Sequence[Tokens],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Times:
    """Seconds [forms, queries]: each form encodes a round, then the next one the same round."""
    taken = np.empty((len(forms), len(sets)))
    for number, first in enumerate(range(0, len(sets), ROUND)):
        part = sets[first : first + ROUND]
        for turn in range(len(forms)):
            which = (number + turn) % len(forms)
            for tokens in part[:_WARM_UP]:
                forms[which](tokens.input_ids, tokens.attention_mask)
            for place, tokens in enumerate(part, first):
                start = perf_counter()
                forms[which](tokens.input_ids, tokens.attention_mask)
                taken[which, place] = perf_counter() - start
        progress(first + len(part), len(sets))
    return taken


def speedup(slow: Times, fast: Times, goal: str, milliseconds: dict[str, float]) -> Figure:
    """Ratio of the medians; a query's two times stay together when queries are drawn again."""
    picks = np.random.default_rng(_SEED).integers(len(slow), size=(1000, len(slow)))
    ratios = np.median(slow[picks], axis=1) / np.median(fast[picks], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Figure(float(np.median(slow) / np.median(fast)), "", float(low), float(high), goal, milliseconds)


def _chosen(queries: Sequence[str], count: int) -> list[str]:
    order = np.random.default_rng(_SEED).permutation(len(queries))
    return [queries[place] for place in order[:count]]


def _pytorch(release: Release, encoder: Path | None) -> tuple[TwoHeadBert, str]:
    """The model to time, and what to say of it."""
    if encoder is not None:
        return TrainedEncoder.open(encoder).load(), "the trained encoder"
    base = release.manifest["record"].get("untuned", "minilm")
    model = load_model(find_base(base), release.labels)
    model.train(False)
    return (
        model,
        f"the trained weights are not kept, so {base} with a fresh tag head, the same architecture",
    )


def _parity(model: TwoHeadBert, tokenizer: QueryTokenizer, texts: Sequence[str]) -> Parity:
    """Whatever was measured: a report shows what misses its goal too."""
    with tempfile.TemporaryDirectory(prefix="endcap-parity-") as folder:
        file = Path(folder) / "fp32.onnx"
        export_onnx(model, file)
        try:
            return check_parity(model, file, tokenizer, texts)
        except ParityError as error:
            return error.parity


def eager_form(model: TwoHeadBert) -> Encode:
    def encode(input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]) -> object:
        return model(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))

    return encode


def _cosines(
    forms: dict[str, OnnxEncoder], tokenizer: QueryTokenizer, texts: Sequence[str]
) -> tuple[Times, Times]:
    """Of int8 to fp32, and of int8 alone to int8 in a padded batch; one value a text."""

    def alone(form: OnnxEncoder) -> npt.NDArray[np.float32]:
        each = [tokenizer.encode([text]) for text in texts]
        return np.concatenate([form.encode(one.input_ids, one.attention_mask)[0] for one in each])

    single, exact = alone(forms["int8"]), alone(forms["fp32"])
    batches = [
        tokenizer.encode(texts[first : first + _TOGETHER]) for first in range(0, len(texts), _TOGETHER)
    ]
    padded = np.concatenate([forms["int8"].encode(one.input_ids, one.attention_mask)[0] for one in batches])
    return (single * exact).sum(axis=1).astype(float), (single * padded).sum(axis=1).astype(float)


def _interval(values: Times) -> tuple[float, float]:
    """95% of the mean, by bootstrap."""
    picks = np.random.default_rng(_SEED).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
