"""Products, events and judgments: each bad row named by file, line and reason."""

from __future__ import annotations

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from endcap_export.data import read_events, read_judgments, read_products
from endcap_export.rows import DataError


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def catalogue(path, *bad, good=300):
    """A CSV catalogue with the bad lines in the middle; the header is line 1."""
    lines = ["id,title,price", *(f"p{n},Thing {n},{n}" for n in range(good))]
    lines[3:3] = bad
    return write(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("p1,Again,2", "id: got 'p1'; it stands on line 3 already"),
        ("q,Cheap,-1", "price: got '-1'; a number of at least 0 is expected"),
        ("q,Cheap,nan", "price: got 'nan'"),
        ("q,Cheap,12 EUR", "price: got '12 EUR'"),
        (",No id,1", "id: got ''; a non-empty text is required"),
        ("q,,1", "title: got ''"),
        ("q,Too many,1,2", "4 fields; the header has 3"),
        ("q", "1 fields; the header has 3"),
    ],
)
def test_a_bad_product_is_reported_with_its_line_and_the_others_are_kept(tmp_path, line, reason):
    file = catalogue(tmp_path / "products.csv", line)
    loaded = read_products(file)
    assert len(loaded.rows) == 300
    assert [(bad.file, bad.line) for bad in loaded.bad] == [(file, 4)]
    assert reason in loaded.bad[0].reason
    assert loaded.warnings() == [f"{file}:4: {loaded.bad[0].reason}"]


def test_a_missing_column_is_named_at_once(tmp_path):
    with pytest.raises(DataError, match="column 'title' is missing; the file has id, name"):
        read_products(write(tmp_path / "products.csv", "id,name\n1,Drill\n"))
    with pytest.raises(DataError, match="column 'title' is missing"):
        read_products(write(tmp_path / "products.jsonl", '{"id": "1"}\n{"id": "2"}\n'))
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "products.parquet")
    with pytest.raises(DataError, match="column 'title' is missing"):
        read_products(tmp_path / "products.parquet")


def test_too_many_bad_rows_stop_the_run_with_the_list(tmp_path):
    bad = [f"x{n},Cheap,-{n}" for n in range(1, 31)]
    with pytest.raises(DataError, match=r"30 of 330 rows cannot be used, more than 1.0%") as caught:
        read_products(catalogue(tmp_path / "products.csv", *bad))
    assert len(caught.value.bad) == 30
    assert "products.csv:4: price: got '-1'" in str(caught.value)
    assert "and 10 more" in str(caught.value)
    loaded = read_products(catalogue(tmp_path / "products.csv", *bad), max_bad_share=0.1)
    assert (len(loaded.rows), len(loaded.bad)) == (300, 30)


def test_an_empty_or_unknown_file_is_refused(tmp_path):
    for name, text, message in (
        ("products.csv", "", "empty"),
        ("products.csv", "id,title\n", "no rows"),
        ("products.txt", "x", "'.txt'"),
    ):
        with pytest.raises(DataError, match=message):
            read_products(write(tmp_path / name, text))
    with pytest.raises(DataError, match="no such file"):
        read_products(tmp_path / "absent.csv")
    (tmp_path / "products.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_products(tmp_path / "products.parquet")


def test_invalid_utf8_spoils_only_its_row(tmp_path):
    file = tmp_path / "products.csv"
    rows = [b"id,title", b"a,ok", b"b,\xff\xfe", *(b"c%d,ok" % n for n in range(200))]
    file.write_bytes(b"\n".join(rows))
    loaded = read_products(file)
    assert [(bad.line, bad.reason) for bad in loaded.bad] == [(3, "not valid UTF-8")]
    lines = [b'{"id": "a", "title": "\xff"}', *(b'{"id": "%d", "title": "t"}' % n for n in range(200))]
    (tmp_path / "products.jsonl").write_bytes(b"\n".join(lines))
    loaded = read_products(tmp_path / "products.jsonl")
    assert [(bad.line, bad.reason) for bad in loaded.bad] == [(1, "not valid UTF-8")]


def test_the_text_nan_stays_a_text(tmp_path):
    file = write(tmp_path / "products.csv", "id,title,brand\nnan,nan,None\n")
    (product,) = read_products(file).rows
    assert (product.id, product.title, product.brand) == ("nan", "nan", "None")


def test_the_three_formats_agree(tmp_path):
    row = {
        "id": "1",
        "title": "Drill, 18 V",
        "price": 19.5,
        "in_stock": False,
        "attributes": {"color": "red"},
        "created_at": "2024-05-01T00:00:00Z",
    }
    write(tmp_path / "products.jsonl", json.dumps(row))
    write(
        tmp_path / "products.csv",
        "id,title,price,in_stock,attributes,created_at\n"
        '1,"Drill, 18 V",19.5,false,"{""color"": ""red""}",2024-05-01\n',
    )
    schema = pa.schema([
        ("id", pa.int64()), ("title", pa.string()), ("price", pa.float64()), ("in_stock", pa.bool_()),
        ("attributes", pa.map_(pa.string(), pa.string())), ("created_at", pa.timestamp("s")),
    ])  # fmt: skip
    typed = {**row, "id": 1, "attributes": [("color", "red")], "created_at": 1714521600}
    pq.write_table(pa.Table.from_pylist([typed], schema=schema), tmp_path / "products.parquet")
    read = [read_products(tmp_path / f"products.{end}").rows[0] for end in ("jsonl", "csv", "parquet")]
    assert read[0].created_at == 1714521600.0
    assert [product.as_mapping() for product in read] == [read[0].as_mapping()] * 3


def test_an_unknown_column_is_left_out_with_a_note(tmp_path):
    loaded = read_products(write(tmp_path / "products.csv", "id,title,pric\n1,Drill,2\n"))
    assert math.isnan(loaded.rows[0].price)
    assert "column 'pric' is not known" in loaded.warnings()[0]


def test_bad_judgments_are_named(tmp_path):
    rows = [f"query {n},p1,3" for n in range(500)]
    rows[1:1] = ["drill,unknown,3", "drill,p1,very", "query 0,p1,1", " ,p1,2"]
    file = write(tmp_path / "judgments.csv", "query,item_id,relevance\n" + "\n".join(rows))
    loaded = read_judgments(file, known_items={"p1"})
    assert [bad.line for bad in loaded.bad] == [3, 4, 5, 6]
    reasons = [bad.reason for bad in loaded.bad]
    assert "item_id: got 'unknown'" in reasons[0]
    assert "relevance: got 'very'" in reasons[1]
    assert "it stands on line 2 already" in reasons[2]
    assert reasons[3].startswith("query: ")
    assert len(loaded.rows) == 500


def test_bad_events_are_named(tmp_path):
    rows = [f"anna,p1,click,{n},," for n in range(600)]
    rows[0:0] = [
        "anna,p1,click,,,", "anna,p1,dance,5,,", ",p1,click,5,,", "anna,p1,click,soon,,",
        "anna,p1,click,99999999999,,",
    ]  # fmt: skip
    rows.append("anna,p1,purchase,2024-05-01T00:00:00Z,tent,3")
    file = write(
        tmp_path / "events.csv", "user_id,item_id,event,timestamp,query,position\n" + "\n".join(rows)
    )
    loaded = read_events(file)
    fields = [(bad.line, bad.reason.split(":")[0]) for bad in loaded.bad]
    assert fields == [(2, "timestamp"), (3, "event"), (4, "user"), (5, "timestamp"), (6, "timestamp")]
    last = loaded.rows[-1]
    assert (last.timestamp, last.query, last.position, last.event_id) == (1714521600.0, "tent", 3, "")
