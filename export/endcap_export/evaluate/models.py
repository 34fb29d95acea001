"""What can be evaluated: a release, the current one of a repository, or what ``endcap train`` wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import MANIFEST, TOKENIZER, Release, checksum
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.encoder import Encoder, OnnxEncoder, encode_texts
from endcap_export.registry import MODELS, REGISTRY, RELEASES, current

Floats = npt.NDArray[np.float32]

KEPT_VECTORS = 8
"""Files of vectors that stay in a folder of them; the oldest goes first."""

_RECORD = "endcap.json"


@dataclass(frozen=True)
class Model:
    """An encoder with all that its evaluation needs.

    Attributes:
        name: for reading.
        labels: BIO labels by class index; the one label ``O`` where it learned no tags.
        record: of its training; empty where there is none.
        key: names its weights: equal where the vectors of a text are equal.
        folder: of the trained encoder or the release; None for a base.
        release: the release, whose index is the catalogue.
    """

    name: str
    encoder: Encoder = field(repr=False)
    tokenizer: QueryTokenizer = field(repr=False)
    labels: tuple[str, ...]
    record: Mapping[str, Any] = field(repr=False)
    key: str
    folder: Path | None = None
    release: Release | None = None

    @property
    def tags(self) -> bool:
        """Whether it learned to tag."""
        return len(self.labels) > 1

    def vectors(
        self,
        texts: Sequence[str],
        *,
        queries: bool = False,
        kept: Path | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Floats:
        """Embed texts, products unless ``queries``: float32 [n, D].

        Args:
            kept: folder where vectors are kept, by weights and texts; None keeps none.
            progress: told of texts done, of all.
        """
        file = None
        if kept is not None:
            digest = hashlib.sha256("\0".join([self.key, str(queries), *texts]).encode()).hexdigest()[:24]
            file = kept / f"{digest}.npy"
            if file.is_file():
                progress(len(texts), len(texts))
                before: Floats = np.load(file)
                return before
        done = 0

        def count(number: int) -> None:
            nonlocal done
            done += number
            progress(done, len(texts))

        tokenize = self.tokenizer.encode if queries else self.tokenizer.encode_products
        # PyTorch has threads of its own; one batch at a time leaves them the cores.
        workers = None if isinstance(self.encoder, OnnxEncoder) else 1
        vectors = encode_texts(self.encoder, tokenize, texts, workers=workers, progress=count)
        if file is not None:
            _keep(file, vectors)
        return vectors


def open_model(path: Path, precision: str = "int8") -> Model:
    """Open what is to be evaluated.

    Args:
        path: a release, a repository, or a folder that ``endcap train`` wrote.
        precision: which encoder of a release, ``int8`` or ``fp32``.

    Raises:
        InvalidInputError: the folder is none of these.
        EndcapError: it is damaged, or PyTorch is needed and not installed.
    """
    if (path / MODELS / REGISTRY).is_file():
        path = path / RELEASES / current(path).release
    if (path / MANIFEST).is_file():
        release = Release.open(path)
        file = release.encoder(precision)
        return Model(
            f"release {release.id}, {precision}",
            OnnxEncoder(file),
            QueryTokenizer(release),
            release.labels,
            dict(release.manifest.get("record") or {}),
            checksum(file),
            path,
            release,
        )
    if (path / _RECORD).is_file():
        _need_torch(f"{path} is a trained encoder in PyTorch")
        from endcap_export.torch_encoder import TorchEncoder
        from endcap_export.trained import TrainedEncoder

        trained = TrainedEncoder.open(path)
        model = trained.load()
        return Model(
            str(path),
            TorchEncoder(model),
            QueryTokenizer(trained),
            model.labels,
            trained.record,
            _weights_key(path),
            path,
        )
    raise InvalidInputError(
        "MODEL", str(path), "a release, a repository, or a folder that `endcap train` wrote is expected"
    )


def untuned(base: str, folder: Path) -> Model:
    """A base as it comes: the encoder that training began with.

    Args:
        base: as ``find_base`` takes it.
        folder: for its tokenizer.

    Raises:
        EndcapError: it cannot be loaded, or PyTorch is not installed.
    """
    _need_torch("the untuned encoder runs in PyTorch")
    from endcap_export.base import find_base, load_model, save_tokenizer
    from endcap_export.torch_encoder import TorchEncoder
    from endcap_export.trained import TrainedEncoder

    found = find_base(base)
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(found, folder / TOKENIZER)
    draft = TrainedEncoder(folder, found.text, {})
    encoder = TorchEncoder(load_model(found, ["O"]))
    source = Path(found.source)
    key = _weights_key(source) if source.is_dir() else found.source
    return Model(f"{base} untuned", encoder, QueryTokenizer(draft), ("O",), {}, f"untuned {key}")


def _weights_key(folder: Path) -> str:
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    return " ".join(checksum(file) for file in files) or str(folder)


def _need_torch(why: str) -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        raise EndcapError(f"{why}: PyTorch is needed, pip install 'endcap-export[train]'") from None


def _keep(file: Path, vectors: Floats) -> None:
    """Write in one step; only the newest files stay."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        np.save(stream, vectors)
    temporary.replace(file)
    files = sorted(file.parent.glob("*.npy"), key=lambda one: one.stat().st_mtime)
    for old in files[:-KEPT_VECTORS]:
        old.unlink()
