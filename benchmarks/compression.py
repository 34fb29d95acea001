"""Every compressed form of one trained encoder in one table: what it costs in quality, what it saves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import onnx
import torch
from endcap_export.distill import distill
from endcap_export.encoder import OnnxEncoder
from endcap_export.evaluate.bootstrap import Estimate, loss
from endcap_export.evaluate.ranking import judged_order
from endcap_export.evaluate.tags import TagRun, f1, f1_loss, predict
from endcap_export.export import calibration_texts
from endcap_export.fuse import fuse
from endcap_export.matryoshka import with_dimensions
from endcap_export.onnx_export import export_onnx
from endcap_export.progress import Progress, silent
from endcap_export.quantize import quantize
from endcap_export.shop import Shop, texts_of
from endcap_export.trained import TrainedEncoder
from endcap_export.vocabulary import prune_vocabulary
from endcap_rerank.errors import EndcapError
from endcap_rerank.tokenizer import QueryTokenizer, Tokens

from benchmarks.encoder import ROUND, in_turns, one_thread, speedup
from endcap.reports import Figure, Report

LAYERS = 3
WIDTHS = (64, 128, 256)
LOSS = 0.005
STUDENT_LOSS = 0.02

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """One exported encoder and the tokenizer that goes with it."""

    file: Path
    tokenizer: QueryTokenizer
    bytes_a_product: int


@dataclass(frozen=True)
class Quality:
    """What a form answers on the held-out part; a part without data is None.

    Attributes:
        ndcg: nDCG@10 of each judged query, float64 [queries].
    """

    tags: TagRun | None = field(repr=False)
    ndcg: Times | None = field(repr=False)

    def figures(self) -> dict[str, float]:
        """F1 and mean nDCG."""
        told = {}
        if self.tags is not None:
            told["f1"] = round(float(f1(self.tags.counts().mean(axis=0))), 4)
        if self.ndcg is not None:
            told["ndcg10"] = round(float(self.ndcg.mean()), 4)
        return told


def measure(
    trained: TrainedEncoder,
    shop: Shop,
    work: Path,
    *,
    layers: int = LAYERS,
    runs: int = 300,
    pictures: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """The report ``compression``.

    Args:
        trained: the full model.
        shop: its held-out part is evaluated on; a student learns on its training part.
        work: folder of the student, which is not taught again when it is there; the forms go to
            ``compression`` in it.
        layers: of the student.
        runs: held-out queries that every form encodes for its time, one at a time.
        pictures: folder for ``compression.png``; None draws none.
        progress: told of each stage.

    Raises:
        EndcapError: the shop has no held-out queries.
    """
    if not shop.held_tags and not shop.held_judgments:
        raise EndcapError("nothing to evaluate on: neither held-out judgments nor tagged queries")
    with one_thread():
        started = perf_counter()
        forms = build_forms(trained, shop, work, layers, progress)
        encoders = {name: OnnxEncoder(form.file) for name, form in forms.items()}
        qualities = {}
        for number, (name, form) in enumerate(forms.items()):
            progress("evaluate", number, len(forms))
            qualities[name] = quality(encoders[name], form.tokenizer, shop)
        progress("evaluate", len(forms), len(forms))
        queries = _queries(shop, runs)
        times = _times(forms, encoders, queries, lambda done, of: progress("time", done, of))
        seconds = perf_counter() - started
    student = f"student{layers}_int8"
    row = {name: times[number] for number, name in enumerate(forms)}
    figures = {
        **_losses("int8", qualities["fp32"], qualities["int8_static"], LOSS),
        "int8_speedup_onnx": speedup(row["fp32"], row["int8_static"], ">= 2.5", {}),
        **_losses(f"student{layers}", qualities["fp32"], qualities[student], STUDENT_LOSS),
        f"student{layers}_speedup": speedup(row["int8_static"], row[student], ">= 1.7", {}),
    }
    for name, form in forms.items():
        beside = {
            **qualities[name].figures(),
            "mb": round(form.file.stat().st_size / 1e6, 1),
            "bytes_a_product": form.bytes_a_product,
        }
        middle, low, high = _median(row[name])
        figures[name] = Figure(middle, "ms", low, high, baselines=beside)
    if pictures is not None:
        draw(pictures / "compression.png", {name: figures[name] for name in forms})
    judged = qualities["fp32"].ndcg
    notes = (
        f"Encoder {trained.path.name} ({trained.record.get('base', '?')}), {len(forms)} forms. Quality on "
        f"{len(shop.held_tags)} tagged queries (strict entity F1, IOB2) and on "
        f"{0 if judged is None else len(judged)} judged ones (nDCG@10 of re-ranking their judged "
        f"products). Time: median of {len(queries)} held-out queries, batch 1, one thread, {ROUND} in a row "
        f"by each form, in turns, interval 95% by bootstrap. A loss is against fp32 of the full model on "
        f"the same queries. bytes_a_product is its vector in fp32. Student: {_told(work, layers)}. PyTorch "
        f"{torch.__version__}, ONNX Runtime {version('onnxruntime')}. {seconds:.0f} s in all; load average "
        f"at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )
    return Report("compression", figures, notes)


def build_forms(
    trained: TrainedEncoder, shop: Shop, work: Path, layers: int, progress: Progress
) -> dict[str, Form]:
    """Write every form: name → form, the plain fp32 export first."""
    folder = work / "compression"
    folder.mkdir(parents=True, exist_ok=True)
    forms: dict[str, Form] = {}
    full = int(trained.load().config.hidden_size)

    def export(name: str, encoder: TrainedEncoder, width: int | None = None) -> Path:
        progress(name, 0, 1)
        file = folder / f"{name}.onnx"
        export_onnx(with_dimensions(encoder.load(), width), file)
        add(name, file, encoder, width)
        progress(name, 1, 1)
        return file

    def int8(name: str, source: Path, encoder: TrainedEncoder, method: str, width: int | None = None) -> None:
        progress(name, 0, 1)
        file = folder / f"{name}.onnx"
        quantize(source, file, method, calibration_texts(shop, QueryTokenizer(encoder)))
        add(name, file, encoder, width)
        progress(name, 1, 1)

    def add(name: str, file: Path, encoder: TrainedEncoder, width: int | None) -> None:
        forms[name] = Form(file, QueryTokenizer(encoder), 4 * (width or full))

    def only_int8(name: str, encoder: TrainedEncoder, width: int | None = None) -> None:
        source = export(f"{name}_source", encoder, width)
        del forms[f"{name}_source"]
        int8(name, source, encoder, "static", width)
        source.unlink()

    fp32 = export("fp32", trained)
    fused = folder / "fp32_fused.onnx"
    onnx.save(fuse(onnx.load(fp32)), fused)
    add("fp32_fused", fused, trained, None)
    for method in ("dynamic", "rowwise", "static"):
        int8(f"int8_{method}", fp32, trained, method)
    student = distill(trained, shop, work / f"student{layers}", layers=layers, progress=progress)
    int8(f"student{layers}_int8", export(f"student{layers}_fp32", student), student, "static")
    only_int8("int8_pruned", prune_vocabulary(trained, shop, folder / "pruned"))
    widths = [width for width in WIDTHS if width < full]
    for width in widths:
        only_int8(f"int8_{width}", trained, width)
    smallest = prune_vocabulary(student, shop, folder / f"student{layers}-pruned")
    width = widths[len(widths) // 2] if widths else full
    only_int8(f"student{layers}_int8_pruned_{width}", smallest, width)
    return forms


def quality(encoder: OnnxEncoder, tokenizer: QueryTokenizer, shop: Shop) -> Quality:
    """Answers of a form on the shop's held-out part."""
    tags = ndcg = None
    if shop.held_tags:
        tags = predict(encoder, tokenizer, shop.labels, shop.held_tags)
    if shop.held_judgments:
        ndcg, _ = judged_order(encoder, tokenizer, shop.held_judgments, texts_of(shop.products))
    return Quality(tags, ndcg)


