"""From a trained encoder and a catalogue to a release."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import onnx
import torch
from endcap_rerank.release import Release, TextSettings
from endcap_rerank.tokenizer import QueryTokenizer, Tokens
from endcap_rerank.weights import LEARNED

from endcap_export.encoder import OnnxEncoder, encode_texts
from endcap_export.evaluate import ranking_scores, tag_scores
from endcap_export.half import half_precision
from endcap_export.held import HeldSet
from endcap_export.matryoshka import with_dimensions
from endcap_export.onnx_export import export_onnx
from endcap_export.parity import check_parity
from endcap_export.plan import check_plan, plan_parity
from endcap_export.popularity import HALF_LIFE_DAYS, popularity_counts
from endcap_export.progress import Progress, silent
from endcap_export.quantize import quantize
from endcap_export.ranking import learn_from_held
from endcap_export.registry import default_templates
from endcap_export.release import TENSORRT, write_release
from endcap_export.shop import Shop, texts_of
from endcap_export.shop_texts import trained_queries
from endcap_export.tensorrt import Profile, build_engine
from endcap_export.trained import TrainedEncoder

_PARITY_TEXTS = 200
_EVALUATED_QUERIES = 300
_CALIBRATED = 300
_TIMING_CACHE = "tensorrt-timing.cache"
"""Beside the folder of releases: the next engine of the shop is built faster."""

T = TypeVar("T")


def export_release(
    trained: TrainedEncoder,
    shop: Shop,
    releases: Path,
    *,
    method: str = "static",
    tensorrt: bool = False,
    dimensions: int | None = None,
    popularity_days: float = HALF_LIFE_DAYS,
    progress: Progress = silent,
) -> Release:
    """Export, check, quantize, evaluate, encode the catalogue, index it, write the release.

    Args:
        trained: what ``train_encoder`` wrote.
        shop: its products make the index; its held-out parts are evaluated on.
        releases: folder of releases.
        method: of int8 quantization, see ``endcap_export.quantize``.
        tensorrt: also build an engine with the TensorRT library that is there, and hold it against the
            config that will serve it, and against the fp32 graph where there is a GPU.
        dimensions: numbers of an embedding, fewer than the encoder has; the index has as many.
        popularity_days: days in which an event counts half for how popular a product is.
        progress: told of each stage.

    Raises:
        ParityError: the export differs from the trained encoder.
        PlanError: the engine does not fit its config or differs from the fp32 graph.
        EndcapError: anything else that cannot be done, TensorRT missing among it.
    """
    tokenizer = QueryTokenizer(trained)
    timed = _Timed(progress)
    with tempfile.TemporaryDirectory(prefix="endcap-export-") as name:
        work = Path(name)
        encoders = {"fp32": work / "fp32.onnx", "int8": work / "int8.onnx"}
        model = with_dimensions(trained.load(), dimensions)
        timed("export", lambda: export_onnx(model, encoders["fp32"]))
        texts = _sample(shop)
        parity = timed("parity", lambda: check_parity(model, encoders["fp32"], tokenizer, texts))
        samples = calibration_texts(shop, tokenizer)
        timed("quantize", lambda: quantize(encoders["fp32"], encoders["int8"], method, samples))
        parity_of_plan: float | None = None
        if tensorrt:
            encoders[TENSORRT] = work / "tensorrt.plan"
            timing_cache = releases.parent / _TIMING_CACHE
            timed(
                "tensorrt",
                lambda: _build_engine(
                    encoders["fp32"],
                    encoders[TENSORRT],
                    shop_profile(shop, tokenizer, trained.text),
                    timing_cache,
                ),
            )
            if torch.cuda.is_available():
                parity_of_plan = timed(
                    "plan parity",
                    lambda: plan_parity(encoders[TENSORRT], encoders["fp32"], tokenizer, texts),
                )
        metrics = timed(
            "evaluate",
            lambda: {
                precision: _evaluated(OnnxEncoder(encoders[precision]), tokenizer, shop, model.labels)
                for precision in ("fp32", "int8")
            },
        )
        products = [product.encoder_text() for product in shop.products]
        started, done = time.perf_counter(), 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            progress("encode", done, len(products))

        # The catalogue meets queries that int8 encoded: both lie in one space, so both are int8.
        embeddings = encode_texts(
            OnnxEncoder(encoders["int8"]), tokenizer.encode_products, products, progress=count
        )
        timed.seconds["encode"] = round(time.perf_counter() - started, 2)
        interactions = popularity_counts(shop.products, shop.events, popularity_days)
        held = HeldSet.of(shop.held_tags, shop.held_judgments)
        ranking = timed(
            "ranking",
            lambda: learn_from_held(
                shop, held, embeddings, OnnxEncoder(encoders["int8"]), tokenizer, interactions
            ),
        )
        record = {
            **trained.record,
            "parity": parity.as_mapping(),
            "quantization": method,
            **({} if parity_of_plan is None else {"plan_cosine": parity_of_plan}),
            "metrics": metrics,
            "ranking": {**ranking.record, "why": ranking.why},
            "popularity": {"events": len(shop.events), "half_life_days": popularity_days},
            "seconds": timed.seconds,
        }
        return timed(
            "index",
            lambda: write_release(
                releases,
                tokenizer=trained.tokenizer,
                encoders=encoders,
                labels=model.labels,
                text=trained.text,
                products=shop.products,
                embeddings=embeddings,
                interactions=interactions,
                ranking=None if ranking.document is None else {LEARNED: ranking.document},
                record=record,
                held=held,
            ),
        )


class _Timed:
    """Runs a stage, tells of its start and end, keeps its seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], Any]) -> Any:
        self._progress(stage, 0, 1)
        started = time.perf_counter()
        result = work()
        self.seconds[stage] = round(time.perf_counter() - started, 2)
        self._progress(stage, 1, 1)
        return result


