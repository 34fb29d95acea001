"""``endcap train``: fine-tune both heads and keep the weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from endcap_rerank.errors import InvalidInputError

from endcap.commands.build import NORMALIZE_HELP, BadShareOption, DataOption, TagsOption, show_warnings
from endcap.console import console, reports_errors

if TYPE_CHECKING:
    from endcap_export.search import Trial
    from endcap_export.training_config import TrainingConfig


def _print_config(wanted: bool) -> None:
    if wanted:
        from endcap_export.training_config import TrainingConfig, config_toml

        typer.echo(config_toml(TrainingConfig()), nl=False)
        raise typer.Exit


@reports_errors
def train(
    data: DataOption,
    tags: TagsOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the trained encoder.")] = Path(
        "build/encoder"
    ),
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML file of hyperparameters; options go before it."),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config",
            help="Print the default config with a comment on each hyperparameter, and end.",
            callback=_print_config,
            is_eager=True,
        ),
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(help="BERT to start from: `minilm`, `zh`, a folder, or a Hugging Face id."),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the larger of judgments and tagged queries.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", "--steps", help="Stop training after so many steps.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop training after so many seconds.")] = None,
    limit_train: Annotated[
        int | None, typer.Option(help="Learn from at most so many pairs and tagged queries.")
    ] = None,
    normalize: Annotated[str | None, typer.Option(help=NORMALIZE_HELP)] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="First let the base read catalogue and queries with hidden words (masked language "
            "modelling, one pass); the adapted base is kept in OUTPUT/adapted.",
        ),
    ] = False,
    batch_size: Annotated[int | None, typer.Option(help="Products of one batch, about.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the trunk, after warm-up.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any hyperparameter of the config; repeatable."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the last checkpoint in OUTPUT, as if the run had not been stopped."
        ),
    ] = False,
    search: Annotated[
        int | None,
        typer.Option(help="Try so many sets of hyperparameters first and train with the best.", min=1),
    ] = None,
    max_bad_share: BadShareOption = 0.01,
) -> None:
    """Fine-tune one BERT with two heads, tags and embedding; `endcap export` goes on from it.

    Every hyperparameter has a default; `--print-config` shows them. Beside the model the run leaves
    config.toml (what it used), metrics.jsonl (losses and held-out figures) and endcap.json (the record).
    Several processes: `torchrun --nproc-per-node 2 -m endcap train …`
    """
    options = {
        "base": base,
        "limit_train": limit_train,
        "normalize": normalize,
        "epochs": epochs,
        "max_steps": max_steps,
        "seconds": seconds,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if resume and search is not None:
        raise InvalidInputError("--search", search, "a search cannot be resumed; leave out --resume")
    if adapt and resume:
        raise InvalidInputError("--adapt", adapt, "the run to resume has its base; leave out --adapt")
    chosen = _config(config, given, values or [], output, resume)

    from endcap_export.normalization import parse_normalization
    from endcap_export.processes import is_first, world_size
    from endcap_export.progress import silent
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.train import check_reporter
    from endcap_export.trained import train_encoder

    from endcap.progress import stage_bars

    if adapt and world_size() > 1:
        raise InvalidInputError(
            "--adapt", adapt, "one process is expected; adapt first, then train with its folder as --base"
        )
    check_reporter(chosen.training.report_to)
    parse_normalization(chosen.normalize)
    with stage_bars() if is_first() else nullcontext(silent) as bars:
        bars("read", 0, 1)
        shop = Shop.load(ShopFiles.find(data, tags), max_bad_share=max_bad_share)
        bars("read", 1, 1)
        if adapt:
            from endcap_export.adapt import AdaptSettings, adaptation_texts
            from endcap_export.adapt import adapt as adapt_base

            how = AdaptSettings(seed=chosen.training.seed)
            own = adapt_base(chosen.base, adaptation_texts(shop), output / "adapted", how, bars)
            chosen = replace(chosen, base=str(own))
        if search is not None:
            from endcap_export.search import search as search_values

            chosen, trials = search_values(shop, chosen, search, output, bars)
            _show_trials(trials)
        trained = train_encoder(
            shop,
            chosen.base,
            output,
            chosen.training,
            limit=chosen.limit_train,
            normalize=chosen.normalize,
            progress=bars,
            resume=resume,
        )
    if is_first():
        show_warnings(shop.warnings)
        run = trained.record["training"]
        held = run["held"][-1] if run["held"] else {}
        for evaluation in run["held"]:
            if evaluation["step"] == run["best_step"]:
                held = evaluation
        figures = [
            f"{label} {held[name]:.3f}"
            for name, label in (("held_f1", "tag F1"), ("held_ndcg10", "nDCG@10"))
            if name in held
        ]
        if figures:
            console.print(f"on held-out data: {', '.join(figures)}", highlight=False)
        console.print(
            f"{run['steps']} steps in {run['seconds']:.0f} s; trained encoder in {output}", soft_wrap=True
        )


def _config(
    file: Path | None, options: dict[str, Any], values: Sequence[str], output: Path, resume: bool
) -> TrainingConfig:
    """The config file (when resuming, that of the run unless one is given), then what options say."""
    from endcap_export.training_config import CONFIG, TrainingConfig, assignment, read_config

    if file is None and resume and (output / CONFIG).is_file():
        file = output / CONFIG
    config = TrainingConfig() if file is None else read_config(file)
    return config.with_values(options, "option").with_values(dict(map(assignment, values)), "--set")


def _show_trials(trials: Sequence[Trial]) -> None:
    from rich.table import Table

    names = list(trials[0].values)
    table = Table("trial", *names, "tag F1", "nDCG@10", "sum", "", title="search", title_justify="left")
    for trial in trials:
        figures = (trial.figures.get("held_f1"), trial.figures.get("held_ndcg10"), trial.held)
        table.add_row(
            str(trial.number),
            *(f"{trial.values[name]:.3g}" for name in names),
            *("–" if figure is None else f"{figure:.3f}" for figure in figures),
            "stopped early" if trial.pruned else "",
        )
    console.print(table)
