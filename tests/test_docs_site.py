"""The site of the documentation: built with every warning an error, from the SDK's real docstrings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site's tools: endcap[docs]")
pytest.importorskip("mkdocstrings", reason="the site's tools: endcap[docs]")

ROOT = Path(__file__).resolve().parents[1]


def build(config, site):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(
        [*command, "--config-file", str(config), "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_built_without_a_warning(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {"index", "quickstart", "deployment", "capacity", "benchmarks", "sdk-reference"} <= pages
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_every_page_is_in_the_navigation():
    listed = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n", 1)[1]
    for path in (ROOT / "docs").glob("*.md"):
        assert f": {path.name}" in listed, f"docs/{path.name} is missing in the nav of mkdocs.yml"


def test_the_reference_is_made_of_the_docstrings(site):
    import endcap_client

    page = (site / "sdk-reference.html").read_text("utf-8")
    for name in endcap_client.__all__:
        assert name in page, name
    for method in ("search", "search_many", "recommend", "similar", "feedback", "upsert", "delete"):
        assert f'id="endcap_client.Client.{method}"' in page
    assert "The products for a query, best first." in page
    assert ":meth:" not in page
    assert ":class:" not in page


def test_nothing_is_fetched_from_other_hosts(site):
    for page in ("index.html", "sdk-reference.html"):
        text = (site / page).read_text("utf-8")
        for tag in ('src="http', '<link rel="stylesheet" href="http', 'href="https://fonts'):
            assert tag not in text


def test_a_page_that_is_missing_stops_the_build(tmp_path):
    text = (ROOT / "mkdocs.yml").read_text("utf-8").replace("quickstart.md", "no-such-page.md")
    config = tmp_path / "mkdocs.yml"
    for name in ("docs", "client", "docs/.hooks/roles.py"):
        text = re.sub(rf"(?<=[ \[]){re.escape(name)}(?=[\]\n])", str(ROOT / name), text)
    config.write_text(text)
    built = build(config, tmp_path / "site")
    assert built.returncode != 0
    assert "no-such-page.md" in built.stdout + built.stderr
