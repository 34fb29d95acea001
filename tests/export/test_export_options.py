"""``endcap export`` with everything that makes an encoder smaller, at once."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_rerank.release import Release  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402

from endcap.cli import app  # noqa: E402


def test_layers_vocabulary_and_dimensions_in_one_release(trained, shop_folder, tmp_path):
    encoder = tmp_path / "encoder"
    shutil.copytree(trained.path, encoder)
    arguments = ["export", "--data", shop_folder, "--encoder", encoder, "--releases", tmp_path / "releases"]
    smaller = ["--layers", 1, "--prune-vocabulary", "--dimensions", 8]
    result = CliRunner().invoke(app, [*map(str, arguments), *map(str, smaller)])
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "releases").iterdir()
    release = Release.open(path, verify=True)
    record = release.manifest["record"]
    assert record["distillation"]["kept_layers"] == [1]
    assert record["vocabulary"]["pieces"] <= record["vocabulary"]["pieces_before"]
    assert release.dimension == 8
    assert (tmp_path / "encoder-1-layers" / "model.safetensors").is_file()
    tokens = QueryTokenizer(release).encode(["red tent"])
    embeddings, logits = OnnxEncoder(release.encoder("int8")).encode(tokens.input_ids, tokens.attention_mask)
    assert embeddings.shape == (1, 8)
    assert logits.shape[2] == len(release.labels)

    result = CliRunner().invoke(app, [*map(str, arguments), "--layers", "2"])
    assert result.exit_code == 1
    assert "layers: got 2; 1 to 1 are expected: the teacher has 2" in " ".join(result.stderr.split())
