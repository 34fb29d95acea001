"""Bars on standard error for work that tells its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from endcap_export.progress import Progress
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from endcap.console import errors

TITLES = {
    "read": "reading the shop's files",
    "load": "loading the base model",
    "adapt": "reading with hidden words",
    "negatives": "looking for hard negatives",
    "train": "fine-tuning",
    "search": "trying settings",
    "teach": "reading with the teacher",
    "distill": "teaching the student",
    "export": "exporting to ONNX",
    "parity": "checking ONNX against PyTorch",
    "quantize": "quantizing to int8",
    "tensorrt": "building the TensorRT engine",
    "evaluate": "evaluating on held-out data",
    "tags": "tagging held-out queries",
    "catalogue": "encoding the catalogue",
    "untuned": "encoding it untuned",
    "ranking": "ranking for held-out queries",
    "features": "describing judged products",
    "learn": "learning to rank",
    "forms": "making smaller forms",
    "time": "timing each form",
    "encode": "encoding the catalogue",
    "index": "indexing and writing the release",
    "register": "registering",
    "events": "importing events",
    "affinities": "learning what is chosen after what",
}


@contextmanager
def stage_bars() -> Iterator[Progress]:
    """A bar a stage; a stage of one unit shows that it moves and how long it takes."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=errors) as bars:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(TITLES.get(stage, stage), total=None)
            # A stage of one unit has no middle: the bar runs to and fro until it is over.
            known = total if total > 1 or done == total else None
            bars.update(tasks[stage], completed=done, total=known)

        yield show
