"""The TOML file of a training run: every hyperparameter, read, checked and written."""

from __future__ import annotations

import difflib
import json
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from endcap_rerank.errors import EndcapError, InvalidInputError

from endcap_export.training_settings import CHOICES, TrainingSettings, descriptions

CONFIG = "config.toml"
"""In the folder of a trained encoder: what the run used."""

SEARCH = {
    "learning_rate": (3e-5, 3e-4),
    "head_learning_rate": (3e-4, 3e-3),
    "temperature": (0.02, 0.1),
    "tag_weight": (0.3, 3.0),
}
"""What ``--search`` tries unless told otherwise: lowest and highest value."""

_HEAD = {
    "base": "BERT to start from: minilm (English, comes with the install), zh, a folder, a Hugging Face id.",
    "limit_train": "learn from at most so many pairs and tagged queries; left out, from all.",
    "normalize": "characters made one before a text is cut into pieces: width (full and half), simplified "
    "(from traditional Chinese), or both with a comma between.",
}
_SEARCHED = (
    "`endcap train --search N` tries values between lowest and highest, evenly on a logarithmic scale; "
    "any hyperparameter that is a number above 0 can stand here."
)


@dataclass(frozen=True)
class TrainingConfig:
    """What a run is made of, apart from the shop's files.

    Attributes:
        base: as ``find_base`` takes it.
        limit_train: most pairs, and most tagged queries, to learn from.
        training: hyperparameters.
        search: hyperparameter → (lowest, highest) value that a search tries.
        normalize: as ``parse_normalization`` reads it.
    """

    base: str = "minilm"
    limit_train: int | None = None
    training: TrainingSettings = field(default_factory=TrainingSettings)
    search: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(SEARCH))
    normalize: str = ""

    def with_values(self, values: Mapping[str, Any], source: str) -> TrainingConfig:
        """This with some hyperparameters replaced, after a check of their names and types.

        Args:
            values: hyperparameter, ``base`` or ``limit_train`` → value.
            source: named in errors: a file, or an option.

        Raises:
            InvalidInputError: an unknown name, a value of the wrong type or out of range.
        """
        head = {name: value for name, value in values.items() if name in _HEAD}
        rest = {name: value for name, value in values.items() if name not in _HEAD}
        training = _checked(TrainingSettings, rest, source)
        try:
            settings = replace(self.training, **training)
        except InvalidInputError as error:
            raise InvalidInputError(f"{source}: {error.field}", error.value, error.expected) from None
        return replace(self, training=settings, **_checked(TrainingConfig, head, source))


def read_config(file: Path) -> TrainingConfig:
    """Read a config file; what it leaves out has its default.

    Raises:
        EndcapError: it cannot be read or is no TOML.
        InvalidInputError: a key is unknown, or a value is of the wrong type or out of range.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EndcapError(f"{file}: not a training config; a TOML file is expected ({error})") from error
    for name in ("training", "search"):
        if not isinstance(document.get(name, {}), dict):
            raise InvalidInputError(f"{file}: {name}", document[name], f"a table [{name}] is expected")
    training, search = document.pop("training", {}), document.pop("search", None)
    for name in document:
        if name not in _HEAD:
            known = (*_HEAD, "training", "search")
            raise InvalidInputError(f"{file}: {name}", document[name], _unknown(name, known, "[training]"))
    config = TrainingConfig().with_values({**document, **training}, str(file))
    return config if search is None else replace(config, search=_space(search, f"{file}: search"))


def assignment(text: str) -> tuple[str, Any]:
    """``key=value`` of a ``--set`` option; the value as in TOML, and a bare word is a text.

    Raises:
        InvalidInputError: there is no key or no value.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not key or not equals or not value:
        raise InvalidInputError("--set", text, "KEY=VALUE is expected, such as learning_rate=2e-4")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def config_toml(config: TrainingConfig) -> str:
    """The config as a TOML file in which a comment explains each key; ``read_config`` gives it back."""
    lines = []
    for name, text in _HEAD.items():
        lines += [*_comment(text), _entry(name, getattr(config, name)), ""]
    lines += ["[training]", ""]
    for name, text in descriptions(TrainingSettings).items():
        lines += [*_comment(text.replace("``", "")), _entry(name, getattr(config.training, name)), ""]
    if config.search:
        lines += ["[search]", "", *_comment(_SEARCHED.replace("`", ""))]
    lines += [f"{name} = [{low!r}, {high!r}]" for name, (low, high) in config.search.items()]
    return "\n".join(lines) + "\n"


def _entry(name: str, value: Any) -> str:
    # TOML has no null: a value that is left out is shown as a comment.
    return f"# {name} =" if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")


def _checked(kind: type[Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values with whole numbers made floats where a float is meant."""
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)]
    checked = {}
    for name, value in values.items():
        if name not in names:
            raise InvalidInputError(f"{source}: {name}", value, _unknown(name, names))
        hint = hints[name]
        if hint in (str, str | None):
            right, expected = isinstance(value, str), "a text"
            if name in CHOICES:
                right, expected = value in CHOICES[name], f"one of {', '.join(CHOICES[name])}"
        elif hint is bool:
            right, expected = isinstance(value, bool), "true or false"
        elif hint == tuple[int, ...]:
            right, expected = isinstance(value, list), "a list of whole numbers"
            right = right and all(isinstance(one, int) and not isinstance(one, bool) for one in value)
            value = tuple(value) if right else value
        elif hint in (int, int | None):
            right, expected = isinstance(value, int) and not isinstance(value, bool), "a whole number"
        else:
            right, expected = isinstance(value, int | float) and not isinstance(value, bool), "a number"
            value = float(value) if right else value
        if not right:
            raise InvalidInputError(f"{source}: {name}", value, f"{expected} is expected")
        checked[name] = value
    return checked


def _space(values: Mapping[str, Any], source: str) -> dict[str, tuple[float, float]]:
    hints = get_type_hints(TrainingSettings)
    numbers = [
        name for name, hint in hints.items() if hint not in (str, bool, tuple[int, ...]) and name != "seed"
    ]
    space = {}
    for name, value in values.items():
        if name not in numbers:
            raise InvalidInputError(f"{source}.{name}", value, _unknown(name, numbers))
        right = isinstance(value, list) and len(value) == 2
        right = right and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
        if not right or not 0 < value[0] < value[1]:
            raise InvalidInputError(
                f"{source}.{name}", value, "[lowest, highest] is expected, two rising numbers above 0"
            )
        for one in _checked(TrainingSettings, {name: value[0]}, source), {name: value[1]}:
            replace(TrainingSettings(), **one)
        space[name] = (value[0], value[1])
    return space


def _unknown(name: str, known: tuple[str, ...] | list[str], elsewhere: str = "") -> str:
    near = difflib.get_close_matches(name, known, 1)
    if not near and elsewhere and name in {one.name for one in fields(TrainingSettings)}:
        return f"it belongs below {elsewhere}"
    hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
    return f"there is no such key{hint}"
