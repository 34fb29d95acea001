"""The ``endcap`` command: every verb in one place."""

from __future__ import annotations

import typer

from endcap.commands import (
    affinities,
    beside,
    build,
    compact,
    console,
    demo,
    demo_data,
    evaluate,
    events,
    export,
    exposure,
    forget,
    monitor,
    register,
    report,
    rollback,
    search,
    serve,
    train,
    vectors,
)
from endcap.commands import bench as bench_commands

app = typer.Typer(
    help="Search and recommendation for shops on NVIDIA Triton.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Benchmarks; each writes build/reports/NAME.json.", no_args_is_help=True)
app.add_typer(bench, name="bench")

app.command("build")(build.build)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("exposure")(exposure.exposure)
app.command("register")(register.register)
app.command("rollback")(rollback.rollback)
app.command("beside")(beside.beside)
app.command("affinities")(affinities.affinities)
app.command("forget")(forget.forget)
app.command("monitor")(monitor.monitor)
app.add_typer(events.events, name="events")
app.command("vectors")(vectors.vectors)
app.command("compact")(compact.compact)
app.command("demo")(demo.demo)
app.command("demo-data")(demo_data.demo_data)
app.command("report")(report.report)
bench.command("compare")(bench_commands.compare)
bench.command("compression")(bench_commands.compression)
bench.command("diversify")(bench_commands.diversify)
bench.command("encoder")(bench_commands.encoder)
bench.command("load")(bench_commands.load)
bench.command("peers")(bench_commands.peers)
bench.command("quality")(bench_commands.quality)
bench.command("ranking")(bench_commands.ranking)
bench.command("reliability")(bench_commands.reliability)
bench.command("retrieval")(bench_commands.retrieval)
bench.command("sdk")(bench_commands.sdk)
bench.command("soak")(bench_commands.soak)
bench.command("stages")(bench_commands.stages)
bench.command("ui")(bench_commands.ui)
app.command("console")(console.console)
app.command("serve")(serve.serve)
app.command("search")(search.search)
