"""Shorter embeddings: the loss at every width, and an export whose encoder and index have that width."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_export.export import export_release  # noqa: E402
from endcap_export.generation import read_config  # noqa: E402
from endcap_export.matryoshka import matryoshka_loss, shortened, with_dimensions  # noqa: E402
from endcap_export.registry import register  # noqa: E402
from endcap_rerank.errors import InvalidInputError  # noqa: E402
from endcap_rerank.index import Index  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402


def cross_entropy(queries, items):
    return torch.nn.functional.cross_entropy(queries @ items.T / 0.05, torch.arange(len(queries)))


def test_the_loss_is_the_mean_over_widths_each_of_unit_length():
    generator = torch.Generator().manual_seed(0)
    queries, items = (torch.randn(5, 8, generator=generator) for _ in range(2))
    seen = []

    def watched(left, right):
        seen.append((left.shape[1], right.shape[1]))
        torch.testing.assert_close(left.norm(dim=1), torch.ones(5))
        return cross_entropy(left, right)

    found = matryoshka_loss(queries, items, (2, 4), watched)
    assert seen == [(2, 2), (4, 4), (8, 8)]
    each = [cross_entropy(shortened(queries, width), shortened(items, width)) for width in (2, 4, 8)]
    torch.testing.assert_close(found, torch.stack(each).mean())
    with pytest.raises(InvalidInputError, match="dimensions: got 16; 1 to 8 are expected"):
        matryoshka_loss(queries, items, (16,), cross_entropy)


def test_learning_with_it_puts_what_matters_first():
    generator = torch.Generator().manual_seed(1)
    wanted = torch.nn.functional.normalize(torch.randn(24, 4, generator=generator), dim=-1)
    losses = {}
    for dims in ((), (4,)):
        # What tells the items apart lies in the last four numbers at first.
        start = torch.cat([0.05 * torch.randn(24, 4, generator=generator), wanted], dim=1)
        table = torch.nn.Parameter(start.clone())
        optimizer = torch.optim.Adam([table], lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            matryoshka_loss(table, table.detach(), dims, cross_entropy).backward()
            optimizer.step()
        losses[dims] = float(cross_entropy(shortened(table, 4), shortened(table, 4)))
    assert losses[(4,)] < 0.7 * losses[()]


def test_a_release_of_fewer_dimensions_is_whole(trained, shop, tmp_path):
    release = export_release(trained, shop, tmp_path / "releases", dimensions=16)
    assert release.dimension == Index.open(release.index).dimension == 16
    tokens = QueryTokenizer(release).encode(["red tent", "blue boots with cotton"])
    wide = trained.load()
    with torch.inference_mode():
        full, logits = wide(torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask))
    short, tags = OnnxEncoder(release.encoder("fp32")).encode(tokens.input_ids, tokens.attention_mask)
    np.testing.assert_allclose(short, shortened(full, 16).numpy(), atol=1e-5)
    np.testing.assert_allclose(tags, logits.numpy(), atol=1e-4)
    int8, _ = OnnxEncoder(release.encoder("int8")).encode(tokens.input_ids, tokens.attention_mask)
    assert (int8 * short).sum(axis=1).min() > 0.95
    register(release.path, tmp_path / "repository")
    config = read_config(tmp_path / "repository" / "models" / "encode" / "config.pbtxt")
    dims = {output.name: list(output.dims) for output in config.output}
    assert dims["query_embedding"] == [16]


def test_more_dimensions_than_there_are_is_an_error(trained):
    with pytest.raises(InvalidInputError, match="dimensions: got 64; 1 to 32 are expected"):
        with_dimensions(trained.load(), 64)
