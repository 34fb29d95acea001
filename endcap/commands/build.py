"""``endcap build``: from a shop's files to a registered release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.console import console, errors, reports_errors

_SHOWN_WARNINGS = 20

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        "-d",
        help="Folder of the shop's files, found by name; each .csv, .jsonl or .parquet: "
        "**products** (id, title; brand, category `A > B`, price, currency, in_stock, rating, review_count, "
        "image_url, description, attributes, created_at, min_age); optional **judgments** (query, item_id, "
        "relevance) and **events** (user_id, item_id, event, timestamp; query, position). "
        "`judgments.train.csv` beside `judgments.dev.csv` are training and held-out part.",
    ),
]
TagsOption = Annotated[
    Path | None,
    typer.Option(
        "--tags",
        "-t",
        help="Tagged queries: a BIO file (token, tab or space, label; blank line between queries), "
        "or a folder with train.bio and dev.bio. [default: *.bio in DATA]",
    ),
]
BaseOption = Annotated[
    str,
    typer.Option(
        help="BERT to start from: `minilm` (English, comes with the install), `zh`, a folder, "
        "or a Hugging Face id."
    ),
]
RepositoryOption = Annotated[
    Path, typer.Option("--repository", "-r", help="Where releases are registered; `endcap serve` reads it.")
]
EpochsOption = Annotated[
    float, typer.Option(help="Passes over the larger of judgments and tagged queries.", min=0.001)
]
MaxStepsOption = Annotated[
    int | None, typer.Option("--max-steps", "--steps", help="Stop training after so many steps.", min=1)
]
SecondsOption = Annotated[float | None, typer.Option(help="Stop training after so many seconds.", min=1)]
LimitOption = Annotated[
    int | None,
    typer.Option(
        help="Learn from at most so many pairs and tagged queries; every product is indexed.", min=1
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.")]
BadShareOption = Annotated[
    float, typer.Option(help="Refuse a file when more than this share of its rows is bad.", min=0, max=1)
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        help="A running Triton that shall load it at once: localhost:8001, grpcs://… or http://localhost:8000."
    ),
]
QuantizationOption = Annotated[str, typer.Option(help="How int8 is made: static, rowwise, dynamic or nbits.")]
TensorRTOption = Annotated[
    bool, typer.Option("--tensorrt", help="Also build a TensorRT engine (tensorrt, else tensorrt-rtx).")
]
PopularityOption = Annotated[
    float,
    typer.Option(
        "--popularity-half-life",
        help="Days in which an event counts half for how popular a product is.",
        min=0.01,
    ),
]


NORMALIZE_HELP = (
    "Characters made one before a text is cut into pieces: `width` (full-width to usual), `simplified` "
    "(from traditional Chinese), or `width,simplified`."
)


@reports_errors
def build(
    data: DataOption,
    tags: TagsOption = None,
    base: BaseOption = "minilm",
    repository: RepositoryOption = Path("build/repository"),
    epochs: EpochsOption = 1.0,
    max_steps: MaxStepsOption = None,
    seconds: SecondsOption = None,
    limit_train: LimitOption = None,
    normalize: Annotated[str, typer.Option(help=NORMALIZE_HELP)] = "",
    quantization: QuantizationOption = "static",
    precision: Annotated[str, typer.Option(help="Which encoder is served: int8 or fp32.")] = "int8",
    tensorrt: TensorRTOption = False,
    popularity_half_life: PopularityOption = 14.0,
    seed: SeedOption = 7,
    max_bad_share: BadShareOption = 0.01,
    server: ServerOption = None,
) -> None:
    """Fine-tune, export to ONNX and int8, index the catalogue, write a release and register it.

    Without judgments the embedding learns from queries and clicks in events, or from titles alone; without
    tagged queries there is no tag head. A row that cannot be used is reported with file, line and reason. A
    release that loses against the running one is kept, but not registered: see `endcap register`.
    """
    from endcap_export.build import build as build_release
    from endcap_export.gate import GateError, Verdict
    from endcap_export.registry import current
    from endcap_export.train import TrainingSettings

    from endcap.progress import stage_bars
    from endcap.verdict import show_verdict

    settings = TrainingSettings(
        epochs=epochs,
        max_steps=max_steps,
        seconds=seconds,
        seed=seed,
        # The release itself is evaluated, and the folder of the training run is removed.
        evaluate="never",
        report_to="none",
    )
    try:
        with stage_bars() as bars:
            built = build_release(
                data,
                repository,
                tags=tags,
                base=base,
                settings=settings,
                limit_train=limit_train,
                normalize=normalize,
                method=quantization,
                precision=precision,
                tensorrt=tensorrt,
                popularity_days=popularity_half_life,
                server=server,
                max_bad_share=max_bad_share,
                progress=bars,
            )
    except GateError as error:
        show_verdict(errors, error.verdict)
        raise
    show_warnings(built.warnings)
    show_release(built.record)
    show_verdict(console, Verdict.from_mapping(current(repository).gate))
    console.print(
        f"release [bold]{built.release.id}[/] is version [bold]{built.version}[/] in {repository}",
        soft_wrap=True,
    )
    console.print(f"serve it:  endcap serve --repository {repository}", soft_wrap=True, highlight=False)


def show_warnings(warnings: tuple[str, ...]) -> None:
    """What was left out of the shop's files, on standard error; a long list is cut and counted."""
    for warning in warnings[:_SHOWN_WARNINGS]:
        errors.print(f"left out: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if len(warnings) > _SHOWN_WARNINGS:
        errors.print(f"left out: {len(warnings) - _SHOWN_WARNINGS} more rows", style="yellow")


def show_release(record: Mapping[str, Any]) -> None:
    """Figures of a release: quality on held-out data and parity; and whether its training ran out of time."""
    from rich.table import Table

    if stopped := _out_of_time(record.get("training") or {}):
        console.print(stopped, style="yellow", soft_wrap=True)

    table = Table(
        "encoder", "tag F1", "nDCG@10", "random order", title="on held-out data", title_justify="left"
    )
    for precision, scores in record["metrics"].items():
        tagged, ranked = scores.get("tags", {}), scores.get("ranking", {})
        cells = (tagged.get("f1"), ranked.get("ndcg10"), ranked.get("ndcg10_random"))
        table.add_row(precision, *("–" if cell is None else f"{cell:.3f}" for cell in cells))
    console.print(table)
    parity = record["parity"]
    worst = max(parity["embedding_max_abs"], parity["logits_max_abs"])
    console.print(f"ONNX differs from PyTorch by at most {worst:.1e} ({parity['texts']} texts)")


def _out_of_time(training: Mapping[str, Any]) -> str:
    """What to say of a training that its time budget ended; nothing of another."""
    settings = training.get("settings", {})
    budget, planned = settings.get("seconds"), settings.get("max_steps")
    if budget is None or training["seconds"] <= budget or training["steps"] == planned:
        return ""
    of = f" of {planned}" if planned else ""
    return (
        f"training stopped after {training['steps']}{of} steps: its {budget:g} s were over. "
        "With more time, or on a machine that does nothing else, the release is better."
    )
