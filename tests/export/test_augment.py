"""Changed queries: one typo is one edit, labels stay on their tokens, entities stay whole."""

from __future__ import annotations

import numpy as np
import pytest
from endcap_export.augment import (
    NEIGHBOURS,
    Augmentation,
    augment,
    augment_tagged,
    change_case,
    move_entity,
    move_word,
    one_typo,
    one_typo_tagged,
)
from endcap_export.bio import TaggedQuery, read_tags
from rapidfuzz.distance import OSA

ENGLISH = "navy\tB-color\nsofa\tB-product\nbed\tI-product\nunder\tB-price\n$900\tI-price\nfor\tO\nguests\tO\n"
CHINESE = "我\tO\n要\tO\n找\tO\n华\tB-pp\n为\tI-pp\n充\tB-cp\n电\tI-cp\n宝\tI-cp\n盒\tI-cp\n"


def tagged(tmp_path, text) -> TaggedQuery:
    (tmp_path / "tags.bio").write_text(text, "utf-8")
    return read_tags(tmp_path / "tags.bio").rows[0]


def tokens(query: TaggedQuery) -> list[tuple[str, str]]:
    ends = [*query.starts[1:], len(query.text)]
    return [
        (query.text[start:end].strip(), label)
        for start, end, label in zip(query.starts, ends, query.labels, strict=True)
    ]


def entities(query: TaggedQuery) -> set[str]:
    """Each entity as ``text/type``."""
    found: list[list[str]] = []
    for token, label in tokens(query):
        if label.startswith("B-"):
            found.append([label[2:], token])
        elif label.startswith("I-"):
            found[-1].append(token)
    return {"/".join(one) for one in found}


def test_a_typo_is_one_edit_of_every_kind_and_touches_no_digit():
    rng = np.random.default_rng(1)
    text = "Samsung tv 55in stand, under $900"
    made = [one_typo(text, rng) for _ in range(400)]
    assert {OSA.distance(text, one) for one in made} == {1}
    assert {len(one) - len(text) for one in made} == {-1, 0, 1}
    swapped = [one for one in made if len(one) == len(text) and sorted(one) == sorted(text)]
    replaced = [one for one in made if len(one) == len(text) and sorted(one) != sorted(text)]
    assert swapped
    for one in replaced:
        ((old, new),) = [(a, b) for a, b in zip(text, one, strict=True) if a != b]
        assert new.lower() in NEIGHBOURS[old.lower()]
    assert all(" tv 55in " in one and one.endswith("$900") for one in made)


def test_the_same_seed_makes_the_same_typo():
    made = [one_typo("kitchen faucet", np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert made[0] == made[1] != made[2]


def test_what_is_too_short_for_a_typo_stays():
    rng = np.random.default_rng(0)
    for text in ("tv", "42", "4k tv", "手机", "$1,000"):
        assert one_typo(text, rng) == text


def test_chinese_loses_a_character_or_two_change_places():
    rng = np.random.default_rng(0)
    text = "华为充电宝"
    made = {one_typo(text, rng) for _ in range(200)}
    assert all(set(one) <= set(text) for one in made)
    assert {len(one) for one in made} == {4, 5}


def test_a_typo_inside_a_token_keeps_its_label(tmp_path):
    query, rng = tagged(tmp_path, ENGLISH), np.random.default_rng(2)
    for _ in range(300):
        changed = one_typo_tagged(query, rng)
        assert changed.labels == query.labels
        pairs = list(zip(tokens(query), tokens(changed), strict=True))
        assert sum(before != after for before, after in pairs) == 1
        assert all(OSA.distance(before[0], after[0]) <= 1 for before, after in pairs)


def test_chinese_labels_stay_true(tmp_path):
    query, rng = tagged(tmp_path, CHINESE), np.random.default_rng(2)
    lengths = set()
    for _ in range(300):
        changed = one_typo_tagged(query, rng)
        lengths.add(len(changed.text))
        assert changed.text != query.text
        assert all(len(token) == 1 for token, _ in tokens(changed))
        kinds = {token: label[2:] for token, label in tokens(query)}
        assert all(kinds[token] == label[2:] for token, label in tokens(changed))
        assert [label for label in changed.labels if label.startswith("B-")] == ["B-pp", "B-cp"]
        # Two characters are too few to lose one.
        assert sum(label.endswith("pp") for label in changed.labels) == 2
    assert lengths == {len(query.text) - 1, len(query.text)}


def test_case_changes_letters_only_and_keeps_the_length():
    made = {change_case("Straße tent 4K", np.random.default_rng(seed)) for seed in range(20)}
    assert made == {"straße tent 4k", "STRAßE TENT 4K", "Straße Tent 4k"}


def test_a_moved_word_is_really_elsewhere():
    rng = np.random.default_rng(0)
    made = {move_word("red tent large", rng) for _ in range(100)}
    assert "red tent large" not in made
    assert {tuple(sorted(one.split())) for one in made} == {("large", "red", "tent")}
    assert move_word("tent", rng) == "tent"
    assert move_word("红色大衣", rng) == "红色大衣"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_entities_move_whole(tmp_path, text):
    query, rng = tagged(tmp_path, text), np.random.default_rng(5)
    made = [move_entity(query, rng) for _ in range(100)]
    for changed in made:
        assert changed.text != query.text
        assert sorted(tokens(changed)) == sorted(tokens(query))
        assert entities(changed) == entities(query)
    assert len({changed.text for changed in made}) > 3


def test_a_space_that_is_a_token_does_not_mislead(tmp_path):
    query = tagged(
        tmp_path, "买\tO\ni\tB-xh\nP\tI-xh\n \tI-xh\n6\tI-xh\n \tO\n大\tB-cp\n衣\tI-cp\n" + "的\tO\n"
    )
    assert query.text == "买iP 6 大衣的"
    for seed in range(20):
        changed = move_entity(query, np.random.default_rng(seed))
        assert "iP 6" in changed.text
        assert ("6", "I-xh") in tokens(changed)
        assert ("大", "B-cp") in tokens(changed)


def test_shares_say_how_often():
    rng = np.random.default_rng(0)
    never = Augmentation(typo=0, case=0, order=0)
    query = TaggedQuery("blue tent", (0, 5), ("B-color", "B-product"))
    assert augment("blue tent", rng, never) == "blue tent"
    assert augment_tagged(query, rng, never) == query
    some = Augmentation(typo=0.5, case=0, order=0)
    for changed in (
        [augment("blue tent", rng, some) for _ in range(1000)],
        [augment_tagged(query, rng, some).text for _ in range(1000)],
    ):
        assert 430 < sum(one != "blue tent" for one in changed) < 570
    always = augment_tagged(query, rng, Augmentation(typo=0, case=0, order=1))
    assert (always.text, always.labels) == ("tent blue", ("B-product", "B-color"))
