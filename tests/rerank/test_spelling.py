import random

import pytest
from endcap_rerank.index.spelling import Spelling, write_spelling
from rapidfuzz.distance import OSA

WORDS = {"drill": 40, "drip": 9, "driver": 12, "refrigerator": 5, "refrigerant": 7, "café": 2, "sc141": 3}


@pytest.fixture(scope="module")
def spelling(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_spelling(folder, WORDS)
    return Spelling.open(folder)


def words(found):
    return [one.word for one in found]


@pytest.mark.parametrize("typo", ["dril", "drilll", "drlil", "drull", "rill"])
def test_one_mistake_of_each_kind(spelling, typo):
    assert "drill" in words(spelling.near(typo))


def test_the_more_frequent_word_first(spelling):
    assert words(spelling.near("dril")) == ["drill", "drip"]


def test_two_mistakes_only_in_long_words(spelling):
    assert words(spelling.near("refigeratpr")) == ["refrigerator"]
    assert spelling.near("drxxl") == []


def test_short_words_and_codes_are_left_alone(spelling):
    assert spelling.near("dri") == []
    assert spelling.near("sc142") == []


def test_words_that_begin_so(spelling):
    assert words(spelling.beginning("dr", 2)) == ["drill", "driver"]
    assert words(spelling.beginning("refriger", 9)) == ["refrigerant", "refrigerator"]
    assert words(spelling.beginning("drill", 9)) == []
    assert words(spelling.beginning("sc", 9)) == ["sc141"]
    assert spelling.beginning("zz", 9) == []


def test_finds_all_that_a_full_comparison_finds(tmp_path):
    rng = random.Random(3)
    vocabulary = {"".join(rng.choices("abcd", k=rng.randint(3, 12))): 1 for _ in range(600)}
    write_spelling(tmp_path, vocabulary)
    spelling = Spelling.open(tmp_path)
    for _ in range(200):
        word = "".join(rng.choices("abcd", k=rng.randint(4, 11)))
        allowed = 2 if len(word) >= 8 else 1
        expected = {name for name in vocabulary if 0 < OSA.distance(word, name) <= allowed}
        assert set(words(spelling.near(word))) == expected


def test_no_words_at_all(tmp_path):
    write_spelling(tmp_path, {})
    spelling = Spelling.open(tmp_path)
    assert spelling.near("drill") == []
    assert spelling.beginning("d", 3) == []


def test_an_older_index_has_none(tmp_path):
    assert Spelling.open(tmp_path) is None
