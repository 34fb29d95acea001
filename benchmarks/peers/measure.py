"""All systems in one run, in turns: checked, then measured round by round; the report ``peers``."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from endcap_export.registry import RELEASES, current
from endcap_rerank.errors import EndcapError
from endcap_rerank.release import Release
from endcap_rerank.settings import Settings

from benchmarks import triton_metrics
from benchmarks.peers import agreement, assets, endcap_side, environment, running
from benchmarks.peers.figures import ENDCAP, GRPC, Measured, figures
from benchmarks.peers.http_load import HttpLoad
from benchmarks.peers.processes import ProcessTree
from benchmarks.peers.systems import PEERS, Peer, triton_ids, triton_search
from benchmarks.peers.turns import SLO_MS, Plan, fresh, popular, take_turn, take_zipf_turn
from benchmarks.traffic import Traffic
from endcap.local import LocalSearch
from endcap.reports import Figure, Report

CORES = 2
FOLDER = Path("build/peers")
CANNOT = (EndcapError, OSError, TimeoutError, ValueError, KeyError)
"""What a peer may fail with; it is then left out, by name and with the reason."""


@dataclass
class Run:
    """What is known while it runs.

    Attributes:
        left_out: system → why it was not (further) measured.
    """

    release: Release
    queries: Sequence[str]
    plan: Plan
    assets: Path
    binaries: Path
    told: Callable[[str], None]
    measured: dict[str, Measured] = field(default_factory=dict)
    agreed: dict[str, agreement.Agreement] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    parts: dict[str, list[float]] = field(default_factory=dict)
    hits: list[float] = field(default_factory=list)
    expected: dict[str, agreement.Expected] = field(default_factory=dict)

    @property
    def checked(self) -> Sequence[str]:
        """The queries on which answers are held against each other."""
        return self.queries[-self.plan.checked :]

    def wanted(self, encoder: str) -> agreement.Expected:
        """What is expected of those who encode by ``onnx`` or ``torch``."""
        if encoder not in self.expected:
            self.expected[encoder] = agreement.expected(self.release, encoder, self.checked)
        return self.expected[encoder]

    def leave_out(self, name: str, why: str) -> None:
        """Note that a system is not measured (any more)."""
        self.left_out[name] = why
        self.told(f"{name} is left out: {why}")


def measure(
    repository: Path,
    queries: Path,
    *,
    plan: Plan | None = None,
    only: Sequence[str] = (),
    venv: Path = environment.VENV,
    pictures: Path | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> Report:
    """The report ``peers`` of a registered repository.

    Args:
        repository: what ``endcap register`` wrote.
        queries: a file of queries, or a shop's folder.
        plan: how long; the whole plan when left out.
        only: names of the peers to measure; all when empty.
        venv: the peers' environment; made where it is missing.
        pictures: folder of the picture.
        told: told of each step.

    Raises:
        EndcapError: Endcap itself does not start, or gives other answers than in process.
    """
    plan = plan or Plan()
    load_before = os.getloadavg()[0]
    served = current(repository)
    release = Release.open(repository / RELEASES / served.release)
    texts = list(Traffic.of_path(queries).queries)
    random.Random(7).shuffle(texts)
    binaries = environment.ensure(venv, told)
    with two_cores():
        told("the peers' assets")
        folder = assets.prepare(release, FOLDER, texts[:200], told)
        run = Run(release, texts, plan, folder, binaries, told)
        peers = _usable(run, [peer for peer in PEERS if not only or peer.name in only])
        _check_endcap(run, repository, served.precision)
        peers = [peer for peer in peers if _agrees(run, peer)]
        for number in range(plan.rounds):
            _round(run, repository, peers, number)
    return _report(run, served.precision, load_before, pictures)


@contextlib.contextmanager
def two_cores() -> Iterator[None]:
    """This process and what it starts on two of the cores; as before afterwards."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _usable(run: Run, peers: Sequence[Peer]) -> list[Peer]:
    missing = environment.missing(run.binaries, [peer.package for peer in peers])
    for peer in peers:
        if peer.package in missing:
            run.leave_out(peer.name, f"{peer.package} could not be installed")
    return [peer for peer in peers if peer.package not in missing]


