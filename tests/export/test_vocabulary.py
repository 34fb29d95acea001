"""Pruning the vocabulary: the shop's texts read as before, nothing else becomes unknown."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.shop_texts import product_texts, trained_queries  # noqa: E402
from endcap_export.vocabulary import kept_pieces, prune_vocabulary, renumber  # noqa: E402
from endcap_rerank.errors import EndcapError, InvalidInputError  # noqa: E402
from endcap_rerank.settings import Settings  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def wordpiece(pieces):
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    return tokenizer


def unigram(pieces):
    special = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = Tokenizer(models.Unigram([*special, *pieces], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([name for name, _ in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def pruned(tokenizer, texts):
    document = json.loads(tokenizer.to_str())
    seen = {number for text in texts for number in tokenizer.encode(text).ids}
    kept = kept_pieces(document, seen)
    return Tokenizer.from_str(json.dumps(renumber(document, kept))), kept


def test_wordpiece_keeps_what_it_made_of_seen_texts_and_spells_the_rest():
    letters = [*"abtendr", *(f"##{letter}" for letter in "abtendr")]
    before = wordpiece([*letters, "tent", "red", "band", "##ed", "te", "##nt", "##ß"])
    after, kept = pruned(before, ["red tent"])
    assert before.encode("red tent").tokens == after.encode("red tent").tokens
    assert before.encode("band").tokens == ["[CLS]", "band", "[SEP]"]
    assert after.encode("band").tokens == ["[CLS]", "b", "##a", "##n", "##d", "[SEP]"]
    assert after.get_vocab_size() == len(kept) == len(before.get_vocab()) - 4
    # A piece whose signs do not stand alone cannot be spelled, so it stays.
    odd = wordpiece([*letters, "œuf", "band"])
    assert "œuf" in pruned(odd, ["red"])[0].get_vocab()
    assert "band" not in pruned(odd, ["red"])[0].get_vocab()


def test_unigram_takes_the_same_path_and_its_unknown_penalty_stays():
    pieces = [("▁", -2.0), ("▁红色", -3.0), ("帐篷", -4.0), ("帐", -8.0), ("篷", -8.0), ("红", -7.0),
              ("色", -7.0), ("▁露营", -5.0), ("露", -9.0), ("营", -9.0), ("色帐", -20.0)]  # fmt: skip
    before = unigram(pieces)
    after, _ = pruned(before, ["红色 帐篷"])
    for text in ("红色 帐篷", "红色 帐篷☂"):
        assert before.encode(text).tokens == after.encode(text).tokens
    assert "▁露营" not in after.get_vocab()
    assert "<unk>" not in after.encode("露营").tokens
    assert after.encode("红色").ids[0] == after.token_to_id("<s>") == 0
    # The least likely piece sets the penalty of unknown characters.
    assert "色帐" in after.get_vocab()


def test_other_tokenizers_are_refused():
    document = json.loads(Tokenizer(models.BPE({"a": 0}, [])).to_str())
    with pytest.raises(EndcapError, match="a BPE vocabulary; only WordPiece and Unigram"):
        kept_pieces(document, {0})


@pytest.fixture(scope="module")
def wordy(trained, tmp_path_factory):
    """The tiny encoder with as many pieces again that no text of the shop uses."""
    from endcap_export.base import quiet
    from endcap_export.model import TwoHeadBert
    from endcap_export.trained import RECORD, TrainedEncoder

    folder = tmp_path_factory.mktemp("wordy")
    document = json.loads(trained.tokenizer.read_text())
    pieces = document["model"]["vocab"]
    # In front, so that every other piece gets another number.
    extra = [f"unused{number}" for number in range(len(pieces))]
    document["model"]["vocab"] = {piece: number for number, piece in enumerate([*extra, *pieces])}
    shift = len(extra)
    for token in document["post_processor"]["special_tokens"].values():
        token["ids"] = [number + shift for number in token["ids"]]
    for token in document["added_tokens"]:
        token["id"] += shift
    (folder / "tokenizer.json").write_text(json.dumps(document))
    model = trained.load()
    config = model.config
    table = model.bert.embeddings.word_embeddings.weight.detach()
    config.vocab_size, config.pad_token_id = 2 * shift, config.pad_token_id + shift
    larger = TwoHeadBert(config)
    weights = model.state_dict() | {
        "bert.embeddings.word_embeddings.weight": torch.cat([torch.randn_like(table), table])
    }
    larger.load_state_dict(weights)
    with quiet():
        larger.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(trained.record))
    return TrainedEncoder.open(folder)


def answers(encoder, texts, products):
    tokenizer, model = QueryTokenizer(encoder), encoder.load()
    found = []
    for encode, some in ((tokenizer.encode, texts), (tokenizer.encode_products, products)):
        tokens = encode(some)
        with torch.inference_mode():
            outputs = model(torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask))
        mask = tokens.attention_mask == 1
        found += [outputs[0].numpy(), outputs[1].numpy()[mask]]
    return found


def test_the_pruned_encoder_answers_the_shops_texts_alike(wordy, trained, shop, tmp_path):
    smaller = prune_vocabulary(wordy, shop, tmp_path / "pruned")
    queries, products = trained_queries(shop), product_texts(shop)
    for before, after in zip(
        answers(wordy, queries, products), answers(smaller, queries, products), strict=True
    ):
        np.testing.assert_allclose(after, before, atol=1e-6)
    record = smaller.record["vocabulary"]
    assert record["pieces"] < record["pieces_before"] / 2
    assert record["pieces"] == smaller.load().config.vocab_size
    assert record["saved_bytes"] == (record["pieces_before"] - record["pieces"]) * 32 * 4
    weights = [(one.path / "model.safetensors").stat().st_size for one in (wordy, smaller)]
    assert weights[0] - weights[1] == pytest.approx(record["saved_bytes"], abs=1000)
    assert QueryTokenizer(smaller).encode(["unused3"]).input_ids.max() < record["pieces"]


def test_a_floor_drops_rare_pieces_too(trained, shop, tmp_path):
    sizes = [
        prune_vocabulary(trained, shop, tmp_path / str(floor), floor=floor).record["vocabulary"]["pieces"]
        for floor in (1, 1000)
    ]
    assert sizes[1] < sizes[0]
    with pytest.raises(InvalidInputError, match="floor: got 0"):
        prune_vocabulary(trained, shop, tmp_path / "none", floor=0)


@pytest.mark.data
@pytest.mark.parametrize("base", ["minilm", "zh"])
def test_real_vocabularies_read_real_texts_as_before(base, tmp_path):
    from endcap_export.base import find_base, save_tokenizer

    data = Settings.from_environment().data
    if not (data / "zh_utterances").is_dir():
        pytest.skip(f"no data in {data}")
    save_tokenizer(find_base(base), tmp_path / "tokenizer.json")
    before = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    name = "queryner" if base == "minilm" else "zh_utterances"
    join = " " if base == "minilm" else ""

    def texts(file):
        blocks = (data / name / file).read_text().split("\n\n")
        return [
            join.join(line.split()[0] for line in block.splitlines() if line.strip() and line[0] != "#")
            for block in blocks
        ]

    train, dev = texts("train.bio")[:2000], texts("dev.bio")
    after, kept = pruned(before, train)
    assert len(kept) < 0.7 * before.get_vocab_size()
    assert all(before.encode(text).tokens == after.encode(text).tokens for text in train)
    unknown = "[UNK]" if base == "minilm" else "<unk>"
    for text in dev:
        assert before.encode(text).tokens.count(unknown) == after.encode(text).tokens.count(unknown)
