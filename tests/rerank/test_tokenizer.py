"""Texts become word pieces whose offsets point into the text as it was given."""

import dataclasses

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.release import TextSettings
from endcap_rerank.schema import MAX_QUERY_CHARS
from endcap_rerank.tokenizer import QueryTokenizer


def with_text(release, **settings):
    return QueryTokenizer(dataclasses.replace(release, text=TextSettings(**settings)))


def spans(tokens, text, row=0):
    return [text[start:end] for start, end in tokens.offsets[row] if end > start]


def test_offsets_point_into_the_query(shop_release):
    query = "  Red dress, UNDER $50"
    tokens = QueryTokenizer(shop_release).encode([query])
    assert spans(tokens, query) == ["Red", "dress", ",", "UNDER", "$", "50"]


@pytest.mark.parametrize("prefix", ["query: ", "find "])
def test_prefix_is_read_but_has_no_offsets(shop_release, prefix):
    query = "red dress"
    bare, prefixed = QueryTokenizer(shop_release), with_text(shop_release, query_prefix=prefix)
    assert spans(prefixed.encode([query]), query) == ["red", "dress"]
    assert prefixed.encode([query]).attention_mask.sum() > bare.encode([query]).attention_mask.sum()


def test_dtypes_shapes_and_padding(shop_release):
    tokens = QueryTokenizer(shop_release).encode(["red", "red cotton dress for hiking"])
    assert (tokens.input_ids.dtype, tokens.attention_mask.dtype) == (np.int64, np.int64)
    assert tokens.offsets.dtype == np.int32
    rows, width = tokens.input_ids.shape
    assert rows == 2
    assert width % shop_release.text.pad_multiple == 0
    assert tokens.offsets.shape == (2, width, 2)
    padding = tokens.attention_mask == 0
    assert padding[0].sum() > 0
    assert (tokens.input_ids[padding] == 0).all()
    assert (tokens.offsets[padding] == 0).all()


def test_row_of_a_batch_equals_the_query_alone(shop_release):
    tokenizer = QueryTokenizer(shop_release)
    queries = ["boots", "a much longer query about steel knives and red leather boots"]
    together = tokenizer.encode(queries)
    for row, query in enumerate(queries):
        alone = tokenizer.encode([query])
        size = alone.input_ids.shape[1]
        np.testing.assert_array_equal(together.input_ids[row, :size], alone.input_ids[0])
        np.testing.assert_array_equal(together.offsets[row, :size], alone.offsets[0])
        assert not together.attention_mask[row, size:].any()


def test_long_text_is_cut_with_the_last_special_piece_kept(shop_release):
    tokenizer = with_text(shop_release, query_length=8, product_length=12)
    query = tokenizer.encode(["red " * 100])
    assert query.input_ids.shape == (1, 8)
    assert query.input_ids[0, -1] == tokenizer.encode(["red"]).input_ids[0, 2]
    assert tokenizer.encode_products(["red " * 100]).input_ids.shape == (1, 12)


def test_products_have_their_own_prefix(shop_release):
    tokenizer = with_text(shop_release, query_prefix="find ", product_prefix="")
    assert tokenizer.encode_products(["red"]).attention_mask.sum() == 3


@pytest.mark.parametrize(
    "query", ["", "   ", "\t\n", "\u3000", "x" * (MAX_QUERY_CHARS + 1), "red \ud800 dress"]
)
def test_unusable_query_is_refused(shop_release, query):
    tokenizer = QueryTokenizer(shop_release)
    with pytest.raises(InvalidInputError) as caught:
        tokenizer.encode([query])
    assert caught.value.field == "query"
    with pytest.raises(InvalidInputError) as caught:
        tokenizer.encode(["fine", query])
    assert caught.value.field == "query (row 1)"


@pytest.mark.parametrize(
    "query", ["x" * MAX_QUERY_CHARS, "😀", "\x00", "\u200b\u200d", "连衣裙", "e\u0301" * 50]
)
def test_odd_query_is_tokenized(shop_release, query):
    tokens = QueryTokenizer(shop_release).encode([query])
    assert tokens.attention_mask.sum() >= 2
    assert tokens.offsets.max() <= len(query)
    assert tokens.offsets.min() >= 0


def test_damaged_tokenizer_is_named(shop_release, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"tokenizer\.json: not a tokenizer"):
        QueryTokenizer(dataclasses.replace(shop_release, path=tmp_path))
