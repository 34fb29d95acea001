"""BIO files: joined as a shopper types, bad queries named by line."""

from __future__ import annotations

import pytest
from endcap_export.bio import label_set, read_tags
from endcap_export.rows import DataError


def read(tmp_path, text, **options):
    file = tmp_path / "tags.bio"
    file.write_text(text, "utf-8")
    return read_tags(file, **options)


def test_tab_or_space_comments_and_blank_lines(tmp_path):
    loaded = read(tmp_path, "# id=1\nred\tB-color\ntent B-product\n\n\n# id=2\n#10\tB-size\nscrew\tB-product")
    assert [query.text for query in loaded.rows] == ["red tent", "#10 screw"]
    assert loaded.rows[0].starts == (0, 4)
    assert loaded.rows[1].labels == ("B-size", "B-product")
    assert label_set(loaded.rows) == (
        "O", "B-color", "I-color", "B-product", "I-product", "B-size", "I-size"
    )  # fmt: skip


def test_characters_of_a_chinese_file_are_joined_without_spaces(tmp_path):
    loaded = read(tmp_path, "买\tO\ni\tB-xh\nP\tI-xh\n \tI-xh\n6\tI-xh\n大\tB-cp\n衣\tI-cp\n")
    assert loaded.rows[0].text == "买iP 6大衣"
    assert loaded.rows[0].starts == (0, 1, 2, 3, 4, 5, 6)


def test_chinese_words_take_spaces_only_beside_other_scripts(tmp_path):
    loaded = read(tmp_path, "红色\tB-color\n大衣\tB-product\nNike\tB-brand\n")
    assert loaded.rows[0].text == "红色大衣 Nike"


@pytest.mark.parametrize(
    ("block", "line", "reason"),
    [
        ("red\tO\ntent\tI-product", 2, "label 'I-product' after 'O'; a span opens with B-product"),
        ("red\tB-color\ntent\tI-product", 2, "label 'I-product' after 'B-color'"),
        ("red", 1, "1 column in 'red'; a token, a tab or space, and a label are expected"),
        ("red\tADJ\tB-color", 1, "3 columns in 'red\\tADJ\\tB-color'"),
        ("red\tO\nsmall tent B-product", 2, "3 columns in 'small tent B-product'"),
        ("\tB-color", 1, "label 'B-color' without a token"),
        (" \tO\n\xa0\tO", 1, "the query that begins here is blank"),
        ("long\tO\n" * 200, 1, "the query that begins here has more than 512 characters"),
        ("red\tcolor", 1, "label 'color'; O, B-TYPE or I-TYPE is expected"),
        ("red\tB-colour", 1, "label 'B-colour' does not occur in the training data"),
    ],
)
def test_a_bad_query_is_left_out_whole_and_reported(tmp_path, block, line, reason):
    good = "\n\nblue\tB-color\ntent\tB-product" * 200
    known = ("O", "B-color", "I-color", "B-product", "I-product")
    loaded = read(tmp_path, block + good, labels=known)
    assert len(loaded.rows) == 200
    assert [bad.line for bad in loaded.bad] == [line]
    assert reason in loaded.bad[0].reason


def test_empty_absent_and_undecodable_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path, "# only a comment\n")
    with pytest.raises(DataError, match="no such file"):
        read_tags(tmp_path / "absent.bio")
    (tmp_path / "bad.bio").write_bytes(b"red\tB-color\n\xff\tO\n")
    with pytest.raises(DataError, match=r"bad.bio:2: not valid UTF-8"):
        read_tags(tmp_path / "bad.bio")
    with pytest.raises(DataError, match="cannot be used"):
        read(tmp_path, "red\tO\n\nblue\tI-color\n")
