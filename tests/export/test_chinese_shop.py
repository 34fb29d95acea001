"""The Chinese demo shop from its files to search: tags by character, a price limit that filters."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.build import build  # noqa: E402
from endcap_export.data import read_products  # noqa: E402
from endcap_export.train import TrainingSettings  # noqa: E402
from endcap_rerank.settings import Settings  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402
from transformers import BertConfig, BertModel  # noqa: E402

from endcap.demo_shop import generate  # noqa: E402
from endcap.local import LocalSearch  # noqa: E402

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def chinese_base(folder, text):
    """A random BERT of two layers with a piece for each character of the text."""
    folder.mkdir()
    pieces = [*SPECIAL, *sorted({char for char in text.lower() if not char.isspace()})]
    pieces += [f"##{piece}" for piece in pieces[5:] if piece.isascii()]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names})
    )
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=48, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=96, max_position_embeddings=128,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Search in a small Chinese shop and its products by id."""
    folder = tmp_path_factory.mktemp("chinese")
    generate(folder / "shop", products=400, seed=7, language="zh", shoppers=10, queries=400)
    text = "".join((folder / "shop" / name).read_text("utf-8") for name in ("products.jsonl", "queries.csv"))
    built = build(
        folder / "shop",
        folder / "repository",
        base=str(chinese_base(folder / "base", text)),
        settings=TrainingSettings(
            max_steps=250, batch_size=32, tag_batch_size=32, learning_rate=3e-3, typo=0.0, seed=1
        ),
        normalize="width,simplified",
    )
    products = {one.id: one for one in read_products(folder / "shop" / "products.jsonl").rows}
    search = LocalSearch.open(built.release, Settings(state=folder / "repository" / "state"))
    return search, products, built


def test_tags_are_learned_by_character(made):
    _, _, built = made
    assert {"B-商品", "B-品牌", "B-价格"} <= set(built.release.labels)
    figures = built.record["metrics"]["int8"]["tags"]
    assert figures["f1"] > 0.6, figures


@pytest.mark.parametrize("query", ["200元以下的台灯", "２００元以下的台灯", "200元以下的檯燈"])
def test_a_price_in_the_query_filters_however_it_is_written(made, query):
    search, products, _ = made
    answer = search.search(query, k=8)
    tags = {tag["label"]: tag["text"] for tag in json.loads(answer.query_info)["tags"]}
    assert {"价格", "商品"} <= set(tags)
    assert tags["商品"] == query[-2:]
    found = [products[item] for item in answer.item_ids]
    assert found
    assert sum(one.price <= 200 for one in found) >= 7
