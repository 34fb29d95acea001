"""Where each part of a release lies, and how a release is opened.

A release is an immutable folder; ``endcap_export.release`` writes one. Layout::

    manifest.json          ids, text settings, labels, checksums, versions, metrics, parity
    tokenizer.json         the Hugging Face fast tokenizer
    encoder/fp32.onnx      two outputs: query_embedding, tag_logits
    encoder/int8.onnx      optional
    encoder/*.plan         optional TensorRT engines
    index/                 what endcap_rerank.index writes
    ranking.json           optional ranking weights
    evaluation.json.gz     optional held evaluation set, see endcap_export.held
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from endcap_rerank.errors import ReleaseError

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
ENCODER_DIR = "encoder"
INDEX_DIR = "index"
RANKING = "ranking.json"
EVALUATION = "evaluation.json.gz"

MANIFEST_CHECKSUM = "checksum"
"""Field of the manifest: the checksum of all its other fields."""

FORMAT = 1
"""Raised when the layout changes so that older code cannot read it."""


@dataclass(frozen=True)
class TextSettings:
    """How texts become word pieces; the same at training, at export and in serving.

    Attributes:
        query_prefix: put before every query (``"query: "`` for E5 models).
        product_prefix: put before every product text.
        query_length: most word pieces of a query, special pieces included.
        product_length: most word pieces of a product text.
        pad_multiple: serving pads to a multiple of this, so that requests share shapes and batch.
    """

    query_prefix: str = ""
    product_prefix: str = ""
    query_length: int = 64
    product_length: int = 64
    pad_multiple: int = 4


@dataclass(frozen=True)
class Release:
    """An opened release: its manifest and the paths of its parts."""

    path: Path
    id: str
    labels: tuple[str, ...]
    """BIO labels by class index, ``O`` among them; empty when the encoder was trained without tags."""
    dimension: int
    text: TextSettings
    encoder_id: str
    """Checksum of the fp32 encoder: vectors of two releases compare only where it is equal."""
    manifest: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Release:
        """Open the release in ``path``; with ``verify`` every file is held against its checksum.

        The manifest's own checksum is checked at each opening; those of older releases have none.

        Raises:
            ReleaseError: no manifest, an altered one, an unknown format, a missing or altered file.
        """
        file = path / MANIFEST
        try:
            manifest = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            raise ReleaseError(f"{path}: no {MANIFEST}; `endcap build` makes a release") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ReleaseError(f"{file}: not a JSON document ({error})") from error
        if manifest.get("format") != FORMAT:
            raise ReleaseError(f"{file}: format {manifest.get('format')!r}; this Endcap reads {FORMAT}")
        expected = manifest.get(MANIFEST_CHECKSUM)
        if expected is not None and (actual := manifest_checksum(manifest)) != expected:
            raise ReleaseError(f"{file}: altered; its checksum is {actual[:12]}…, not {str(expected)[:12]}…")
        try:
            release = cls(
                path=path,
                id=manifest["id"],
                labels=tuple(manifest["labels"]),
                dimension=int(manifest["dimension"]),
                text=TextSettings(**manifest["text"]),
                encoder_id=manifest["encoder_id"],
                manifest=manifest,
            )
        except (KeyError, TypeError) as error:
            raise ReleaseError(f"{file}: field {error} is missing or ill-typed") from error
        if verify:
            release.verify()
        return release

    def verify(self) -> None:
        """Hold every file against the checksum in the manifest.

        Raises:
            ReleaseError: names the first file that is missing or differs.
        """
        for name, expected in self.manifest["checksums"].items():
            file = self.path / name
            if not file.is_file():
                raise ReleaseError(f"{self.path}: {name} is missing")
            actual = checksum(file)
            if actual != expected:
                raise ReleaseError(f"{file}: checksum {actual[:12]}…, the manifest says {expected[:12]}…")

    @property
    def tokenizer(self) -> Path:
        """Path of ``tokenizer.json``."""
        return self.path / TOKENIZER

    @property
    def index(self) -> Path:
        """Folder of the index."""
        return self.path / INDEX_DIR

    @property
    def ranking(self) -> Path:
        """Path of the ranking weights; the file may be absent."""
        return self.path / RANKING

    @property
    def evaluation(self) -> Path:
        """Path of the held evaluation set; the file may be absent."""
        return self.path / EVALUATION

    def encoder(self, precision: str) -> Path:
        """Path of the encoder of a precision, ``fp32`` or ``int8``.

        Raises:
            ReleaseError: this release has no encoder of that precision.
        """
        file = self.path / ENCODER_DIR / f"{precision}.onnx"
        if not file.is_file():
            raise ReleaseError(f"{self.path}: no {precision} encoder")
        return file


def checksum(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of every field but ``checksum`` itself, in hexadecimal; the order of fields is no matter."""
    fields = {name: value for name, value in manifest.items() if name != MANIFEST_CHECKSUM}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
