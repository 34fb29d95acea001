"""From turns to figures: each system's own, and the ratios that Endcap is held to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benchmarks.peers.sample import Sample
from benchmarks.peers.systems import TORCH
from benchmarks.peers.turns import Turn, ZipfTurn
from endcap.reports import Figure

ENDCAP = "endcap"
GRPC = "endcap_grpc"


@dataclass
class Measured:
    """All turns of one system."""

    turns: list[Turn] = field(default_factory=list)
    zipf: list[ZipfTurn] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether there is a turn of either kind."""
        return bool(self.turns and self.zipf)

    def processor_ms(self, stretch: str) -> list[float]:
        """Of each round: milliseconds of processor time per answer in a stretch, ``steady`` for one."""
        return [getattr(turn, stretch).processor_ms for turn in self.turns]

    def percentile(self, stretch: str, share: float) -> float:
        """Of the latencies of all rounds together, milliseconds."""
        return float(np.percentile(_all(getattr(turn, stretch) for turn in self.turns), share))


def _all(samples: Iterable[Sample]) -> list[float]:
    return [each for sample in samples for each in sample.milliseconds]


def figures(systems: Mapping[str, Measured]) -> dict[str, Figure]:
    """The ratios, then what every system measured; peers without a turn are not in it.

    Args:
        systems: by name, ``endcap`` and ``endcap_grpc`` among them.
    """
    measured = {name: each for name, each in systems.items() if each.complete}
    found = ratios(measured)
    values: dict[str, tuple[str, Callable[[Measured], float]]] = {
        "cpu_steady_ms": ("ms", lambda each: median(each.processor_ms("steady"))),
        "cpu_saturated_ms": ("ms", lambda each: median(each.processor_ms("saturated"))),
        "cpu_fixed_ms": ("ms", lambda each: median(each.processor_ms("fixed"))),
        "client_cpu_ms": ("ms", lambda each: median(turn.steady.client_ms for turn in each.turns)),
        "steady_p50_ms": ("ms", lambda each: each.percentile("steady", 50)),
        "steady_p99_ms": ("ms", lambda each: each.percentile("steady", 99)),
        "fixed_p50_ms": ("ms", lambda each: each.percentile("fixed", 50)),
        "fixed_p99_ms": ("ms", lambda each: each.percentile("fixed", 99)),
        "saturation_rate": ("1/s", lambda each: median(turn.saturated.rate for turn in each.turns)),
        "zipf_saturation_rate": ("1/s", lambda each: median(turn.saturation for turn in each.zipf)),
        "zipf_slo_rate": ("1/s", lambda each: median(turn.rate for turn in each.zipf)),
    }
    for name, (unit, value) in values.items():
        beside = {system: value(each) for system, each in measured.items() if system != ENDCAP}
        if ENDCAP in measured:
            found[name] = Figure(value(measured[ENDCAP]), unit, baselines=beside)
    return found


def ratios(systems: Mapping[str, Measured]) -> dict[str, Figure]:
    """Endcap over HTTP by a peer, of the rounds' medians; low and high are the extremes over rounds.

    ``best`` is, for each figure by itself, the peer that is best at it; of processor time, of those on ONNX.
    Endcap over gRPC is beside it. A peer whose figure is 0 gives no ratio.
    """
    if ENDCAP not in systems:
        return {}
    peers = {name: each for name, each in systems.items() if name not in (ENDCAP, GRPC)}
    onnx = {name: each for name, each in peers.items() if name != TORCH}

    def cpu(each: Measured) -> list[float]:
        return each.processor_ms("steady")

    def p99(each: Measured) -> list[float]:
        return [turn.steady.percentile(99) for turn in each.turns]

    def rate(each: Measured) -> list[float]:
        return [turn.rate for turn in each.zipf]

    found: dict[str, Figure] = {}
    if TORCH in peers:
        found["cpu_ratio_fastapi_torch"] = _ratio(cpu, systems, TORCH, "<= 0.4")
    if onnx:
        found["cpu_ratio_best_peer"] = _ratio(cpu, systems, _best(cpu, onnx, min), "<= 1.0")
    if peers:
        found["p99_ratio_best_peer"] = _ratio(p99, systems, _best(p99, peers, min), "<= 1.0")
    if TORCH in peers and median(rate(peers[TORCH])) > 0:
        found["rate_ratio_fastapi_torch"] = _ratio(rate, systems, TORCH, ">= 3")
    if peers and median(rate(peers[fastest := _best(rate, peers, max)])) > 0:
        found["rate_ratio_best_peer"] = _ratio(rate, systems, fastest, ">= 1.5")
    return found


Values = Callable[[Measured], Sequence[float]]


def _best(values: Values, peers: Mapping[str, Measured], choose: Callable[..., str]) -> str:
    return choose(peers, key=lambda name: median(values(peers[name])))


def _ratio(values: Values, systems: Mapping[str, Measured], peer: str, goal: str) -> Figure:
    ours, theirs = list(values(systems[ENDCAP])), list(values(systems[peer]))
    beside = {ENDCAP: median(ours), peer: median(theirs)}
    value = beside[ENDCAP] / beside[peer]
    if GRPC in systems:
        beside["ratio_grpc"] = median(values(systems[GRPC])) / beside[peer]
    # A round in which the peer held no rate at all has no ratio.
    rounds = [one / other for one, other in zip(ours, theirs, strict=True) if other > 0]
    if len(rounds) < 2:
        return Figure(value, goal=goal, baselines=beside)
    return Figure(value, "", min(rounds), max(rounds), goal, beside)
