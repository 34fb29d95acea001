"""A shop as files, and a tiny random BERT to start from."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from tiny import COLORS, TYPES, tiny_products, tiny_tokenizer


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory):
    """The tiny shop's files: products.jsonl, judgments.csv, events.csv, tags.bio."""
    folder = tmp_path_factory.mktemp("shop")
    products = tiny_products(120)
    with (folder / "products.jsonl").open("w") as stream:
        stream.writelines(json.dumps(product.as_mapping()) + "\n" for product in products)
    with (folder / "judgments.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("query", "item_id", "relevance"))
        for color in COLORS:
            for kind in (kind for kinds in TYPES.values() for kind in kinds):
                for product in products:
                    words = product.title.split()
                    if (grade := (color in words) + 2 * (kind in words)) >= 2:
                        writer.writerow((f"{color} {kind}", product.id, grade))
    with (folder / "events.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("user_id", "item_id", "event", "timestamp"))
        writer.writerows(
            ("anna", product.id, "click", 1_700_000_000 + n) for n, product in enumerate(products)
        )
    with (folder / "tags.bio").open("w") as stream:
        for color in COLORS:
            for kind in (kind for kinds in TYPES.values() for kind in kinds):
                stream.write(f"# {color} {kind}\n{color}\tB-color\n{kind}\tB-product\n\n")
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """A folder with a random BERT of two layers and 32 hidden units, and its tokenizer."""
    pytest.importorskip("torch")
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    tokenizer = tiny_tokenizer(product.encoder_text() for product in tiny_products())
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names})
    )
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=96,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def still_base(tiny_base, tmp_path_factory):
    """The tiny BERT without dropout, so that sums can be checked."""
    folder = tmp_path_factory.mktemp("still")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def shop(shop_folder):
    """The tiny shop, read."""
    from endcap_export.shop import Shop, ShopFiles

    return Shop.load(ShopFiles.find(shop_folder))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, shop, tiny_base):
    """The tiny BERT after a short joint training on the tiny shop."""
    from endcap_export.train import TrainingSettings
    from endcap_export.trained import train_encoder

    settings = TrainingSettings(
        max_steps=150, batch_size=16, tag_batch_size=32, learning_rate=3e-3, typo=0.0, seed=1
    )
    return train_encoder(shop, str(tiny_base), tmp_path_factory.mktemp("trained"), settings)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, trained):
    """The trained encoder as fp32 ONNX."""
    from endcap_export.onnx_export import export_onnx

    file = tmp_path_factory.mktemp("exported") / "fp32.onnx"
    export_onnx(trained.load(), file)
    return file