def draw(file: Path, rows: Mapping[str, Figure]) -> None:
    """Quality over time, a point a form, as large as its file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(13, 5.5))
    for axes, measured, label in zip(
        panels, ("f1", "ndcg10"), ("strict entity F1", "nDCG@10 of judged products"), strict=True
    ):
        for number, (name, row) in enumerate(rows.items()):
            if measured in row.baselines:
                size = 4 * row.baselines["mb"]
                point = row.value, row.baselines[measured]
                axes.scatter(*point, s=size, alpha=0.5, color=f"C{number % 10}")
                axes.annotate(name, point, fontsize=7, textcoords="offset points", xytext=(4, 4))
        axes.set(xlabel="ms a query, one thread", ylabel=label, title="area: size of the file")
        axes.grid(alpha=0.3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _losses(name: str, before: Quality, after: Quality, most: float) -> dict[str, Figure]:
    found: dict[str, Estimate] = {}
    if before.tags is not None and after.tags is not None:
        found[f"{name}_f1_loss"] = f1_loss(before.tags, after.tags)
    if before.ndcg is not None and after.ndcg is not None:
        found[f"{name}_ndcg_loss"] = loss(before.ndcg, after.ndcg)
    return {key: Figure(one.value, "", one.low, one.high, f"<= {most:g}") for key, one in found.items()}


def _queries(shop: Shop, runs: int) -> list[str]:
    """Held-out queries of both kinds, in a random order."""
    queries = [query.text for query in shop.held_tags] + [one.query for one in shop.held_judgments]
    distinct = list(dict.fromkeys(queries))
    return [distinct[place] for place in np.random.default_rng(7).permutation(len(distinct))[:runs]]


def _times(
    forms: Mapping[str, Form],
    encoders: Mapping[str, OnnxEncoder],
    queries: Sequence[str],
    progress: Callable[[int, int], None],
) -> Times:
    """Seconds [forms, queries]. Vocabularies differ, so a form is asked by the query's number."""

    def encode(name: str) -> Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], object]:
        own = [forms[name].tokenizer.encode([query]) for query in queries]

        def one(number: npt.NDArray[np.int64], _: npt.NDArray[np.int64]) -> object:
            tokens = own[number.item()]
            return encoders[name].encode(tokens.input_ids, tokens.attention_mask)

        return one

    numbers = [np.array([number]) for number in range(len(queries))]
    sets = [Tokens(number, number, np.zeros(0, np.int32)) for number in numbers]
    return in_turns([encode(name) for name in forms], sets, progress)


def _median(times: Times) -> tuple[float, float, float]:
    """Median in milliseconds and its 95% interval."""
    picks = np.random.default_rng(7).integers(len(times), size=(1000, len(times)))
    low, high = np.percentile(np.median(times[picks], axis=1), (2.5, 97.5))
    return 1e3 * float(np.median(times)), 1e3 * float(low), 1e3 * float(high)


def _told(work: Path, layers: int) -> str:
    told = TrainedEncoder.open(work / f"student{layers}").record["distillation"]
    taken = sum(told["seconds"].values())
    return (
        f"layers {', '.join(map(str, told['kept_layers']))} of the teacher, {told['steps']} steps over "
        f"{told['texts']} texts, {taken / 60:.1f} minutes"
    )
