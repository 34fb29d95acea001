"""``endcap compact`` on a repository with changes."""

from endcap_rerank.ranker import Ranker
from endcap_rerank.settings import Settings
from typer.testing import CliRunner

from endcap.cli import app


def run(*arguments):
    result = CliRunner().invoke(app, ["compact", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_changes_go_into_a_segment_that_the_next_start_maps(
    repository, shop_release, shop_products, tmp_path
):
    settings = Settings(state=tmp_path)
    ranker = Ranker.open(shop_release, settings)
    ranker.delete([shop_products[0].id])
    assert "segment" in run("-r", repository, "--state", tmp_path)
    assert "Nothing was written" in run("-r", repository, "--state", tmp_path)
    again = Ranker.open(shop_release, settings)
    assert (tmp_path / "segments" / shop_release.id / "current").is_symlink()
    assert again.index.row(shop_products[0].id) is None
    assert len(again.index) == len(shop_products) - 1
