"""Labels go to the pieces that serving reads, and come back."""

from __future__ import annotations

import numpy as np
from endcap_export.alignment import IGNORED, piece_labels, token_labels
from endcap_export.bio import TaggedQuery

LABELS = ("O", "B-p", "I-p", "B-c", "I-c")
CLASSES = {label: index for index, label in enumerate(LABELS)}


def round_trip(query, offsets):
    """Logits that say exactly what the aligned labels do, read back."""
    offsets = np.array(offsets, np.int32)
    classes = piece_labels(query, offsets, CLASSES)
    logits = np.eye(len(LABELS), dtype=np.float32)[np.where(classes == IGNORED, 0, classes)]
    return classes.tolist(), token_labels(query, offsets, logits, LABELS)


def test_only_first_pieces_of_words_carry_labels():
    query = TaggedQuery("red tentpole", (0, 4), ("B-c", "B-p"))
    classes, back = round_trip(query, [(0, 0), (0, 3), (4, 8), (8, 12), (0, 0), (0, 0)])
    assert classes == [IGNORED, 3, 1, IGNORED, IGNORED, IGNORED]
    assert back == ["B-c", "B-p"]


def test_characters_inside_a_piece_continue_its_span():
    query = TaggedQuery("买大衣", (0, 1, 2), ("O", "B-p", "I-p"))
    classes, back = round_trip(query, [(0, 0), (0, 1), (1, 3), (0, 0)])
    assert classes == [IGNORED, 0, 1, IGNORED]
    assert back == ["O", "B-p", "I-p"]


def test_a_chinese_token_of_several_pieces_opens_one_span():
    query = TaggedQuery("大衣红", (0, 2), ("B-p", "B-c"))
    classes, back = round_trip(query, [(0, 1), (1, 2), (2, 3)])
    assert classes == [1, 2, 3]
    assert back == ["B-p", "B-c"]


def test_tokens_that_were_cut_off_are_outside():
    query = TaggedQuery("red tent pole", (0, 4, 9), ("B-c", "B-p", "I-p"))
    _, back = round_trip(query, [(0, 0), (0, 3), (4, 8), (0, 0)])
    assert back == ["B-c", "B-p", "O"]
