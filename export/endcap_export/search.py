"""Search for hyperparameters with optuna: short of trying them all, those that did well are tried around."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import util
from pathlib import Path
from typing import Any, get_type_hints

from endcap_rerank.errors import EndcapError, InvalidInputError

from endcap_export.processes import world_size
from endcap_export.progress import Progress, silent
from endcap_export.shop import Shop
from endcap_export.trained import train_encoder
from endcap_export.training_config import TrainingConfig, config_toml
from endcap_export.training_settings import TrainingSettings

TABLE = "search.json"
BEST = "best.toml"


@dataclass(frozen=True)
class Trial:
    """One try.

    Attributes:
        values: hyperparameter → value.
        held: held-out F1 + nDCG@10 of the weights that it would keep: the best with early stopping, else the
            last.
        figures: of those weights: ``held_f1``, ``held_ndcg10``, ``step``.
        pruned: whether it was stopped because the others were better by then.
    """

    number: int
    values: Mapping[str, float]
    held: float
    figures: Mapping[str, float]
    pruned: bool


def search(
    shop: Shop, config: TrainingConfig, trials: int, folder: Path, progress: Progress = silent
) -> tuple[TrainingConfig, tuple[Trial, ...]]:
    """Try values of ``config.search`` and choose by held-out F1 + nDCG@10.

    Tree-structured Parzen estimator (Bergstra et al. 2011); a trial whose evaluations fall below the median
    of the others' at the same step is stopped. Writes ``search.json`` (every trial) and ``best.toml`` to
    ``folder``.

    Args:
        shop: it must have held-out data.
        config: what is not searched stays as it is there.
        trials: how many.
        folder: made when absent.
        progress: told of the stage ``search``.

    Returns:
        The config with the best values, and the trials, best first.

    Raises:
        InvalidInputError: optuna is not installed, there is nothing to search or to choose by.
    """
    _check(shop, config)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=config.training.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    done: list[Trial] = []

    def attempt(trial: optuna.Trial) -> float:
        values = _suggest(trial, config.search)
        seen: list[dict[str, float]] = []

        def told(step: int, figures: Mapping[str, float]) -> None:
            seen.append({**figures, "step": step})
            trial.report(figures["held"], step)
            if trial.should_prune():
                raise optuna.TrialPruned

        settings = replace(config.training, **values, checkpoint_steps=0, report_to="none")
        pruned = True
        try:
            with tempfile.TemporaryDirectory(prefix="endcap-search-") as place:
                train_encoder(
                    shop,
                    config.base,
                    Path(place),
                    settings,
                    limit=config.limit_train,
                    normalize=config.normalize,
                    told=told,
                )
            pruned = False
        finally:
            if seen:
                kept = max(seen, key=lambda one: one["held"]) if settings.early_stopping else seen[-1]
                done.append(Trial(trial.number, values, kept["held"], kept, pruned))
            progress("search", trial.number + 1, trials)
        if not seen:
            raise EndcapError("the held-out data gave no figure: too few judged products a query")
        return done[-1].held

    progress("search", 0, trials)
    study.optimize(attempt, n_trials=trials)
    chosen = replace(config, training=replace(config.training, **study.best_params))
    ranked = tuple(sorted(done, key=lambda one: (one.pruned, -one.held)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).write_text(json.dumps([asdict(one) for one in ranked], indent=2), "utf-8")
    (folder / BEST).write_text(config_toml(chosen), "utf-8")
    return chosen, ranked


def _check(shop: Shop, config: TrainingConfig) -> None:
    if util.find_spec("optuna") is None:
        raise InvalidInputError("--search", "optuna", "it must be installed: pip install optuna")
    if world_size() > 1:
        raise InvalidInputError("--search", world_size(), "one process is expected, without torchrun")
    if not config.search:
        raise InvalidInputError(
            "search", {}, "at least one hyperparameter with [lowest, highest] is expected"
        )
    if config.training.evaluate == "never":
        raise InvalidInputError(
            "evaluate", "never", "epoch or steps is expected, since a search goes by them"
        )
    if not shop.held_tags and not shop.held_judgments:
        raise InvalidInputError("--search", str(shop.files.products.parent), "held-out data are expected")


def _suggest(trial: Any, space: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    hints = get_type_hints(TrainingSettings)
    return {
        name: trial.suggest_int(name, int(low), int(high), log=True)
        if hints[name] in (int, int | None)
        else trial.suggest_float(name, low, high, log=True)
        for name, (low, high) in space.items()
    }
