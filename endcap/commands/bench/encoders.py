"""Benchmarks of encoders: speed, size and what they learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.bench.options import REPORTS, DataSets, Output, Queries, Repository
from endcap.commands.bench.run import add_checkout, asked_or_prepared, publish, steps
from endcap.console import reports_errors


@reports_errors
def encoder(
    repository: Repository = None,
    queries: Queries = None,
    trained: Annotated[
        Path | None,
        typer.Option(
            "--encoder", help="What `endcap train` wrote. [default: the base's weights, same architecture]"
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=20, help="Queries that each form encodes.")] = 400,
    output: Output = REPORTS,
) -> None:
    """The served int8 encoder beside fp32 ONNX and PyTorch at batch 1, and their agreement: encoder.json.

    Without --repository: build/homedepot (built first where ENDCAP_DATA is), else the demo shop.
    """
    add_checkout()
    from endcap_export.registry import RELEASES, current
    from endcap_rerank.release import Release

    from benchmarks.encoder import measure
    from benchmarks.repositories import real_or_demo

    repository, queries = asked_or_prepared(repository, queries, real_or_demo)
    with steps("encoder") as progress:
        report = measure(
            Release.open(repository / RELEASES / current(repository).release),
            queries,
            encoder=trained,
            runs=runs,
            progress=progress,
        )
    publish(report, output)


@reports_errors
def compression(
    trained: Annotated[Path, typer.Option("--encoder", "-e", help="What `endcap train` wrote.")] = Path(
        "build/quality/joint"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Folder of the shop's files. [default: homedepot in ENDCAP_DATA]")
    ] = None,
    tags: Annotated[
        Path | None, typer.Option(help="Tagged queries. [default: queryner in ENDCAP_DATA, or *.bio in DATA]")
    ] = None,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the distilled student.")] = 3,
    runs: Annotated[int, typer.Option(min=20, help="Queries that each form encodes for its time.")] = 300,
    work: Annotated[
        Path, typer.Option(help="Folder of the student; one that is in it is not taught again.")
    ] = Path("build/quality"),
    output: Output = REPORTS,
) -> None:
    """Every compressed form of an encoder beside the others: F1, nDCG, size, time: compression.json."""
    add_checkout()
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.trained import TrainedEncoder
    from endcap_rerank.settings import Settings

    from benchmarks.compression import measure
    from endcap.progress import stage_bars

    if data is None:
        folder = Settings.from_environment().data
        data, tags = folder / "homedepot", tags or folder / "queryner"
    with stage_bars() as bars:
        report = measure(
            TrainedEncoder.open(trained),
            Shop.load(ShopFiles.find(data, tags)),
            work,
            layers=layers,
            runs=runs,
            pictures=output,
            progress=bars,
        )
    publish(report, output)


@reports_errors
def quality(
    data: DataSets = None,
    only: Annotated[
        str, typer.Option(help="Parts to measure, with commas between.")
    ] = "joint,tags,pairs,zh,int8,student3",
    train: Annotated[
        bool,
        typer.Option(help="Train what is not there; otherwise its figures are left out, with a note."),
    ] = True,
    encoders: Annotated[
        Path, typer.Option(help="Folder of the trained encoders; what is there is not trained again.")
    ] = Path("build/quality"),
    configs: Annotated[
        Path | None, typer.Option(help="Folder of training configs. [default: benchmarks/configs]")
    ] = None,
    runs: Annotated[int, typer.Option(min=20, help="Queries that each form encodes for its time.")] = 300,
    output: Output = REPORTS,
) -> None:
    """Fine-tuned encoders on QueryNER, Chinese utterances and Home Depot, and int8: quality.json.

    Encoders are trained from benchmarks/configs/*.toml where they are absent, which takes hours.
    """
    add_checkout()
    from endcap_rerank.settings import Settings

    from benchmarks.quality import measure
    from benchmarks.quality_parts import CONFIGS
    from endcap.progress import stage_bars

    with stage_bars() as bars:
        report = measure(
            data or Settings.from_environment().data,
            encoders,
            only=[part.strip() for part in only.split(",") if part.strip()],
            configs=configs or CONFIGS,
            train=train,
            runs=runs,
            progress=bars,
        )
    publish(report, output)
