"""The encoders that the quality run measures: on which data each is trained, and training where it is not."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from endcap_export.bio import label_set, read_tags
from endcap_export.distill import DistillationSettings, distill
from endcap_export.held import stable_order
from endcap_export.progress import Progress, silent
from endcap_export.shop import Shop, ShopFiles
from endcap_export.trained import RECORD, TrainedEncoder, train_encoder
from endcap_export.training_config import CONFIG, TrainingConfig, read_config
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import checksum

CONFIGS = Path(__file__).with_name("configs")
"""One TOML file for each encoder; to change it is to have the encoder trained anew."""

FOLDER = Path("build/quality")

STUDENT = "student3"
LAYERS = 3
TRAINED = ("joint", "tags", "pairs", "zh")
HALF = "half"
"""Trained on half of the judged queries; the other half is as new to it as any shopper's query."""
PARTS = (*TRAINED, "int8", STUDENT)
"""What ``--only`` can name: ``int8`` is made of ``joint`` each time, the others are trained once."""


@dataclass(frozen=True)
class Data:
    """Folders of the data sets."""

    homedepot: Path
    queryner: Path
    zh: Path

    @classmethod
    def of(cls, folder: Path) -> Data:
        """In the folder that ``ENDCAP_DATA`` names."""
        return cls(folder / "homedepot", folder / "queryner", folder / "zh_utterances")


def shop_of(part: str, data: Data) -> Shop:
    """What a part is trained and evaluated on.

    Raises:
        DataError: the data are not there.
    """
    if part == "joint":
        return Shop.load(ShopFiles.find(data.homedepot, data.queryner))
    if part == "pairs":
        shop = Shop.load(ShopFiles.find(data.homedepot))
        return replace(shop, tags=(), held_tags=())
    if part == HALF:
        shop = Shop.load(ShopFiles.find(data.homedepot))
        known = {one.query for one in shop.judgments} - other_half(shop)
        judgments = tuple(one for one in shop.judgments if one.query in known)
        return replace(shop, judgments=judgments, tags=(), held_tags=())
    if part in ("tags", "zh"):
        return _tagged_alone(data.queryner if part == "tags" else data.zh)
    raise InvalidInputError("part", part, f"one of {', '.join((*TRAINED, HALF))} is expected")


def other_half(shop: Shop) -> set[str]:
    """Judged training queries that the part ``half`` is not trained on."""
    queries = stable_order(one.query for one in shop.judgments)
    return set(queries[len(queries) // 2 :])


def trained_part(
    part: str,
    shop: Shop,
    folder: Path = FOLDER,
    *,
    configs: Path = CONFIGS,
    train: bool = True,
    progress: Progress = silent,
) -> TrainedEncoder:
    """The encoder of a part in ``folder/part``, trained where it is absent or made of something else.

    A part with a second config ``part_start.toml`` is trained in two runs; the second goes on from the first.

    Args:
        shop: as ``shop_of`` gives it.
        configs: folder of ``part.toml``.
        train: whether to train; an error otherwise.

    Raises:
        EndcapError: it would have to be trained and ``train`` is false; the message says why.
    """
    config = read_config(configs / f"{part}.toml")
    if (configs / f"{part}_start.toml").is_file():
        start = trained_part(f"{part}_start", shop, folder, configs=configs, train=train, progress=progress)
        config = replace(config, base=str(start.path))
    place = folder / part
    why = _differs(place, config, shop)
    if not why:
        return TrainedEncoder.open(place)
    if not train:
        raise EndcapError(f"{place}: {why}")
    return train_encoder(
        shop, config.base, place, config.training, limit=config.limit_train, progress=_named(part, progress)
    )


def student_part(
    teacher: TrainedEncoder,
    shop: Shop,
    folder: Path = FOLDER,
    *,
    configs: Path = CONFIGS,
    train: bool = True,
    progress: Progress = silent,
) -> TrainedEncoder:
    """The student of ``LAYERS`` layers in ``folder``; ``distill`` knows whether it is there already.

    Raises:
        EndcapError: there is none and ``train`` is false.
    """
    if not train and not (folder / STUDENT / RECORD).is_file():
        raise EndcapError(f"{folder / STUDENT}: not taught yet")
    settings = distillation_settings(configs / f"{STUDENT}.toml")
    return distill(
        teacher,
        shop,
        folder / STUDENT,
        layers=LAYERS,
        settings=settings,
        progress=_named(STUDENT, progress),
    )


def distillation_settings(file: Path) -> DistillationSettings:
    """The settings in the table ``[distillation]`` of a TOML file; what it leaves out has its default.

    Raises:
        EndcapError: the file cannot be read, or has an unknown key.
    """
    try:
        values: dict[str, Any] = dict(tomllib.loads(file.read_text("utf-8"))["distillation"])
        if "keep" in values:
            values["keep"] = tuple(values["keep"])
        return DistillationSettings(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EndcapError(f"{file}: a table [distillation] of its settings is expected ({error})") from error


def seconds(encoder: TrainedEncoder) -> float:
    """How long its training took, that of the run it went on from included; of a student only its own."""
    if taught := encoder.record.get("distillation"):
        return float(sum(taught["seconds"].values()))
    start = Path(encoder.record["base"])
    before = seconds(TrainedEncoder.open(start)) if (start / RECORD).is_file() else 0.0
    return before + float(encoder.record["training"]["seconds"])


def _differs(folder: Path, config: TrainingConfig, shop: Shop) -> str:
    """Why what is in ``folder`` is not what ``config`` and the data make; empty when it is."""
    if not (folder / RECORD).is_file():
        return "not trained yet"
    record = TrainedEncoder.open(folder).record
    if record["data"]["files"] != shop.fingerprint:
        return "trained on other data"
    made_with = read_config(folder / CONFIG)
    if (made_with.base, made_with.limit_train) != (config.base, config.limit_train):
        return "trained from another base, or on a part of the data"
    before, now = asdict(made_with.training), asdict(config.training)
    changed = sorted(name for name in now if before[name] != now[name])
    return f"trained with other {', '.join(changed)}" if changed else ""


def _tagged_alone(folder: Path) -> Shop:
    """A shop that has tagged queries and nothing else."""
    files = ShopFiles(products=folder, tags=folder / "train.bio", held_tags=folder / "dev.bio")
    training = read_tags(folder / "train.bio")
    held = read_tags(folder / "dev.bio", labels=label_set(training.rows))
    return Shop(
        files,
        products=(),
        tags=training.rows,
        held_tags=held.rows,
        fingerprint={file.name: checksum(file) for file in (folder / "train.bio", folder / "dev.bio")},
        warnings=(*training.warnings(), *held.warnings()),
    )


def _named(part: str, progress: Progress) -> Progress:
    return lambda stage, done, total: progress(f"{part}: {stage}", done, total)
