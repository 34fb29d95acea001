"""Personal data in queries is masked; what shops sell by number is not."""

import pytest
from endcap_rerank.events import Event
from endcap_rerank.masking import CARD, EMAIL, PHONE, is_card, masked

PERSONAL = {
    "alice.smith+shop@example.com": EMAIL,
    "ALICE_S@mail.example.co.uk": EMAIL,
    "zhang.wei＠例子.example.cn": EMAIL,
    "wang@例子.中国": EMAIL,
    "zhangwei＠example．cn": EMAIL,
    "ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ": EMAIL,
    "13812345678": PHONE,
    "138-1234-5678": PHONE,
    "138 1234 5678": PHONE,
    "+86 138-1234-5678": PHONE,
    "+8613812345678": PHONE,
    "0086 13812345678": PHONE,
    "（+86）138 1234 5678": PHONE,
    "１３８１２３４５６７８": PHONE,
    "010-12345678": None,
    "010-62345678": PHONE,
    "(021) 87654321": PHONE,
    "0755-8234 5678": PHONE,
    "(555) 123-4567": PHONE,
    "555-123-4567": PHONE,
    "555.123.4567": PHONE,
    "+1 555 123 4567": PHONE,
    "1-800-555-0199": PHONE,
    "+44 20 7946 0958": PHONE,
    "020 7946 0958": PHONE,
    "06 12 34 56 78": PHONE,
    "4111 1111 1111 1111": CARD,
    "4111111111111111": CARD,
    "4111-1111-1111-1111": CARD,
    "3782 822463 10005": CARD,
    "6222 0200 0000 0000 009": None,
    "４１１１１１１１１１１１１１１１": CARD,
}


@pytest.mark.parametrize(("text", "mark"), [pair for pair in PERSONAL.items() if pair[1]])
@pytest.mark.parametrize(
    "around", ["{}", "red dress {} please", "红色连衣裙{}谢谢", "dress, {}.", "寄到：{}，急"]
)
def test_personal_data_is_masked_wherever_it_stands(text, mark, around):
    assert masked(around.format(text)) == around.format(mark)


def test_a_number_after_a_word_that_says_so():
    assert masked("call 5551234567 about the sofa") == f"call {PHONE} about the sofa"
    assert masked("电话：62345678") == f"电话：{PHONE}"
    assert masked("手机号 138 0013 8000") == f"手机号 {PHONE}"
    assert masked("my phone number 555 123 4567") == f"my phone number {PHONE}"


def test_several_in_one_query():
    assert masked("a@b.com 13812345678 4111111111111111 tent") == f"{EMAIL} {PHONE} {CARD} tent"


@pytest.mark.parametrize(
    "query",
    [
        "WH-1000XM5 headphones",
        "iphone 15 pro max 256gb",
        "galaxy s23 ultra sm-s918b",
        "dewalt dcd771c2 20v",
        "drill under $199.99",
        "100-200元 连衣裙",
        "1000到2000元的手机",
        "手机 2000元以下",
        "手机 8GB 256GB 5000mAh",
        "phone case iphone 13",
        "phone 128gb 2023",
        "tv 55 inch 3840x2160",
        "2x4x96 lumber",
        "4 in. x 4 in. x 8 ft. 203 mm",
        "sku 202546032",
        "internet 1000012345",
        "model 5551234567",
        "1000-012-345",
        "ean 4006381333931",
        "upc 036000291452",
        "gtin 00012345600012",
        "isbn 978-3-16-148410-0",
        "isbn 9783161484100",
        "4111111111111112",
        "1234567812345670123",
        "part 13812345678A",
        "A13812345678",
        "138123456789",
        "3M 8210 N95 mask 160 pack",
        "10-32 x 1-1/2 screw",
        "14-2 romex 250 ft",
        "2023-11-24 calendar",
        "24.11.2023 kalender",
        "1/4-20 bolt 100 count",
        "c++ primer 5th edition",
        "b@tman costume",
        "dress @ 20",
        "12V 100Ah 1280Wh",
        "size 32 34 36 38 40 42",
        "$1,299.00 - $2,499.00",
        "￥1299.00",
        "尺寸 1200 600 750 mm",
        "90210 1234567",
    ],
)
def test_what_a_shop_sells_by_number_stays(query):
    assert masked(query) == query


def test_card_needs_issuer_length_and_check_digit():
    assert is_card("5555 5555 5555 4444")
    assert not is_card("5555 5555 5555 4445")
    assert not is_card("0000 0000 0000 0000")
    assert not is_card("9111 1111 1111 1111")


def test_masking_twice_changes_nothing():
    once = masked("write to a@b.com or 13812345678")
    assert masked(once) == once


def test_event_is_masked_before_any_store_sees_it():
    event = Event.validated("u", "p1", "click", 1.0, query="tent for bob@example.com")
    assert event.query == f"tent for {EMAIL}"
