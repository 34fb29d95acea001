"""``endcap train``: fine-tune both heads and keep the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import (
    BadShareOption,
    BaseOption,
    DataOption,
    EpochsOption,
    LimitOption,
    MaxStepsOption,
    SecondsOption,
    SeedOption,
    TagsOption,
    show_warnings,
)
from endcap.console import console, reports_errors


@reports_errors
def train(
    data: DataOption,
    tags: TagsOption = None,
    base: BaseOption = "minilm",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the trained encoder.")] = Path(
        "build/encoder"
    ),
    epochs: EpochsOption = 1.0,
    max_steps: MaxStepsOption = None,
    seconds: SecondsOption = None,
    limit_train: LimitOption = None,
    batch_size: Annotated[int, typer.Option(help="Pairs of one step.", min=2)] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of the trunk, after warm-up.")] = 1e-4,
    seed: SeedOption = 7,
    max_bad_share: BadShareOption = 0.01,
) -> None:
    """Fine-tune one BERT with two heads, tags and embedding; `endcap export` goes on from it."""
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.train import TrainingSettings
    from endcap_export.trained import train_encoder

    from endcap.progress import stage_bars

    settings = TrainingSettings(
        epochs=epochs,
        max_steps=max_steps,
        seconds=seconds,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    with stage_bars() as bars:
        bars("read", 0, 1)
        shop = Shop.load(ShopFiles.find(data, tags), max_bad_share=max_bad_share)
        bars("read", 1, 1)
        trained = train_encoder(shop, base, output, settings, limit=limit_train, progress=bars)
    show_warnings(shop.warnings)
    run = trained.record["training"]
    console.print(
        f"{run['steps']} steps in {run['seconds']:.0f} s; trained encoder in {output}", soft_wrap=True
    )
