"""A small real release without training: a real ONNX graph, a real WordPiece tokenizer, a real index.

The encoder looks each word piece up, averages over the mask and normalizes; texts that share words are
near each other. Its tag head reads the labels off the same table. So everything from the tokenizer to
the ranking runs as in production, in milliseconds, and on any Python without torch.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from endcap_rerank.product import Product
from endcap_rerank.release import Release, TextSettings
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

DIMENSION = 48
LABELS = (
    "O", "B-brand", "I-brand", "B-product", "I-product", "B-color", "B-material", "B-price", "I-price",
)  # fmt: skip
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

BRANDS = (
    "Northwind", "Acme", "Blue Harbor", "Kestrel", "Oakline",
    "Vela", "Tundra", "Maple Forge", "Solis", "Quill",
)  # fmt: skip
COLORS = ("red", "blue", "green", "black", "white", "grey")
MATERIALS = ("cotton", "steel", "leather", "oak", "wool", "glass")
TYPES = {
    "Outdoor > Camping > Tents": ("tent", "shelter"),
    "Outdoor > Camping > Lamps": ("lantern", "headlamp"),
    "Outdoor > Hiking > Shoes": ("boots", "sandals"),
    "Outdoor > Hiking > Bags": ("backpack", "pouch"),
    "Home > Kitchen > Knives": ("knife", "cleaver"),
    "Home > Kitchen > Pots": ("kettle", "saucepan"),
    "Home > Living > Chairs": ("chair", "stool"),
    "Home > Living > Lighting": ("lamp", "chandelier"),
    "Clothing > Women > Dresses": ("dress", "gown"),
    "Clothing > Men > Shirts": ("shirt", "polo"),
    "Tools > Power > Drills": ("drill", "driver"),
    "Tools > Hand > Hammers": ("hammer", "mallet"),
}


def tiny_products(count: int = 300, seed: int = 7) -> list[Product]:
    """A deterministic catalogue with brands, categories, colours, materials, prices and stock."""
    rng = np.random.default_rng(seed)
    categories = list(TYPES)
    products = []
    for number in range(count):
        category = categories[number % len(categories)]
        kind = TYPES[category][(number // len(categories)) % 2]
        brand = BRANDS[int(rng.integers(len(BRANDS)))]
        color = COLORS[int(rng.integers(len(COLORS)))]
        material = MATERIALS[int(rng.integers(len(MATERIALS)))]
        products.append(
            Product(
                id=f"p{number:04d}",
                title=f"{brand} {color} {material} {kind} model {number}",
                brand=brand,
                category=category,
                price=round(float(rng.uniform(5, 200)), 2),
                currency="USD",
                in_stock=bool(rng.random() > 0.1),
                rating=round(float(rng.uniform(2.5, 5)), 1),
                review_count=int(rng.integers(0, 500)),
                attributes={"color": color, "material": material},
            )
        )
    return products


def tiny_release(
    directory: Path, products: Sequence[Product] | None = None, seed: int = 7, *, held=None
) -> Release:
    """Write a release of the products under ``directory`` and open it.

    ``seed`` makes another encoder, ``held`` (``endcap_export.held.HeldSet``) is its held evaluation set.
    """
    from endcap_export.encoder import OnnxEncoder
    from endcap_export.release import write_release
    from endcap_rerank.tokenizer import QueryTokenizer

    products = tiny_products() if products is None else products
    text = TextSettings(query_length=32, product_length=48)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tiny_tokenizer(product.encoder_text() for product in products)
        tokenizer_file, encoder_file = Path(folder, "tokenizer.json"), Path(folder, "fp32.onnx")
        tokenizer.save(str(tokenizer_file))
        onnx.save(tiny_encoder(tokenizer.get_vocab(), seed), str(encoder_file))
        draft = Release(Path(folder), "draft", LABELS, DIMENSION, text, "", {})
        tokens = QueryTokenizer(draft).encode_products([product.encoder_text() for product in products])
        embeddings, _ = OnnxEncoder(encoder_file).encode(tokens.input_ids, tokens.attention_mask)
        return write_release(
            directory,
            tokenizer=tokenizer_file,
            encoders={"fp32": encoder_file},
            labels=LABELS,
            text=text,
            products=products,
            embeddings=embeddings,
            # The ONNX graph is the original: there is no trained encoder from which it could differ.
            record={"made_by": "tests/tiny.py", "parity": {"embedding_max_abs": 0.0, "logits_max_abs": 0.0}},
            held=held,
        )


def tiny_tokenizer(texts) -> Tokenizer:
    """WordPiece over the words of the texts; other words fall into characters."""
    words = {"under", "below", "cheap", "for", "and", "with", *"$!'.,|->"}
    for text in texts:
        words.update(re.findall(r"\w+", text.lower()))
    characters = {character for word in words for character in word} | set(
        "abcdefghijklmnopqrstuvwxyz0123456789"
    )
    pieces = [*SPECIAL, *sorted(words | characters), *(f"##{character}" for character in sorted(characters))]
    vocabulary = {piece: position for position, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    return tokenizer


def tiny_encoder(vocabulary: dict[str, int], seed: int = 7, dimension: int = DIMENSION) -> onnx.ModelProto:
    """``input_ids``, ``attention_mask`` [B, T] → ``query_embedding`` [B, D], ``tag_logits`` [B, T, L]."""
    rng = np.random.default_rng(seed)
    table = np.zeros((len(vocabulary), dimension + len(LABELS)), dtype=np.float32)
    for piece, position in sorted(vocabulary.items(), key=lambda item: item[1]):
        vector = rng.standard_normal(dimension).astype(np.float32)
        if piece in SPECIAL:
            continue
        # Characters and numbers say little about what a product is.
        weight = 0.1 if len(piece.removeprefix("##")) == 1 or piece.isdigit() else 1.0
        table[position, :dimension] = weight * vector
    for piece, position in vocabulary.items():
        table[position, dimension + LABELS.index(_label(piece))] = 8.0
    size = dimension + len(LABELS)
    constants = {
        "table": table,
        "to_embedding": np.eye(size, dimension, dtype=np.float32),
        "to_tags": np.eye(size, dtype=np.float32)[:, dimension:],
        "smallest": np.array(1e-9, dtype=np.float32),
        "last_axis": np.array([2], dtype=np.int64),
        "sequence_axis": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "to_tags"], ["tag_logits"]),
        helper.make_node("MatMul", ["hidden", "to_embedding"], ["pieces"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask_column"]),
        helper.make_node("Mul", ["pieces", "mask_column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "sequence_axis"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "sequence_axis"], ["pieces_read"], keepdims=1),
        helper.make_node("Max", ["pieces_read", "smallest"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], ["mean"]),
        helper.make_node("ReduceL2", ["mean", "sequence_axis"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "smallest"], ["norm"]),
        helper.make_node("Div", ["mean", "norm"], ["query_embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info("query_embedding", TensorProto.FLOAT, ["batch", dimension]),
            helper.make_tensor_value_info(
                "tag_logits", TensorProto.FLOAT, ["batch", "sequence", len(LABELS)]
            ),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _label(piece: str) -> str:
    if piece in {brand.split()[0].lower() for brand in BRANDS}:
        return "B-brand"
    if piece in {brand.split()[-1].lower() for brand in BRANDS if " " in brand}:
        return "I-brand"
    if piece in {word for words in TYPES.values() for word in words}:
        return "B-product"
    if piece in COLORS:
        return "B-color"
    if piece in MATERIALS:
        return "B-material"
    if piece in ("under", "below"):
        return "B-price"
    return "I-price" if piece == "$" else "O"
