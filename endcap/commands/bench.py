"""``endcap bench …``: benchmarks of this checkout; each writes build/reports/NAME.json."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.console import reports_errors

if TYPE_CHECKING:
    from endcap_export.progress import Progress as Stages

    from benchmarks.repositories import Prepared
    from endcap.reports import Report

Repository = Annotated[
    Path | None,
    typer.Option("--repository", help="A registered repository; left out, the one named above."),
]
Queries = Annotated[
    Path | None, typer.Option(help="File of queries (csv with a column `query`, jsonl, txt), or a shop.")
]
DataSets = Annotated[
    Path | None, typer.Option(help="Folder of the data sets. [default: ENDCAP_DATA, ../shared/data]")
]
Output = Annotated[Path, typer.Option("--output", help="Where the report goes.")]
REPORTS = Path("build/reports")


@reports_errors
def load(
    repository: Repository = None,
    traffic: Annotated[
        Path | None, typer.Option(help="Folder of a shop, or a file of queries (csv, jsonl, txt).")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 30.0,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second, all users together.")] = 40.0,
    users: Annotated[int, typer.Option(min=2, help="Half speak gRPC, half HTTP.")] = 16,
    output: Output = REPORTS,
) -> None:
    """Locust against a server of its own on the demo shop; exit status 1 when a request failed."""
    _add_checkout()
    from rich.progress import Progress

    from benchmarks.load import run_load
    from benchmarks.repositories import demo
    from endcap.console import errors

    repository, traffic = _asked_or_prepared(repository, traffic, demo)
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("load", total=seconds + 4)
        report = run_load(
            repository,
            traffic,
            output,
            seconds=seconds,
            rate=rate,
            users=users,
            waiting=lambda: progress.advance(task, 0.25),
        )
    _show(report, output)
    if report.figures["errors"].value:
        errors.print(f"[red]{report.figures['errors'].value:g} requests failed[/]; {report.notes}")
        raise typer.Exit(1)


@reports_errors
def stages(
    repository: Repository = None,
    queries: Queries = None,
    requests: Annotated[int, typer.Option(min=10, help="Measured requests of each kind.")] = 600,
    output: Output = REPORTS,
) -> None:
    """Time of each stage in process, and of the whole request over gRPC: latency.json.

    Without --repository: the 54,667 products of build/homedepot (built first where ENDCAP_DATA is), else the
    demo shop.
    """
    _add_checkout()

    from benchmarks.repositories import real_or_demo
    from benchmarks.stages import measure

    repository, queries = _asked_or_prepared(repository, queries, real_or_demo)
    with _steps("stages") as progress:
        report = measure(
            repository,
            queries,
            requests=requests,
            progress=progress,
        )
    _publish(report, output)


@reports_errors
def diversify(
    rounds: Annotated[int, typer.Option(min=8, help="Rounds of each pair at 200 candidates.")] = 400,
    cases: Annotated[
        int, typer.Option(min=1, help="Random requests that each strategy is held against its reference on.")
    ] = 1000,
    products: Annotated[
        int, typer.Option(min=100, help="Products of the catalogue on which the whole stage is timed.")
    ] = 100_000,
    output: Output = REPORTS,
) -> None:
    """Selection of 20 products beside pyversity, the whole rerank stage, on one thread: diversify.json."""
    _add_checkout()

    from benchmarks.diversify import measure

    with _steps("diversify") as progress:
        report = measure(
            rounds=rounds,
            cases=cases,
            products=products,
            progress=progress,
        )
    _publish(report, output)


@reports_errors
def ranking(
    data: DataSets = None,
    products: Annotated[int, typer.Option(min=200, help="Products of the demo shop.")] = 5000,
    shoppers: Annotated[int, typer.Option(min=10, help="Shoppers of the demo shop.")] = 400,
    output: Output = REPORTS,
) -> None:
    """Next purchase of the Office shoppers beside other recommenders; personalization: ranking.json."""
    _add_checkout()
    from endcap_rerank.settings import Settings

    from benchmarks.ranking import measure
    from endcap.console import errors

    with errors.status("ranking") as status:
        report = measure(
            data or Settings.from_environment().data,
            products=products,
            shoppers=shoppers,
            pictures=output,
            progress=lambda stage: status.update(stage),
        )
    _publish(report, output)


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
    _add_checkout()
    from endcap_export.registry import RELEASES, current
    from endcap_rerank.release import Release

    from benchmarks.encoder import measure
    from benchmarks.repositories import real_or_demo

    repository, queries = _asked_or_prepared(repository, queries, real_or_demo)
    with _steps("encoder") as progress:
        report = measure(
            Release.open(repository / RELEASES / current(repository).release),
            queries,
            encoder=trained,
            runs=runs,
            progress=progress,
        )
    _publish(report, output)


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
    _add_checkout()
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
    _publish(report, output)


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
    _add_checkout()
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
    _publish(report, output)


@reports_errors
def retrieval(
    data: DataSets = None,
    products: Annotated[int, typer.Option(min=20_000, help="Products of the large catalogue.")] = 1_000_000,
    seconds: Annotated[float, typer.Option(min=2, help="How long the catalogue changes under search.")] = 60,
    kills: Annotated[int, typer.Option(min=1, help="Writers that are killed at a random moment.")] = 10,
    output: Output = REPORTS,
) -> None:
    """Nearest products of a million, filtered, in three processes, under updates: retrieval.json."""
    _add_checkout()
    from endcap_rerank.settings import Settings
    from threadpoolctl import threadpool_limits

    from benchmarks.retrieval import measure
    from endcap.console import errors

    folder = data or Settings.from_environment().data
    with errors.status("retrieval") as status, threadpool_limits(1):
        report = measure(
            products=products,
            seconds=seconds,
            kills=kills,
            data=folder if folder and (folder / "homedepot").is_dir() else None,
            progress=lambda stage: status.update(stage),
        )
    _publish(report, output)


@reports_errors
def sdk(
    repository: Repository = None,
    queries: Queries = None,
    pairs: Annotated[int, typer.Option(min=50, help="Calls of SDK and tritonclient each.")] = 1500,
    calls: Annotated[int, typer.Option(min=100, help="Calls over which nothing shall grow.")] = 10_000,
    seconds: Annotated[
        float, typer.Option(min=1, help="Load on two servers, one of them killed halfway.")
    ] = 8.0,
    output: Output = REPORTS,
) -> None:
    """The SDK beside bare tritonclient, its growth, deadlines, hedging, and a killed server: sdk.json."""
    _add_checkout()
    from benchmarks.repositories import demo
    from benchmarks.sdk import measure
    from endcap.console import errors

    repository, queries = _asked_or_prepared(repository, queries, demo)
    with errors.status("sdk") as status:
        report = measure(
            repository,
            queries,
            pairs=pairs,
            calls=calls,
            seconds=seconds,
            progress=lambda stage: status.update(stage),
        )
    _publish(report, output)


def _add_checkout() -> None:
    """Make ``benchmarks`` importable: it lies beside ``endcap`` and is part of no distribution."""
    from endcap_rerank.errors import EndcapError

    root = Path(__file__).resolve().parents[2]
    if not (root / "benchmarks" / "__init__.py").is_file():
        raise EndcapError(f"{root} has no benchmarks/: they run from a checkout of Endcap (pip install -e .)")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _asked_or_prepared(
    repository: Path | None, queries: Path | None, prepare: Callable[[Stages], Prepared]
) -> tuple[Path, Path]:
    """What was asked for; what was not comes from ``prepare``."""
    from endcap.progress import stage_bars

    if repository is not None and queries is not None:
        return repository, queries
    with stage_bars() as bars:
        prepared = prepare(bars)
    return repository or prepared.repository, queries or prepared.traffic


@contextmanager
def _steps(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told (steps done, steps in all)."""
    from rich.progress import Progress

    from endcap.console import errors

    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _publish(report: Report, output: Path) -> None:
    report.write(output)
    _show(report, output)


def _show(report: Report, output: Path) -> None:
    from rich.table import Table

    from endcap.console import console
    from endcap.report_page import baselines, number, verdict

    table = Table("figure", "value", "unit", "goal", "", "beside it", title=report.name)
    for name, figure in report.figures.items():
        table.add_row(
            name, number(figure.value), figure.unit, figure.goal, verdict(figure), baselines(figure)
        )
    console.print(table)
    console.print(f"{output / report.name}.json", markup=False, soft_wrap=True)
