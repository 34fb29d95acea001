"""``endcap evaluate``: how good an encoder is, on held-out data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import BadShareOption, show_warnings
from endcap.console import console, reports_errors


@reports_errors
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A release, a repository (its current release), or what `endcap train` wrote.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="A shop's folder; its held-out parts are evaluated on."),
    ] = None,
    tags: Annotated[
        Path | None,
        typer.Option(
            "--tags",
            "-t",
            help="A BIO file, every query of it (enough alone); or a folder with train.bio and dev.bio.",
        ),
    ] = None,
    judgments: Annotated[
        Path | None, typer.Option("--judgments", "-j", help="Graded pairs, every pair of the file.")
    ] = None,
    products: Annotated[
        Path | None,
        typer.Option("--products", "-p", help="The catalogue. [default: DATA's, else the release's]"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of evaluation.json and evaluation.html.")
    ] = Path("build/reports"),
    precision: Annotated[str, typer.Option(help="Which encoder of a release: int8 or fp32.")] = "int8",
    vectors: Annotated[
        Path, typer.Option("--vectors", help="Where vectors of catalogues are kept for the next time.")
    ] = Path("build/vectors"),
    max_bad_share: BadShareOption = 0.01,
) -> None:
    """Tags (strict F1) and ranking (nDCG, MRR, recall) beside random, BM25 and the untuned encoder.

    As typed and with one typo a query, with 95% intervals: evaluation.json and evaluation.html.
    """
    from endcap_export.evaluate.models import open_model
    from endcap_export.evaluate.reading import read_set
    from endcap_export.evaluate.run import evaluate as run
    from rich.table import Table

    from endcap.evaluation_page import write_page
    from endcap.evaluation_report import report
    from endcap.progress import stage_bars
    from endcap.report_page import baselines, interval, number

    with stage_bars() as bars:
        bars("read", 0, 1)
        opened = open_model(model, precision)
        questions = read_set(
            data, tags=tags, judgments=judgments, products=products, max_bad_share=max_bad_share
        )
        bars("read", 1, 1)
        evaluation = run(opened, questions, kept=vectors, progress=bars)
    show_warnings(evaluation.warnings)
    made = report(evaluation)
    file = made.write(output)
    page = file.with_suffix(".html")
    write_page(evaluation, made, page)
    table = Table("figure", "value", "95% interval", "beside it", title=evaluation.model.name)
    for name, figure in made.figures.items():
        table.add_row(name, number(figure.value), interval(figure), baselines(figure))
    console.print(table)
    for sentence in evaluation.missing:
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(f"{file}, {page}", markup=False, soft_wrap=True, highlight=False)
