"""Two ways to write a character, one piece; offsets stay on the text as it was typed."""

from __future__ import annotations

import json
import sys

import pytest
from endcap_export.charsmap import charsmap
from endcap_export.normalization import character_map, normalize_with, parse_normalization
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.release import TextSettings
from endcap_rerank.settings import Settings
from endcap_rerank.tags import word_positions
from endcap_rerank.tokenizer import QueryTokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

BOTH = ("width", "simplified")
WORDS = ("abc", "##123", "18", "##v", "全", "角", "繁", "体", "手", "机", "壳", "后", "里", "[UNK]", "[PAD]")


def chinese_tokenizer() -> Tokenizer:
    """As of a Chinese BERT: one piece a Han character, lower case."""
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@pytest.fixture(scope="module")
def normalized(tmp_path_factory):
    """The tokenizer as a release has it: through its file, with a prefix."""
    tokenizer = chinese_tokenizer()
    normalize_with(tokenizer, BOTH)
    file = tmp_path_factory.mktemp("normalized") / "tokenizer.json"
    tokenizer.save(str(file))

    class Source:
        tokenizer = file
        text = TextSettings(query_prefix="全: ")

    return QueryTokenizer(Source())


def encoded(tokenizer: QueryTokenizer, text: str):
    tokens = tokenizer.encode([text])
    size = int(tokens.attention_mask.sum())
    return tokens.input_ids[0, :size].tolist(), tokens.offsets[0, :size]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("全角ＡＢＣ", "全角abc"),
        ("ａｂｃ１２３", "abc123"),
        ("繁體", "繁体"),
        ("手機殼　１８Ｖ", "手机壳 18v"),
        ("後裏", "后里"),
    ],
)
def test_both_ways_give_the_same_pieces_at_the_typed_places(normalized, typed, plain):
    pieces, offsets = encoded(normalized, typed)
    expected, plain_offsets = encoded(normalized, plain)
    assert pieces == expected
    assert WORDS.index("[UNK]") not in pieces[3:]
    # One character stands for one, so the places are the same too.
    assert offsets.tolist() == plain_offsets.tolist()
    assert offsets.max() == len(typed)
    assert word_positions(typed, offsets) == word_positions(plain, plain_offsets)


def test_without_the_option_they_are_different_pieces():
    plain = chinese_tokenizer()
    assert plain.encode("繁體").ids != plain.encode("繁体").ids
    before = plain.to_str()
    normalize_with(plain, ())
    assert plain.to_str() == before


def test_the_table_is_one_character_to_one_and_complete():
    both = character_map(BOTH)
    assert len(both) > 4000
    assert all(len(one) == len(other) == 1 for one, other in both.items())
    assert both["Ｚ"] == "Z"
    assert both["　"] == " "
    assert both["體"] == "体"
    assert not set(both) & set("abc 体手机")
    assert "體" not in character_map(("width",))
    assert "Ｚ" not in character_map(("simplified",))


def test_every_entry_is_found_and_nothing_else():
    table = {"a": "b", "é": "e", "體": "体", "𠮷": "吉", "ｱ": "ア", "Ａ": "A", **character_map(("width",))}
    normalizer = normalizers.Precompiled(charsmap(table))
    for code in (
        *range(1, 0x3400),
        *range(0x9800, 0xA000),
        *range(0xF900, 0x10000),
        *range(0x20B00, 0x20C00),
    ):
        assert normalizer.normalize_str(chr(code)) == table.get(chr(code), chr(code))


def test_the_option_reads_names_and_refuses_others(monkeypatch):
    assert parse_normalization("") == ()
    assert parse_normalization("width, simplified,width") == BOTH
    with pytest.raises(InvalidInputError, match="normalize: got 'nfkc'; width, simplified or both"):
        parse_normalization("width,nfkc")
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(InvalidInputError, match="opencc-python-reimplemented must be installed"):
        parse_normalization("simplified")


@pytest.mark.data
def test_the_sentence_pieces_of_the_chinese_model_too(tmp_path):
    folder = Settings.from_environment().data.parent / "models" / "e5-small-zh-en"
    if not folder.is_dir():
        pytest.skip(f"no model in {folder}; set ENDCAP_DATA")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert "Precompiled" in json.dumps(json.loads(tokenizer.to_str())["normalizer"])
    before = tokenizer.encode("买手机壳ABC").tokens
    normalize_with(tokenizer, BOTH)
    found = tokenizer.encode("買手機殼ＡＢＣ")
    assert found.tokens == before
    assert found.offsets[-2] == (4, 7)
