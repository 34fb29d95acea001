"""Bad data: what is left out with file and line while the run goes on, and what stops it."""

from __future__ import annotations

import re
import shutil

import pytest
from endcap_export.bio import read_tags
from endcap_export.rows import DataError
from endcap_export.shop import Shop, ShopFiles
from typer.testing import CliRunner

from endcap.cli import app

TAGS = "red\tB-color\ntent\tB-product\n\n"
BAD_TAGS = [
    ("red\tO\ntent\tI-product", 2, "label 'I-product' after 'O'; a span opens with B-product"),
    ("red\tB-color\ntent\tI-product", 2, "label 'I-product' after 'B-color'; a span opens with B-product"),
    ("red\tO\ntent", 2, "1 column in 'tent'; a token, a tab or space, and a label are expected"),
    ("red\tADJ\tO", 1, "3 columns in 'red\\tADJ\\tO'"),
    ("red\tO\ntent\tproduct", 2, "label 'product'; O, B-TYPE or I-TYPE is expected"),
]
BAD_JUDGMENTS = [
    ("red tent,p9999,3", "item_id: got 'p9999'; an id of the products file is expected"),
    ("red tent,p0000,very", "relevance: got 'very'; a finite number is expected"),
    ("red tent,p0000,nan", "relevance: got 'nan'; a finite number is expected"),
    ("red tent,p0000,inf", "relevance: got 'inf'; a finite number is expected"),
    ("red tent,p0000,", "relevance: got ''; a finite number is expected"),
]
BAD_EVENTS = [
    ("anna,p0000,click,", "timestamp: got ''; seconds since 1970 or an ISO 8601 time are expected"),
    ("anna,p0000,click,yesterday", "timestamp: got 'yesterday'; seconds since 1970 or an ISO 8601 time"),
    ("anna,p0000,click,nan", "timestamp: got nan; seconds since 1970 (UTC) are expected"),
    ("anna,p9999,click,1700000000", "item_id: got 'p9999'; an id of the products file is expected"),
]


@pytest.fixture
def folder(shop_folder, tmp_path):
    """A copy of the tiny shop that a test may spoil."""
    return shutil.copytree(shop_folder, tmp_path / "shop")


def load(folder):
    return Shop.load(ShopFiles.find(folder))


def refused(command, folder):
    """What the command says before it ends with status 1, without having trained or registered."""
    made = folder.parent / "made"
    option = "--output" if command == "train" else "--repository"
    done = CliRunner().invoke(app, [command, "--data", str(folder), option, str(made)])
    assert done.exit_code == 1, done.output
    assert not made.exists()
    return done.output


def long_log(name):
    """Enough good rows, that one bad one is less than a hundredth."""
    if name == "judgments.csv":
        rows = (f"some query {n},p{n % 100:04d},{n % 3}" for n in range(150))
        return "\n".join(["query,item_id,relevance", *rows, ""])
    rows = (f"anna,p{n % 100:04d},click,{1_700_000_000 + n}" for n in range(150))
    return "\n".join(["user_id,item_id,event,timestamp", *rows, ""])


@pytest.mark.parametrize(("block", "line", "reason"), BAD_TAGS)
def test_one_bad_query_of_many_is_left_out_whole_with_its_line(folder, block, line, reason):
    file = folder / "tags.bio"
    file.write_text(f"{block}\n\n" + TAGS * 200)
    shop = load(folder)
    assert len(shop.tags) + len(shop.held_tags) == 200
    (warning,) = shop.warnings
    assert warning.startswith(f"{file}:{line}: {reason}")


@pytest.mark.parametrize(("block", "line", "reason"), BAD_TAGS)
def test_too_many_bad_queries_stop_the_run(folder, block, line, reason):
    (folder / "tags.bio").write_text(f"{block}\n\n" + TAGS * 20)
    output = refused("train", folder)
    assert "tags.bio: 1 of 21 rows cannot be used, more than 1.0% are refused" in output
    assert f"tags.bio:{line}: {reason}" in output


def test_a_label_that_training_never_saw_is_left_out_of_the_held_part(folder):
    (folder / "tags.bio").rename(folder / "tags.train.bio")
    held = folder / "tags.dev.bio"
    held.write_text(TAGS * 200 + "blue\tB-hue\n")
    shop = load(folder)
    assert len(shop.held_tags) == 200
    assert shop.warnings == (f"{held}:601: label 'B-hue' does not occur in the training data",)
    held.write_text(TAGS * 20 + "blue\tB-hue\n")
    assert "tags.dev.bio:61: label 'B-hue' does not occur in the training data" in refused("build", folder)


def test_a_label_that_only_one_query_has_stays_in_training(folder):
    for seed in range(4):
        # Of 30 queries 3 are held out; each of these labels occurs once.
        (folder / "tags.bio").write_text("".join(f"thing{n}\tB-type{n}\n\n" for n in range(30)))
        shop = Shop.load(ShopFiles.find(folder), seed=seed)
        assert (len(shop.tags), shop.held_tags) == (30, ())


@pytest.mark.parametrize("name", ["tags.bio", "judgments.csv", "events.csv", "products.jsonl"])
@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_stops_the_run(folder, name, text):
    (folder / name).write_text(text)
    output = refused("build", folder)
    assert re.search(rf"{name}: (the file is empty|the file has no rows)", output)


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [("judgments.csv", *case) for case in BAD_JUDGMENTS] + [("events.csv", *case) for case in BAD_EVENTS],
)
def test_one_bad_row_of_many_is_left_out_with_its_line(folder, name, row, reason):
    file = folder / name
    file.write_text(long_log(name) + row + "\n")
    shop = load(folder)
    rows = shop.events if name == "events.csv" else shop.judgments + shop.held_judgments
    assert len(rows) == 150
    (warning,) = shop.warnings
    assert warning.startswith(f"{file}:152: {reason}")


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("judgments.csv", *BAD_JUDGMENTS[0]),
        ("judgments.csv", *BAD_JUDGMENTS[1]),
        ("events.csv", *BAD_EVENTS[0]),
    ],
)
@pytest.mark.parametrize("command", ["train", "build"])
def test_too_many_bad_rows_stop_the_command(folder, name, row, reason, command):
    (folder / name).write_text(long_log(name) + f"{row}\n" * 3)
    output = refused(command, folder)
    assert f"{name}: 3 of 153 rows cannot be used, more than 1.0% are refused" in output
    assert f"{name}:152: {reason}" in output
    assert f"{name}:154: {reason}" in output


def test_a_log_without_timestamps_stops_the_run(folder):
    (folder / "events.csv").write_text("user_id,item_id,event\nanna,p0000,click\n")
    message = "events.csv: column 'timestamp' is missing; the file has user_id, item_id, event"
    assert message in refused("build", folder)


def test_a_json_grade_that_is_no_number_is_refused(folder):
    (folder / "judgments.csv").unlink()
    rows = ['"3 stars"', "NaN", "true", "null", "[3]", "1e999"]
    file = folder / "judgments.jsonl"
    file.write_text(
        "".join(f'{{"query": "q", "item_id": "p{n:04d}", "relevance": {v}}}\n' for n, v in enumerate(rows))
    )
    with pytest.raises(DataError) as caught:
        load(folder)
    assert [(bad.line, bad.reason.split(":")[0]) for bad in caught.value.bad] == [
        (n, "relevance") for n in range(1, 7)
    ]


def test_a_folder_in_place_of_a_file_is_named(folder):
    with pytest.raises(DataError, match="no such file"):
        read_tags(folder)
