"""What every command prints through, and how a command ends on an error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from endcap_rerank.errors import EndcapError
from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")

console = Console()
"""Standard output: what was asked for."""

errors = Console(stderr=True)
"""Standard error: progress, warnings, errors."""


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: an error that Endcap raised on purpose becomes one red message and exit status 1.

    Anything else is a defect and keeps its traceback. Ctrl-C ends with status 130, as a shell expects.
    """

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except _expected() as error:
            # Messages hold user input and paths: no markup, no wrapping in the middle of a path.
            errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None

    return reporting


def _expected() -> tuple[type[Exception], ...]:
    """Endcap's two error trees; the SDK's stands alone because the SDK depends on nothing of Endcap."""
    import endcap_client

    return EndcapError, endcap_client.EndcapError
