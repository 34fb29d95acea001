"""``endcap exposure``: which brands, sellers and products shoppers get to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endcap.console import console, errors, reports_errors

if TYPE_CHECKING:
    from endcap.local import LocalSearch


@reports_errors
def exposure(
    repository: Annotated[
        Path, typer.Option("--repository", "-r", help="What `endcap register` or `endcap build` wrote.")
    ] = Path("build/repository"),
    state: Annotated[
        Path | None, typer.Option(help="Folder of the stores. [default: the repository's own]")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="brand, category (its root), or an attribute such as seller. [default: brand]"),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            "-q",
            help="A table with a column `query`, such as judgments: the lists that the release answers now. "
            "[default: the lists in the log of events]",
        ),
    ] = None,
    options: Annotated[
        str, typer.Option(help="Of the searches, as JSON; exposure shares among them.")
    ] = "{}",
    k: Annotated[int, typer.Option("--k", "-k", help="Length of the lists that are asked for.")] = 10,
    top: Annotated[int, typer.Option(help="How many of each are named.", min=1)] = 20,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of exposure.json and exposure.html.")
    ] = Path("build/reports"),
) -> None:
    """Shares of exposure by brand, seller …, and how uneven they are.

    Of what was shown, by events that carry a query and a position; or of what is answered to given queries.
    """
    from dataclasses import replace

    from endcap_export.exposed import exposures, logged_lists
    from endcap_export.registry import RELEASES, STATE, current
    from endcap_rerank.release import Release
    from endcap_rerank.settings import Settings
    from rich.table import Table
    from rich.text import Text

    from endcap.exposure_page import exposure_report, write_page
    from endcap.local import LocalSearch

    settings = replace(Settings.from_environment(), state=repository / STATE if state is None else state)
    release = Release.open(repository / RELEASES / current(repository).release)
    with errors.status("reading"):
        search = LocalSearch.open(release, settings)
        if queries is None:
            lists: Sequence[Sequence[str]] = logged_lists(search.ranker.events.every())
            source = "in the log of events"
        else:
            lists = _answered(search, queries, k, options)
            source = f"of {k} products that release {release.id} answers to the queries of {queries.name}"
        products = {product.id: product for product in search.ranker.index.every()}
        found = exposures(lists, products, by or ["brand"])
    report = exposure_report(found, len(lists), source, top)
    file = report.write(output)
    write_page(report, found, top, file.with_suffix(".html"))
    for one in found[1:]:
        table = Table(one.attribute, "exposure", "of the catalogue", title=f"Gini {one.gini:.3f}")
        for seen in one.seen[:top]:
            table.add_row(Text(seen.value or "(none)"), f"{seen.share:.3f}", f"{seen.catalogue:.3f}")
        console.print(table)
    console.print(f"lists: {len(lists)}; Gini of products {found[0].gini:.3f}")
    console.print(f"{file}, {file.with_suffix('.html')}", markup=False, soft_wrap=True, highlight=False)


def _answered(search: LocalSearch, file: Path, k: int, options: str) -> list[list[str]]:
    """What is answered to each query of a table, once, as to a shopper of whom nothing is known."""
    from endcap_export.rows import read_table
    from endcap_rerank.options import Options
    from endcap_rerank.tokenizer import validate_query

    def parse(row: Mapping[str, Any], line: int) -> str:
        return validate_query(str(row.get("query") or ""))

    loaded = read_table(file, parse, required=("query",), known=("query",))
    asked = Options.parse(options)
    return [search.search(query, k=k, options=asked).item_ids for query in dict.fromkeys(loaded.rows)]
