"""``endcap export``: a trained encoder becomes a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import (
    BadShareOption,
    DataOption,
    PopularityOption,
    QuantizationOption,
    TagsOption,
    TensorRTOption,
    show_release,
    show_warnings,
)
from endcap.console import console, reports_errors


@reports_errors
def export(
    data: DataOption,
    encoder: Annotated[Path, typer.Option("--encoder", "-e", help="What `endcap train` wrote.")] = Path(
        "build/encoder"
    ),
    tags: TagsOption = None,
    releases: Annotated[Path, typer.Option("--releases", help="Folder of releases.")] = Path(
        "build/releases"
    ),
    quantization: QuantizationOption = "static",
    tensorrt: TensorRTOption = False,
    layers: Annotated[
        int | None,
        typer.Option(
            help="Teach a student of so many layers on the shop's texts and export that; it is kept beside "
            "ENCODER, so a second export does not teach it again.",
            min=1,
        ),
    ] = None,
    prune_vocabulary: Annotated[
        bool,
        typer.Option("--prune-vocabulary", help="Leave out word pieces that the shop's texts do not use."),
    ] = False,
    dimensions: Annotated[
        int | None,
        typer.Option(
            help="Numbers of an embedding, the first of those that it has: 64, 128, 256; best after training "
            "with as many among its Matryoshka widths.",
            min=1,
        ),
    ] = None,
    popularity_half_life: PopularityOption = 14.0,
    max_bad_share: BadShareOption = 0.01,
) -> None:
    """Export to ONNX (held against PyTorch), int8 and TensorRT, index the catalogue, write a release.

    --layers, --prune-vocabulary and --dimensions make a smaller, faster encoder; `endcap bench compression`
    says what each costs.
    """
    import tempfile

    from endcap_export.distill import distill
    from endcap_export.export import export_release
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.trained import TrainedEncoder
    from endcap_export.vocabulary import prune_vocabulary as pruned

    from endcap.progress import stage_bars

    trained = TrainedEncoder.open(encoder)
    with stage_bars() as bars, tempfile.TemporaryDirectory(prefix="endcap-pruned-") as folder:
        bars("read", 0, 1)
        shop = Shop.load(ShopFiles.find(data, tags), max_bad_share=max_bad_share)
        bars("read", 1, 1)
        if layers is not None:
            student = encoder.resolve().with_name(f"{encoder.resolve().name}-{layers}-layers")
            trained = distill(trained, shop, student, layers=layers, progress=bars)
        if prune_vocabulary:
            trained = pruned(trained, shop, Path(folder))
        release = export_release(
            trained,
            shop,
            releases,
            method=quantization,
            tensorrt=tensorrt,
            dimensions=dimensions,
            popularity_days=popularity_half_life,
            progress=bars,
        )
    show_warnings(shop.warnings)
    show_release(dict(release.manifest["record"]))
    console.print(f"release {release.path}", soft_wrap=True, highlight=False)
