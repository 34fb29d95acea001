"""Options that several benchmarks take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
