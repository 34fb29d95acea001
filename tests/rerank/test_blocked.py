import json
import os

import pytest
from endcap_rerank.blocked import BlockedItems
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.ranker import Ranker
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.settings import Settings
from ranking_shop import open_ranker, search_request


def answer(ranker, request):
    return ranker.recommend(request) if isinstance(request, RecommendRequest) else ranker.search(request)


def test_blocked_products_never_appear_and_the_list_is_read_again(tmp_path):
    release = open_ranker(tmp_path).release
    listed = tmp_path / "blocked.txt"
    listed.write_text("# recalled\n")
    settings = Settings.from_environment({"ENDCAP_BLOCKED": str(listed), "ENDCAP_STATE": str(tmp_path / "s")})
    ranker = Ranker.open(release, settings)
    requests = [
        search_request("red lamp", k=20, options=json.dumps({"pin": ["p3"]})),
        RecommendRequest.validated(k=20),
        RecommendRequest.validated(item="p3", k=20),
    ]
    before = [answer(ranker, request).item_ids for request in requests]
    blocked = {"p3", *(ids[0] for ids in before), *(ids[5] for ids in before)}
    temporary = tmp_path / "next.txt"
    temporary.write_text("\n".join(blocked) + "\n\n")
    os.replace(temporary, listed)
    for request in requests:
        found = answer(ranker, request).item_ids
        assert len(found) == 20
        assert not blocked & set(found)
    listed.unlink()
    assert not blocked & set(answer(ranker, requests[0]).item_ids)


def test_a_file_that_is_missing_at_the_start_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="ENDCAP_BLOCKED"):
        BlockedItems(tmp_path / "absent")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="ENDCAP_BLOCKED"):
        BlockedItems(tmp_path / "bytes")


def test_only_the_lines_that_are_ids_count(tmp_path):
    (tmp_path / "list").write_text("# a comment\n\n  p1  \np2\n", "utf-8")
    assert BlockedItems(tmp_path / "list").ids() == {"p1", "p2"}


def test_no_list_by_default():
    assert Settings.from_environment({}).blocked is None