def _build_engine(fp32: Path, plan: Path, profile: Profile, timing_cache: Path) -> None:
    """An fp16 engine; the record of it is written beside it."""
    half = fp32.with_name("fp16.onnx")
    onnx.save(half_precision(onnx.load(fp32)), half)
    timing_cache.parent.mkdir(parents=True, exist_ok=True)
    build_engine(half, plan, profiles=(profile,), timing_cache=timing_cache)
    check_plan(plan, default_templates() / "encode" / "configs" / "tensorrt.pbtxt")


def shop_profile(shop: Shop, tokenizer: QueryTokenizer, text: TextSettings) -> Profile:
    """For the shop's queries as they are padded when served, up to the longest text that is not cut off."""
    lengths = [tokenizer.encode([query]).input_ids.shape[1] for query in _spread(_queries(shop))]
    longest = -(-max(text.query_length, text.product_length) // text.pad_multiple) * text.pad_multiple
    return Profile.of_lengths(lengths, longest)


def _sample(shop: Shop) -> list[str]:
    """Texts of many lengths for the parity check: queries of each kind, and titles."""
    kinds = (
        [judgment.query for judgment in shop.held_judgments or shop.judgments],
        [query.text for query in shop.held_tags or shop.tags],
        [product.title[:512] for product in shop.products],
    )
    each = _PARITY_TEXTS // sum(map(bool, kinds))
    return [text for kind in kinds for text in kind[:: max(1, len(kind) // each)][:each]]


def calibration_texts(shop: Shop, tokenizer: QueryTokenizer) -> list[Tokens]:
    """What int8 sees the ranges of activations on: queries, their single words, and products.

    Training's queries, not the held-out ones that int8 is evaluated on. Single words matter: in so short a
    text the outer pieces get values that longer texts never give them.
    """
    queries = _spread(_queries(shop))
    words = _spread(list(dict.fromkeys(word for query in queries for word in query.split())))
    products = [product.encoder_text() for product in _spread(shop.products)]
    return [tokenizer.encode([*queries, *words]), tokenizer.encode_products(products)]


def _queries(shop: Shop) -> list[str]:
    """Distinct queries that were trained on; titles where the shop has none."""
    return trained_queries(shop) or [product.title[:512] for product in shop.products]


def _spread(items: Sequence[T]) -> list[T]:
    """``_CALIBRATED`` of the items at most, from all over."""
    return list(items[:: max(1, len(items) // _CALIBRATED)][:_CALIBRATED])


def _evaluated(
    encoder: OnnxEncoder, tokenizer: QueryTokenizer, shop: Shop, labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    scores = {}
    if shop.held_tags:
        scores["tags"] = tag_scores(encoder, tokenizer, labels, shop.held_tags)
    if shop.held_judgments:
        scores["ranking"] = ranking_scores(
            encoder, tokenizer, shop.held_judgments, texts_of(shop.products), max_queries=_EVALUATED_QUERIES
        )
    return scores
