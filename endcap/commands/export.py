"""``endcap export``: a trained encoder becomes a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import (
    BadShareOption,
    DataOption,
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
    max_bad_share: BadShareOption = 0.01,
) -> None:
    """Export to ONNX (held against PyTorch), int8 and TensorRT, index the catalogue, write a release."""
    from endcap_export.export import export_release
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.trained import TrainedEncoder

    from endcap.progress import stage_bars

    trained = TrainedEncoder.open(encoder)
    with stage_bars() as bars:
        bars("read", 0, 1)
        shop = Shop.load(ShopFiles.find(data, tags), max_bad_share=max_bad_share)
        bars("read", 1, 1)
        release = export_release(
            trained, shop, releases, method=quantization, tensorrt=tensorrt, progress=bars
        )
    show_warnings(shop.warnings)
    show_release(dict(release.manifest["record"]))
    console.print(f"release {release.path}", soft_wrap=True, highlight=False)
