"""A watch of live traffic as tables and as JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endcap_rerank.errors import InvalidInputError
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from endcap_export.evaluate.bootstrap import Estimate
    from endcap_export.monitor import Watch
    from endcap_export.monitor.engagement import Engagement
    from endcap_export.monitor.sides import Interleaved, SideBySide

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhd])\Z")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(option: str, text: str) -> float:
    """A length of time: ``90m``, ``36h``, ``7d``.

    Raises:
        InvalidInputError: names the option.
    """
    found = _SPAN.match(text)
    if found is None or float(found[1]) <= 0.0:
        raise InvalidInputError(option, text, "a length of time above 0 is expected: 90m, 36h, 7d")
    return float(found[1]) * _UNITS[found[2]]


def show(watch: Watch, console: Console) -> None:
    """Print it."""
    drifts = Table("distribution", "PSI", "by chance below", "before", "now", "verdict")
    for name, drift in watch.drifts.items():
        drifts.add_row(
            name,
            "–" if math.isnan(drift.psi) else f"{drift.psi:.3f}",
            "–" if math.isnan(drift.chance) else f"{drift.chance:.3f}",
            str(drift.before),
            str(drift.now),
            drift.verdict,
        )
    console.print(
        f"window: {_when(watch.since)} to {_when(watch.until)}; baseline from {_when(watch.begins)}"
    )
    console.print(drifts)
    releases = Table("release", "lists", "shoppers", "shown", "click-through", "clicked lists", "nDCG@10")
    _row(releases, "all", watch.all)
    for release, engagement in watch.releases.items():
        _row(releases, release, engagement)
    console.print(releases)
    if watch.places:
        places = Table("position", "shown", "click-through")
        for place, rate in enumerate(watch.places):
            places.add_row(str(place), str(rate.of), _interval(rate.value))
        console.print(places)
    if watch.sides is not None:
        _show_sides(watch.sides, console)
    if watch.interleaved is not None:
        _show_interleaved(watch.interleaved, console)
    for sentence in watch.missing:
        console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def write_json(watch: Watch, file: Path) -> None:
    """Write all figures; numbers that are not there are null.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    document = _plain(asdict(watch))
    for name, drift in watch.drifts.items():
        document["drifts"][name]["verdict"] = drift.verdict
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        expected = f"a file that can be written is expected ({error})"
        raise InvalidInputError("json", str(file), expected) from None


def verdict(difference: Estimate | None, first: str, second: str) -> str:
    """Which of the two is better, where chance does not explain it."""
    if difference is None:
        return "no figure"
    if difference.low > 0.0:
        return f"{second} is better"
    return f"{first} is better" if difference.high < 0.0 else "no difference shown"


def _show_sides(sides: SideBySide, console: Console) -> None:
    table = Table("figure", sides.first, sides.second, f"{sides.second} - {sides.first}", "")
    first, second = sides.engagements
    table.add_row("shoppers", str(first.shoppers), str(second.shoppers), "", "")
    for name, one, other, difference in (
        ("click-through", first.click_through, second.click_through, sides.click_through),
        ("nDCG@10", first.ndcg, second.ndcg, sides.ndcg),
    ):
        table.add_row(
            name,
            _interval(one.value),
            _interval(other.value),
            _interval(difference, sign="+"),
            verdict(difference, sides.first, sides.second),
        )
    console.print(table)
    if sides.both:
        console.print(f"{sides.both} shoppers got lists of both; a split would leave none.", style="yellow")


def _show_interleaved(result: Interleaved, console: Console) -> None:
    console.print(
        f"interleaved: {result.first} won {result.wins[0]} lists, {result.second} {result.wins[1]}, "
        f"{result.ties} ties; lead of {result.second} {_interval(result.lead, sign='+')}, "
        f"sign test {result.chance:.2g}: {verdict(result.lead, result.first, result.second)}",
        markup=False,
        soft_wrap=True,
        highlight=False,
    )


def _row(table: Table, name: str, engagement: Engagement) -> None:
    clicks, ndcg = engagement.click_through, engagement.ndcg
    table.add_row(
        name,
        str(engagement.lists),
        str(engagement.shoppers),
        str(clicks.of),
        _interval(clicks.value),
        str(ndcg.of),
        _interval(ndcg.value),
    )


def _interval(value: Estimate | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{value.value:{sign}.4f} ({value.low:{sign}.4f} to {value.high:{sign}.4f})"


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
