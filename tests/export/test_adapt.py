"""A base that has read the shop's words: fills them in better, and is a base like any other."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.adapt import RECORD, AdaptSettings, adapt, adaptation_texts  # noqa: E402
from endcap_export.base import find_base, load_model, save_tokenizer  # noqa: E402
from endcap_rerank.errors import EndcapError, InvalidInputError  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

SETTINGS = AdaptSettings(max_steps=60, batch_size=16, learning_rate=3e-3, held_share=0.3)


@pytest.fixture(scope="module")
def masked_base(tiny_base, tmp_path_factory):
    """The tiny base with a mask token, in a folder that is named like an E5 model."""
    folder = shutil.copytree(tiny_base, tmp_path_factory.mktemp("bases") / "tiny-e5")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "mask_token": "[MASK]"}))
    return folder


@pytest.fixture(scope="module")
def adapted(masked_base, shop, tmp_path_factory):
    told = []
    folder = adapt(
        str(masked_base),
        adaptation_texts(shop),
        tmp_path_factory.mktemp("adapted") / "made",
        SETTINGS,
        lambda *step: told.append(step),
    )
    return folder, told


def test_hidden_words_of_unread_texts_are_filled_in_better(adapted):
    record = json.loads((adapted[0] / RECORD).read_text())
    assert record["steps"] == 60
    assert record["held_loss_after"] < 0.8 * record["held_loss_before"]


def test_each_step_is_told(adapted):
    assert adapted[1][0] == ("adapt", 0, 60)
    assert adapted[1][-1] == ("adapt", 60, 60)


def test_the_folder_is_a_base_with_the_same_pieces_and_prefixes(adapted, masked_base, tmp_path):
    folder, _ = adapted
    before, after = find_base(str(masked_base)), find_base(str(folder))
    assert after.text == before.text
    assert after.text.query_prefix == "query: "
    pieces = []
    for base in (before, after):
        save_tokenizer(base, tmp_path / "tokenizer.json")
        pieces.append(Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("red tent xyz").tokens)
    assert pieces[0] == pieces[1]
    old, new = (load_model(base, ("O",)).bert.state_dict() for base in (before, after))
    assert old.keys() == new.keys()
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(old[name], new[name])


def test_the_same_seed_gives_the_same_weights(masked_base, shop, tmp_path):
    texts = adaptation_texts(shop)[:60]
    settings = AdaptSettings(max_steps=3, batch_size=8)
    made = [adapt(str(masked_base), texts, tmp_path / name, settings) for name in "ab"]
    first, second = (load_model(find_base(str(folder)), ("O",)).bert.state_dict() for folder in made)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_texts_are_the_shops_without_held_out_queries(shop):
    texts = set(adaptation_texts(shop))
    assert shop.products[0].encoder_text() in texts
    assert {one.query for one in shop.judgments} - {one.text for one in shop.held_tags} <= texts
    assert not {one.query for one in shop.held_judgments} & texts
    assert not {one.text for one in shop.held_tags} & texts


def test_what_cannot_be_adapted_is_named(tiny_base, masked_base, tmp_path):
    with pytest.raises(InvalidInputError, match="mask token"):
        adapt(str(tiny_base), ["red tent"] * 10, tmp_path / "made")
    with pytest.raises(EndcapError, match="1 texts are too few"):
        adapt(str(masked_base), ["red tent"], tmp_path / "made")
    assert not (tmp_path / "made").exists()