def _check_endcap(run: Run, repository: Path, precision: str) -> None:
    run.told("Endcap's answers")
    queries = run.checked
    run.agreed[ENDCAP] = agreement.endcap_agreement(run.release, run.wanted("onnx"), queries)
    if why := run.agreed[ENDCAP].refusal:
        raise EndcapError(f"Endcap is not timed: {why}")
    with endcap_side.running(repository, cache=False) as endcap:
        local = LocalSearch.open(run.release, Settings(state=endcap.state), precision=precision)
        for query in queries:
            answer = triton_ids(endcap.http.ask(triton_search(query)))
            expected = local.search(query, k=20, diversity=0.3).item_ids
            if answer != expected:
                raise EndcapError(f"Endcap is not timed: the server answered {answer}, in process {expected}")
    run.measured[ENDCAP], run.measured[GRPC] = Measured(), Measured()


def _agrees(run: Run, peer: Peer) -> bool:
    run.told(f"{peer.name}: start and answers")
    dialect = peer.dialect
    try:
        with _started(run, peer) as (client, tree):
            run.agreed[peer.name] = agreement.agreement(
                run.wanted(peer.encoder),
                run.checked,
                lambda query: dialect.ids(client.ask(dialect.candidates(query))),
                lambda query: dialect.ids(client.ask(dialect.search(query))),
            )
            run.memory[peer.name] = tree.memory_mib()
    except CANNOT as error:
        run.leave_out(peer.name, str(error))
        return False
    if why := run.agreed[peer.name].refusal:
        run.leave_out(peer.name, why)
        return False
    run.measured[peer.name] = Measured()
    return True


def _started(run: Run, peer: Peer) -> contextlib.AbstractContextManager[tuple[HttpLoad, ProcessTree]]:
    return running.running(peer, run.binaries, run.assets, FOLDER / "logs")


def _round(run: Run, repository: Path, peers: Sequence[Peer], number: int) -> None:
    """One turn of every system, each round from another one on."""
    turns: list[Callable[[], None]] = [lambda: _endcap_turn(run, repository, number)]
    turns += [lambda peer=peer: _peer_turn(run, peer, number) for peer in peers]  # type: ignore[misc]
    for place in range(len(turns)):
        turns[(place + number) % len(turns)]()


def _endcap_turn(run: Run, repository: Path, number: int) -> None:
    plan, queries = run.plan, run.queries
    run.told(f"round {number + 1} of {plan.rounds}: {ENDCAP}")
    with endcap_side.running(repository, cache=False) as endcap:
        before = endcap.tree.seconds(endcap_side.part)
        turn = take_turn(endcap.http, fresh(queries, triton_search, number), plan, endcap.tree.total)
        for name, seconds in endcap.tree.seconds(endcap_side.part).items():
            run.parts.setdefault(name, []).append(seconds - before.get(name, 0.0))
        run.measured[ENDCAP].turns.append(turn)
        run.memory[ENDCAP] = endcap.tree.memory_mib()
        turn = take_turn(
            endcap.grpc, fresh(queries, endcap_side.grpc_search, number), plan, endcap.tree.total
        )
        run.measured[GRPC].turns.append(turn)
    with endcap_side.running(repository, cache=True) as endcap:
        first = endcap.counted()
        zipf = take_zipf_turn(endcap.http, popular(queries, triton_search, number), plan)
        run.measured[ENDCAP].zipf.append(zipf)
        counted = triton_metrics.between(first, endcap.counted())
        run.hits.append(triton_metrics.cache_share(counted) or 0.0)
    with endcap_side.running(repository, cache=True) as endcap:
        zipf = take_zipf_turn(endcap.grpc, popular(queries, endcap_side.grpc_search, number), plan)
        run.measured[GRPC].zipf.append(zipf)


