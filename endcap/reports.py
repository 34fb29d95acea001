"""Reports of benchmarks and quality runs: ``build/reports/NAME.json``, the same shape for all."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from endcap_rerank.errors import InvalidInputError

REPORTS = Path("build/reports")
"""Where reports are written, relative to the working directory."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_COMPARISON = re.compile(r"(?P<sign><=|>=|<|>|=)\s*(?P<limit>-?[\d.]+(?:[eE][-+]?\d+)?)")


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        value: what was measured, whether it meets the goal or not.
        unit: ``ms``, ``MiB`` …; empty for a ratio or a share.
        low, high: an interval around ``value`` where one makes sense.
        goal: ``">= 0.98"``, ``"<= 4"`` …; empty when there is none.
        baselines: what ran beside it, by name.
    """

    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    goal: str = ""
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether ``value`` meets the goal; None without a goal that can be compared."""
        match = _COMPARISON.fullmatch(self.goal.strip())
        if match is None:
            return None
        limit = float(match["limit"])
        return {
            "<=": self.value <= limit,
            ">=": self.value >= limit,
            "<": self.value < limit,
            ">": self.value > limit,
            "=": self.value == limit,
        }[match["sign"]]


@dataclass(frozen=True)
class Report:
    """What a run measured, on which machine and at which commit.

    Attributes:
        name: names the file; lower-case letters, digits, ``-`` and ``_``.
        figures: by the names that the issues use.
        notes: how it was made, in a few sentences.
        created: UTC, ISO 8601.
        commit: of the working directory, with ``+`` where files differ from it; empty outside git.
        machine: cpu, cores, memory_gib.
    """

    name: str
    figures: Mapping[str, Figure]
    notes: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    commit: str = field(default_factory=lambda: commit())
    machine: Mapping[str, Any] = field(default_factory=lambda: machine())

    def write(self, directory: Path = REPORTS) -> Path:
        """Write ``directory/NAME.json`` in one step; a reader never sees half a report.

        Raises:
            InvalidInputError: the name is no file name, or a figure is not a finite number.
        """
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError("name", self.name, "lower-case letters, digits, - and _ are expected")
        for name, figure in self.figures.items():
            if not math.isfinite(figure.value):
                raise InvalidInputError(f"figures.{name}", figure.value, "a finite number is expected")
        document = {
            "name": self.name,
            "created": self.created,
            "commit": self.commit,
            "machine": dict(self.machine),
            "figures": {name: _figure_document(figure) for name, figure in self.figures.items()},
            "notes": self.notes,
        }
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{self.name}.json"
        temporary = directory / f".{self.name}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
        temporary.replace(file)
        return file

    @classmethod
    def read(cls, file: Path) -> Report:
        """Read a report.

        Raises:
            InvalidInputError: the file is not a report; the message says what is wrong with it.
        """
        try:
            document = json.loads(file.read_text("utf-8"))
            return cls(
                name=document["name"],
                figures={name: _figure_of(figure) for name, figure in document["figures"].items()},
                notes=document.get("notes", ""),
                created=document["created"],
                commit=document["commit"],
                machine=document["machine"],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            expected = f"a report is expected ({type(error).__name__}: {error})"
            raise InvalidInputError(str(file), "another file", expected) from error


def read_all(directory: Path = REPORTS) -> list[Report]:
    """Every report in a directory, by name; other JSON files (without ``figures``) are passed over.

    Raises:
        InvalidInputError: a file is damaged.
    """
    files = (file for file in sorted(directory.glob("*.json")) if b'"figures"' in file.read_bytes())
    return [Report.read(file) for file in files]


def commit() -> str:
    """The commit of the working directory, ``+`` appended when tracked files differ; empty outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def machine() -> dict[str, Any]:
    """What the run ran on: cpu, cores this process may use, memory in GiB."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(pages / 2**30),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _figure_document(figure: Figure) -> dict[str, Any]:
    document = asdict(figure)
    for name in ("low", "high"):
        if document[name] is None:
            del document[name]
    return document


def _figure_of(document: Mapping[str, Any]) -> Figure:
    return Figure(
        value=float(document["value"]),
        unit=document.get("unit", ""),
        low=document.get("low"),
        high=document.get("high"),
        goal=document.get("goal", ""),
        baselines=dict(document.get("baselines", {})),
    )
