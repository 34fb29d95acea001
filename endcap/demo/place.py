"""Where the demo keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from endcap.demo_shop import LANGUAGES

ROOT = Path("build")


@dataclass(frozen=True)
class Place:
    """The folders of one language's demo.

    Attributes:
        root: ``build/demo`` for English, ``build/demo-zh`` for Chinese.
    """

    root: Path
    language: str

    @classmethod
    def of(cls, language: str, root: Path = ROOT) -> Place:
        """The folders for a language.

        Raises:
            InvalidInputError: the demo does not speak it.
        """
        if language not in LANGUAGES:
            raise InvalidInputError("language", language, f"one of {', '.join(LANGUAGES)} is expected")
        return cls(root / ("demo" if language == "en" else f"demo-{language}"), language)

    @property
    def shop(self) -> Path:
        """The generated shop's files."""
        return self.root / "shop"

    @property
    def repository(self) -> Path:
        """What the server serves."""
        return self.root / "repository"

    @property
    def built(self) -> bool:
        """Whether there is something to serve."""
        return (self.repository / "models").exists() and self.shop.is_dir()
