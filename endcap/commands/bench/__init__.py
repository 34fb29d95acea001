"""``endcap bench …``: benchmarks of this checkout; each writes build/reports/NAME.json."""

from endcap.commands.bench.calls import sdk, stages
from endcap.commands.bench.comparing import compare
from endcap.commands.bench.encoders import compression, encoder, quality
from endcap.commands.bench.engine import diversify, ranking, retrieval
from endcap.commands.bench.peers import peers
from endcap.commands.bench.reliability import reliability
from endcap.commands.bench.traffic import load, soak, ui

__all__ = [
    "compare",
    "compression",
    "diversify",
    "encoder",
    "load",
    "peers",
    "quality",
    "ranking",
    "reliability",
    "retrieval",
    "sdk",
    "soak",
    "stages",
    "ui",
]