def _peer_turn(run: Run, peer: Peer, number: int) -> None:
    if peer.name in run.left_out:
        return
    run.told(f"round {number + 1} of {run.plan.rounds}: {peer.name}")
    search, measured = peer.dialect.search, run.measured[peer.name]
    try:
        with _started(run, peer) as (client, tree):
            turn = take_turn(client, fresh(run.queries, search, number), run.plan, tree.total)
            zipf = take_zipf_turn(client, popular(run.queries, search, number), run.plan)
    except CANNOT as error:
        # Figures of some rounds beside those of all would be compared as if they were alike.
        del run.measured[peer.name]
        run.leave_out(peer.name, f"in round {number + 1}: {error}")
        return
    measured.turns.append(turn)
    measured.zipf.append(zipf)


def _report(run: Run, precision: str, load_before: float, pictures: Path | None) -> Report:
    found = figures(run.measured)
    beside = {name: run.memory[name] for name in run.measured if name not in (ENDCAP, GRPC)}
    found["memory_mib"] = Figure(run.memory[ENDCAP], "MiB", baselines=beside)
    for name in ("candidates", "lists"):
        shares = {system: getattr(each, name) for system, each in run.agreed.items()}
        goal = agreement.CANDIDATES_AT_LEAST if name == "candidates" else agreement.LISTS_AT_LEAST
        found[f"{name}_overlap"] = Figure(
            min(each for system, each in shares.items() if system in run.measured),
            goal=f">= {goal}",
            baselines=shares,
        )
    total = sum(sum(values) for values in run.parts.values())
    shares = {name: sum(values) / total for name, values in run.parts.items()}
    found["endcap_tritonserver_share"] = Figure(shares.pop("tritonserver", 0.0), baselines=_largest(shares))
    found["zipf_cache_hits"] = Figure(sum(run.hits) / len(run.hits))
    found["peers_timed"] = Figure(float(len(run.measured) - 2), goal=f"= {len(PEERS)}")
    found["load_average_before"] = Figure(load_before, goal="<= 0.5")
    if pictures is not None:
        from benchmarks.peers.picture import draw

        draw(found, pictures / "peers.png")
    return Report("peers", found, _notes(run, precision))


def _notes(run: Run, precision: str) -> str:
    plan = run.plan
    chosen = "; ".join(f"{peer.name}: {peer.choices}" for peer in PEERS if peer.name in run.measured)
    left = "; ".join(f"{name}: {why}" for name, why in run.left_out.items())
    return (
        f"Release {run.release.id}, {run.release.manifest['products']} products, on {CORES} cores that the "
        "client shares. Every system answers a query with 20 products, diversity 0.3 by DPP, no shopper; "
        f"Endcap with its {precision} encoder, FastAPI with PyTorch the same weights in fp32, the other "
        "peers the same int8 file. The peers encode, take 200 from faiss' HNSW graph and diversify by "
        "pyversity. "
        "Endcap does more: it also weighs words (BM25, with spelling), tags and price limits understood in "
        "the query, reads the stores of events and catalogue changes, checks its input and counts for its "
        "metrics, so its lists are others; *_overlap hold its own parts on the peers' task. "
        f"{plan.rounds} rounds, each system started anew for its turn, alone on the machine. Ratios are of "
        "Endcap over HTTP with the client that the peers have; ratio_grpc is the same over gRPC. cpu_*: "
        "processor time of all the server's processes per answer; steady is at 60% of each system's own "
        f"saturation, fixed at {plan.fixed_rate:g} a second, saturated in the better closed loop of "
        f"{' and '.join(map(str, plan.concurrency))} at a time; no query sent twice, no cache. Arrivals are "
        "independent (Poisson) and the same for all; latency counts from when a request was due. zipf_*: "
        f"queries by Zipf's law, Endcap's response cache on ({endcap_side.CACHE_MIB} MiB; it holds encodings "
        "alone; zipf_cache_hits is the share that it answered) and its rerank remembers what it answered to "
        "nobody in particular until anything changes; the peers have no cache; slo_rate is the highest "
        f"tried rate with p99 <= {SLO_MS:g} ms, by "
        f"{plan.steps} steps of {plan.step:g} s. Low and high are the extremes over rounds. "
        f"Chosen: {chosen}. pyversity {version('pyversity')}." + (f" LEFT OUT: {left}." if left else "")
    )


def _largest(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
