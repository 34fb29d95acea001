"""Vectors on their way into Milvus, and a ranker that searches there."""

import numpy as np
import pytest
from endcap_rerank import milvus
from endcap_rerank.milvus import MilvusAddress, MilvusDense, stored_rows
from endcap_rerank.ranker import Ranker
from endcap_rerank.requests import SearchRequest
from endcap_rerank.settings import Settings
from typer.testing import CliRunner

from endcap.cli import app

pytest.importorskip("pymilvus", reason="pymilvus is not installed (the extra milvus)")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed (the extra milvus-lite)")


def run(*arguments, status=0, env=None):
    result = CliRunner().invoke(app, ["vectors", *map(str, arguments)], env=env)
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())  # lines break where the terminal ends


def test_a_release_goes_into_a_collection_of_its_own(repository, shop_release, shop_products, tmp_path):
    url = f"milvus://{tmp_path}/vectors.db"
    count = len(shop_products)
    assert f"{count} vectors were sent" in run("-r", repository, env={"ENDCAP_VECTORS": url})
    assert "already" in run("-r", repository, "--url", url)
    address = MilvusAddress.parse(url, shop_release.id)
    client = address.connect(10.0)
    assert stored_rows(client, address.collection) == count
    client.close()


def test_without_a_url_it_says_which_setting_is_missing(repository):
    assert "ENDCAP_VECTORS" in run("-r", repository, status=1)


def test_a_ranker_with_milvus_answers_as_one_without(
    repository, shop_release, shop_products, tmp_path, monkeypatch
):
    url = f"milvus://{tmp_path}/vectors.db"
    run("-r", repository, "--url", url)
    monkeypatch.setattr(milvus, "EXACT_LIMIT", 10)
    asked = []
    nearest = MilvusDense._nearest
    monkeypatch.setattr(MilvusDense, "_nearest", lambda *given: asked.append(nearest(*given)) or asked[-1])
    local = Ranker.open(shop_release, Settings(state=tmp_path / "local"))
    remote = Ranker.open(shop_release, Settings(state=tmp_path / "remote", vectors=url, candidates=100))
    remote.index.index.dense._timeout = 20.0
    local._candidates = 100
    product = shop_products[5]
    vector = local.index.embeddings([local.index.row(product.id)])[0]
    options = '{"filters": {"price_max": 190}, "understand": false}'
    request = SearchRequest.validated(product.title, vector, k=20, options=options)
    one, other = local.search(request), remote.search(request)
    assert len(asked) == 1
    assert asked[0] is not None
    assert one.item_ids == other.item_ids
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
