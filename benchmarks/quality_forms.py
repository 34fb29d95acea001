"""int8 and a student beside the full model: what they lose, and how much faster they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from endcap_export.encoder import Encoder, OnnxEncoder
from endcap_export.evaluate import bootstrap
from endcap_export.evaluate.bootstrap import Doubles
from endcap_export.evaluate.ranking import judged_order
from endcap_export.evaluate.tags import TagRun, f1, f1_loss, predict
from endcap_export.export import calibration_texts
from endcap_export.model import TwoHeadBert
from endcap_export.onnx_export import export_onnx
from endcap_export.parity import ParityError, check_parity
from endcap_export.progress import Progress, silent
from endcap_export.quantize import quantize
from endcap_export.shop import Shop, texts_of
from endcap_export.trained import TrainedEncoder
from endcap_rerank.tokenizer import QueryTokenizer

from benchmarks.encoder import eager_form, in_turns, one_thread, speedup
from benchmarks.quality_parts import STUDENT
from endcap.evaluation_report import figure
from endcap.reports import Figure

PARITY_QUERIES = 500
_SEED = 7


@dataclass(frozen=True)
class Answers:
    """What an encoder answers on the held-out part.

    Attributes:
        ndcg: nDCG@10 of each judged query, float64 [queries].
    """

    tags: TagRun = field(repr=False)
    ndcg: Doubles = field(repr=False)

    @classmethod
    def of(cls, encoder: Encoder, tokenizer: QueryTokenizer, shop: Shop) -> Answers:
        """Ask an encoder; of products only the judged ones are encoded."""
        ndcg, _ = judged_order(encoder, tokenizer, shop.held_judgments, texts_of(shop.products))
        return cls(predict(encoder, tokenizer, shop.labels, shop.held_tags), ndcg)

    @property
    def f1(self) -> float:
        """Strict entity F1."""
        return float(f1(self.tags.counts().mean(axis=0)))


def form_figures(
    encoder: TrainedEncoder,
    student: TrainedEncoder | None,
    shop: Shop,
    folder: Path,
    *,
    runs: int = 300,
    progress: Progress = silent,
) -> dict[str, Figure]:
    """Losses, speed-ups and parity.

    Losses are against the full model in fp32, of int8 and of the student's int8 form; the student's speed-up
    is over the full model's int8.

    Args:
        encoder: the full model.
        student: taught by it; None leaves its figures out.
        shop: what both were trained on; its held-out part is evaluated on.
        folder: where the ONNX files go.
        runs: real queries that each form encodes for its time, one at a time.
        progress: told of the stages ``export``, ``forms`` and ``time``.
    """
    tokenizer = QueryTokenizer(encoder)
    model = encoder.load()
    files = _write_forms(model, student, shop, tokenizer, folder, progress)
    queries = _queries(shop)
    found = {"onnx_parity_max_abs": _parity(model, files["fp32"], tokenizer, queries[:PARITY_QUERIES])}
    forms = {name: OnnxEncoder(file) for name, file in files.items()}
    answers = {}
    for number, (name, form) in enumerate(forms.items()):
        progress("forms", number, len(forms))
        answers[name] = Answers.of(form, tokenizer, shop)
    progress("forms", len(forms), len(forms))
    for name in ("int8", STUDENT):
        if name in answers:
            found.update(_losses(name, answers["fp32"], answers[name]))
    found.update(_speedups(model, forms, tokenizer, queries[:runs], progress))
    return found


def _write_forms(
    model: TwoHeadBert,
    student: TrainedEncoder | None,
    shop: Shop,
    tokenizer: QueryTokenizer,
    folder: Path,
    progress: Progress,
) -> dict[str, Path]:
    progress("export", 0, 1)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"fp32": folder / "fp32.onnx", "int8": folder / "int8.onnx"}
    samples = calibration_texts(shop, tokenizer)
    export_onnx(model, files["fp32"])
    quantize(files["fp32"], files["int8"], "static", samples)
    if student is not None:
        files[STUDENT] = folder / f"{STUDENT}-int8.onnx"
        source = folder / f"{STUDENT}-fp32.onnx"
        export_onnx(student.load(), source)
        quantize(source, files[STUDENT], "static", samples)
    progress("export", 1, 1)
    return files


def _parity(model: TwoHeadBert, file: Path, tokenizer: QueryTokenizer, texts: list[str]) -> Figure:
    """Whatever was measured: a report shows what misses its goal too."""
    try:
        parity = check_parity(model, file, tokenizer, texts)
    except ParityError as error:
        parity = error.parity
    both = {"query_embedding": parity.embedding_max_abs, "tag_logits": parity.logits_max_abs}
    return Figure(max(both.values()), baselines=both)


def _losses(name: str, before: Answers, after: Answers) -> dict[str, Figure]:
    order = {"fp32": float(before.ndcg.mean()), name: float(after.ndcg.mean())}
    return {
        f"{name}_f1_loss": figure(
            f1_loss(before.tags, after.tags), beside={"fp32": before.f1, name: after.f1}
        ),
        f"{name}_ndcg_loss": figure(bootstrap.loss(before.ndcg, after.ndcg), beside=order),
    }


def _speedups(
    model: TwoHeadBert,
    forms: Mapping[str, OnnxEncoder],
    tokenizer: QueryTokenizer,
    queries: list[str],
    progress: Progress,
) -> dict[str, Figure]:
    # The export sets plain attention; transformers' default is the fair rival.
    model.set_attn_implementation("sdpa")
    sets = [tokenizer.encode([query]) for query in queries]
    with one_thread(), torch.inference_mode():
        times = in_turns(
            [*(form.encode for form in forms.values()), eager_form(model)],
            sets,
            lambda done, total: progress("time", done, total),
        )
    took = dict(zip([*forms, "pytorch"], times, strict=True))
    beside = {f"{name}_ms": 1e3 * float(np.median(one)) for name, one in took.items()}
    found = {
        "int8_speedup_onnx": speedup(took["fp32"], took["int8"], "", beside),
        "int8_speedup_torch": speedup(took["pytorch"], took["int8"], "", beside),
    }
    if STUDENT in took:
        found[f"{STUDENT}_speedup"] = speedup(took["int8"], took[STUDENT], "", beside)
    return found


def _queries(shop: Shop) -> list[str]:
    """Held-out queries of both kinds in a random order."""
    queries = [query.text for query in shop.held_tags] + [one.query for one in shop.held_judgments]
    distinct = list(dict.fromkeys(queries))
    return [distinct[at] for at in np.random.default_rng(_SEED).permutation(len(distinct))]
