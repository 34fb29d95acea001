"""What the docs name must exist."""

import re
from pathlib import Path

import pytest
import typer
from endcap_rerank.constraints import LABELS
from endcap_rerank.options import Options
from endcap_rerank.product import Product
from endcap_rerank.schema import EVENT_WEIGHTS
from endcap_rerank.scoring import RankingWeights
from endcap_rerank.settings import Settings

from endcap.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMANDS = typer.main.get_command(app)


def page(name):
    return (ROOT / "docs" / name).read_text("utf-8")


def rows(text, heading):
    """First cells of the table below a heading, their backquoted names."""
    section = text.split(heading, 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#]+)", file.read_text("utf-8")):
        if not target.startswith("http"):
            assert (file.parent / target).exists(), target


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_commands_and_options_that_are_shown_exist(file):
    text = file.read_text("utf-8").replace("\\\n", " ")
    shown = r"^ *(?:torchrun .* -m )?(endcap [a-z].*)|`(endcap [a-z][^`]*)`"
    for line in re.findall(shown, text, re.MULTILINE):
        # What follows a bare -- is tritonserver's.
        words = re.split(r"\s--\s", "".join(line))[0].split()
        command = COMMANDS
        for word in words[1:]:
            # NAME stands for any of them.
            if not hasattr(command, "commands") or not word[0].islower():
                break
            assert set(word.split("|")) <= set(command.commands), line
            command = command.commands[word.split("|")[0]]
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        options = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert options <= known, line


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_every_product_column_is_described():
    assert rows(page("data.md"), "## Products") == set(Product.__dataclass_fields__)


def test_every_event_is_described():
    section = page("data.md").split("| `event` |")[1].splitlines()[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(EVENT_WEIGHTS)


def test_labels_named_as_known_are_known():
    section = page("data.md").split("They are listed in".lower())[1].split("## Rows")[0]
    named = set(re.findall(r"`([^`]+)`", section)) - {"endcap_rerank.constraints.LABELS"}
    assert named
    assert {name.casefold() for name in named} <= set(LABELS)


def test_every_option_is_described():
    assert rows(page("ranking.md"), "## Options") == set(Options.__dataclass_fields__)


def test_weights_in_the_docs_are_the_defaults():
    weights = RankingWeights()
    section = page("ranking.md").split("## Score", 1)[1].split("\n## ", 1)[0]
    names = {"stock": ["out_of_stock"]}
    seen = set()
    for line in section.splitlines():
        if line.startswith("| `"):
            _, terms, _, figures, _ = line.split("|")
            terms = [name for term in re.findall(r"`([^`]+)`", terms) for name in names.get(term, [term])]
            for name, figure in zip(terms, figures.split(","), strict=True):
                if figure.strip():
                    assert getattr(weights, name) == float(figure), name
                    seen.add(name)
    assert {"relevance", "taste", "popularity", "bought", "out_of_stock"} <= seen


def test_every_setting_is_described():
    described = rows(page("serving.md"), "## Settings")
    assert {f"ENDCAP_{name.upper()}" for name in Settings.__dataclass_fields__} <= described
