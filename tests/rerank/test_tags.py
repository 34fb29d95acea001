import numpy as np
import pytest
from endcap_rerank.tags import decode_tags, word_starts

LABELS = ("O", "B-brand", "I-brand", "B-price", "I-price")


def logits(*winners: int, strength: float = 6.0) -> np.ndarray:
    rows = np.zeros((len(winners), len(LABELS)), np.float32)
    rows[np.arange(len(winners)), winners] = strength
    return rows


@pytest.mark.parametrize(
    ("text", "offsets", "expected"),
    [
        # WordPiece: [CLS] blue sky ##line shoes [SEP] [PAD]
        (
            "blue skyline shoes",
            [(0, 0), (0, 4), (5, 8), (8, 12), (13, 18), (0, 0), (0, 0)],
            [False, True, True, False, True, False, False],
        ),
        # SentencePiece: a piece holds the space before it, and ▁ can stand alone on one
        ("red  nike", [(0, 0), (0, 3), (4, 5), (5, 9), (0, 0)], [False, True, False, True, False]),
        # ▁ that shares its span with the first character
        ("羊毛", [(0, 0), (0, 1), (0, 1), (1, 2), (0, 0)], [False, False, True, True, False]),
        # a number after Chinese is a word; a piece of several characters counts once
        ("大衣200元以下", [(0, 2), (2, 5), (5, 6), (6, 8)], [True, True, True, True]),
        # Latin straight after Chinese, and Chinese straight after Latin
        ("买iphone手机", [(0, 1), (1, 4), (4, 7), (7, 9)], [True, True, False, True]),
        ("nike's", [(0, 4), (4, 5), (5, 6)], [True, False, False]),
        ("", [(0, 0), (0, 0)], [False, False]),
    ],
)
def test_word_starts(text, offsets, expected):
    assert word_starts(text, offsets).tolist() == expected
    assert word_starts(text, np.array(offsets, np.int32)).tolist() == expected


def test_runs_merge_and_keep_their_text():
    text = "under $50 blue harbor"
    offsets = np.array([(0, 0), (0, 5), (6, 7), (7, 9), (10, 14), (15, 21), (0, 0)], np.int32)
    price, brand = decode_tags(text, offsets, logits(0, 3, 4, 0, 1, 2, 0), LABELS)
    assert (price.label, price.text, price.start, price.end) == ("price", "under $50", 0, 9)
    assert (brand.label, brand.text) == ("brand", "blue harbor")
    assert 0.9 < brand.confidence <= 1.0


def test_labels_of_continuation_pieces_and_padding_are_ignored():
    text = "skyline"
    offsets = np.array([(0, 0), (0, 3), (3, 7), (0, 0), (0, 0)], np.int32)
    assert decode_tags(text, offsets, logits(1, 0, 1, 1, 1), LABELS) == ()
    assert [tag.text for tag in decode_tags(text, offsets, logits(0, 1, 0, 0, 0), LABELS)] == ["skyline"]


def test_inside_without_beginning_opens_a_tag_where_labels_have_no_beginnings():
    offsets = np.array([(0, 1), (2, 3), (4, 5)], np.int32)
    inside = np.eye(3, dtype=np.float32)[[1, 1, 2]]
    tags = decode_tags("a b c", offsets, inside, ("O", "I-brand", "I-price"))
    assert [(tag.label, tag.text) for tag in tags] == [("brand", "a b"), ("price", "c")]


def test_a_beginning_that_just_lost_wins_before_an_inside():
    offsets = np.array([(0, 1), (2, 3)], np.int32)
    doubtful = np.array([[2.0, 1.9, 0, 0, 0], [0, 0, 5.0, 0, 0]], np.float32)
    assert [tag.text for tag in decode_tags("a b", offsets, doubtful, LABELS)] == ["a b"]


def test_two_beginnings_are_two_tags():
    offsets = np.array([(0, 1), (2, 3)], np.int32)
    assert [tag.text for tag in decode_tags("a b", offsets, logits(1, 1), LABELS)] == ["a", "b"]


def test_doubt_lowers_confidence():
    offsets = np.array([(0, 4)], np.int32)
    (sure,) = decode_tags("nike", offsets, logits(1), LABELS)
    (unsure,) = decode_tags("nike", offsets, logits(1, strength=0.5), LABELS)
    assert unsure.confidence < sure.confidence


def test_chinese_spans_join_without_spaces():
    offsets = np.array([(0, 0), (0, 2), (2, 3), (3, 4)], np.int32)
    tags = decode_tags("牧王大衣", offsets, logits(0, 1, 0, 0), LABELS)
    assert [tag.text for tag in tags] == ["牧王"]


def test_a_release_without_labels_has_no_tags():
    assert decode_tags("a", np.array([(0, 1)], np.int32), np.zeros((1, 0), np.float32), ()) == ()
