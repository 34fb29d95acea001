"""The console as a person uses it: headless Chromium on the session's real server."""

import uuid

import pytest
from endcap_client import Client

from endcap.triton.ports import free_ports

pytest.importorskip("starlette", reason="the console is an extra")
pytest.importorskip("playwright", reason="Chromium is driven by Playwright")
from playwright.sync_api import expect, sync_playwright

from endcap.webconsole.query_log import QueryLog
from endcap.webconsole.screenshots import chromium
from endcap.webconsole.server import open_console
from endcap.webconsole.setup import ServerAddress, Setup
from endcap.webconsole.shoppers import Shopper

PATIENCE = 20_000
PICTURES = "https://images.shop.example"
QUERIES = ("red steel kettle", "red steel kettle", "red dress", "blue tent under $90")
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser():
    launch = chromium()
    if launch is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(**launch)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def url(server):
    setup = Setup(
        (ServerAddress.of(server.grpc_url, server.metrics_url),),
        QueryLog(QUERIES),
        (Shopper("ada", 3), Shopper("ben", 2)),
        timeout=20.0,
        pictures=(PICTURES,),
    )
    with open_console(setup) as console:
        yield console.url


@pytest.fixture
def open_page(browser):
    """Opens a page that must not complain; each has a context of its own."""
    contexts, complaints = [], []

    def opened(address, query="", **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/?lang=en{query}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def titles(page, column):
    return page.locator(f".column >> nth={column}").locator(".card h3").all_inner_texts()


def settled(page):
    """Wait until nothing is being asked and there are products."""
    expect(page.locator(".column[aria-busy]")).to_have_count(0)
    expect(page.locator(".card").first).to_be_attached()


def test_typing_offers_queries_of_the_log_and_one_is_searched(open_page, url):
    page = open_page(url)
    box = page.get_by_role("combobox", name="Search as a shopper would")
    box.press_sequentially("red")
    options = page.get_by_role("listbox", name="Suggestions from the query log").get_by_role("option")
    expect(options).to_have_text(["red steel kettle", "red dress"])
    box.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    box.press("Enter")
    expect(box).to_have_value("red steel kettle")
    expect(box).to_have_attribute("aria-expanded", "false")
    marks = page.locator("#understood mark")
    expect(marks).to_have_text(["redcolour", "steelmaterial", "kettleproduct"])
    expect(page.locator(".column >> nth=0").locator(".card").first).to_contain_text("kettle")
    expect(page.locator("#said")).to_contain_text("List A: 10 products.")


def test_the_slider_changes_its_list_only(open_page, url):
    page = open_page(url, "&q=red&compare=shoppers&a=&b=")
    settled(page)
    slider = page.get_by_label("Diversity").nth(1)

    def slide(value):
        with page.expect_response("**/api/search"):
            slider.fill(value)
        settled(page)

    slide("0")
    before = [titles(page, column) for column in (0, 1)]
    slide("1")
    expect(page.locator(".column >> nth=1").locator(".move:not(:empty)").first).to_be_visible()
    after = [titles(page, column) for column in (0, 1)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_click_is_stored_and_moves_the_list(open_page, url):
    user = f"shopper-{uuid.uuid4().hex[:8]}"
    page = open_page(url, f"&q=red&a={user}&b={user}")
    settled(page)
    page.get_by_label("A click on a product counts as").select_option("purchase")
    before = titles(page, 0)
    chosen = page.locator(".column >> nth=0").locator(".card h3 button").last
    title = chosen.inner_text()
    chosen.focus()
    with page.expect_response("**/api/feedback") as answered:
        page.keyboard.press("Enter")
    assert answered.value.json() == {"accepted": 1}
    sent = answered.value.request.post_data_json
    assert (
        sent["release"]
        == page.request.post(f"{url}/api/search", data={"columns": [{"query": "red"}]}).json()["columns"][0][
            "answer"
        ]["release"]
    )
    expect(page.locator("#message")).to_contain_text(f"Stored: bought, {title}, by {user}.")
    expect(page.locator(".column >> nth=0").locator(".move:not(:empty)").first).to_be_visible()
    assert titles(page, 0) != before
    # Whoever works by keyboard stays on the product.
    assert page.evaluate("document.activeElement.textContent") == title
    expect(page.locator(".column >> nth=0").locator(".took")).to_contain_text("fitted to the shopper")
    page.locator(".column >> nth=0").locator(".card summary").first.click()
    expect(page.locator(".terms").first).to_contain_text("taste")


def test_a_server_that_is_down_is_said_and_how_to_go_on(open_page):
    nobody = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    setup = Setup((ServerAddress.of(nobody, f"http://{nobody}/metrics"),), QueryLog(QUERIES))
    with open_console(setup) as console:
        page = open_page(console.url, "&q=red")
        trouble = page.locator(".trouble").first
        expect(trouble).to_contain_text("The server does not answer")
        expect(trouble).to_contain_text("endcap serve")
        expect(trouble.get_by_role("button", name="Try again")).to_be_visible()
        expect(page.locator("#servers")).to_contain_text("does not answer")
        expect(page.locator("#traffic-down")).to_contain_text("No metrics")


def test_an_empty_list_says_which_conditions_to_loosen(open_page, url):
    page = open_page(url, "&q=tent")
    settled(page)
    page.get_by_text("Filters and limits").first.click()
    page.get_by_label("Price to").first.fill("0.5")
    trouble = page.locator(".trouble").first
    expect(trouble).to_contain_text("No product fits")
    expect(trouble).to_contain_text("price to 0.5")
    trouble.get_by_role("button", name="Remove filters").click()
    expect(page.locator(".column >> nth=0").locator(".card")).to_have_count(10)
    expect(trouble).to_be_hidden()


def test_a_field_that_cannot_be_read_is_marked(open_page, url):
    page = open_page(url, "&q=tent")
    settled(page)
    page.get_by_text("Filters and limits").first.click()
    price = page.get_by_label("Price from").first
    price.fill("cheap")
    expect(page.locator(".wrong")).to_have_text("A number is expected, such as 20 or 19.50.")
    expect(page.locator("#said")).to_have_text("A number is expected, such as 20 or 19.50.")
    expect(price).to_have_attribute("aria-invalid", "true")
    page.locator(".column >> nth=0").locator(".card h3 button").first.click()
    expect(page.locator("#message")).to_contain_text("Correct the field that is marked")
    page.get_by_label("Brands, with commas").first.fill("Acme")
    price.fill("10")
    expect(price).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator(".column >> nth=0").locator(".card .brand").first).to_have_text("Acme")


def test_a_narrow_screen_shows_one_list_and_does_not_scroll_sideways(open_page, url):
    page = open_page(url, "&q=red steel kettle", viewport={"width": 390, "height": 800})
    settled(page)
    expect(page.locator(".column >> nth=1")).to_be_hidden()
    page.get_by_role("button", name="List B").click()
    expect(page.locator(".column >> nth=1")).to_be_visible()
    expect(page.locator(".column >> nth=0")).to_be_hidden()
    page.get_by_text("Filters and limits").nth(1).click()
    page.locator(".column >> nth=1").locator(".card summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_charts_show_the_server_s_traffic(open_page, url):
    page = open_page(url, "&q=red")
    settled(page)
    charts = page.locator("#charts figure")
    expect(charts).to_have_count(3)
    expect(charts.nth(2)).to_contain_text("encode")
    expect(charts.nth(0)).to_contain_text("searches")


def test_without_a_shopper_a_click_counts_on_the_page_only(open_page, url):
    page = open_page(url, "&q=red&compare=own")
    settled(page)
    before = titles(page, 0)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.locator(".column >> nth=0").locator(".card h3 button").last.click()
    expect(page.locator("#message")).to_contain_text("counts on this page only")
    expect(page.locator(".column >> nth=0").locator(".move:not(:empty)").first).to_be_visible()
    assert titles(page, 0) != before
    assert not [address for address in sent if address.endswith("/api/feedback")]


def test_pictures_come_from_allowed_places_and_a_shop_s_words_stay_words(open_page, url, server):
    brand = f"Brand {uuid.uuid4().hex[:8]}"
    markup = "<img src=x onerror=alert(1)> tent"
    products = [
        {"id": f"{brand} a", "title": "Shown tent", "brand": brand, "image_url": f"{PICTURES}/a.svg"},
        {"id": f"{brand} b", "title": markup, "brand": brand, "image_url": "https://elsewhere.example/b.svg"},
    ]
    with Client(server.grpc_url) as shop:
        shop.upsert(products)
        try:
            page = open_page(url)
            fetched = []
            page.on("request", lambda request: fetched.append(request.url))
            drawn = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
            page.route(f"{PICTURES}/**", lambda it: it.fulfill(content_type="image/svg+xml", body=drawn))
            settled(page)
            page.get_by_text("Filters and limits").first.click()
            page.get_by_label("Brands, with commas").first.fill(brand)
            cards = page.locator(".column >> nth=0").locator(".card")
            expect(cards).to_have_count(2)
            expect(cards.filter(has_text="Shown tent").locator("img")).to_have_count(1)
            expect(cards.filter(has_text=markup).locator(".drawing")).to_have_count(1)
            assert not [address for address in fetched if "elsewhere" in address]
        finally:
            shop.delete([product["id"] for product in products])


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
def test_axe_finds_no_serious_problem(open_page, url, language, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core comes with it").Axe()
    page = open_page(url, "&q=red steel kettle under $90", color_scheme=scheme)
    settled(page)
    page.get_by_role("button", name={"en": "English", "zh": "中文"}[language]).click()
    expect(page.locator("html")).to_have_attribute("lang", {"en": "en", "zh": "zh-CN"}[language])
    expect(page.locator(".column >> nth=0").locator(".sentence").first).to_contain_text(
        {"en": "atches", "zh": "相关"}[language]
    )
    page.locator(".limits summary").first.click()
    page.locator(".card summary").first.click()
    page.get_by_role("combobox").first.press("ArrowDown")
    found = axe.run(page).response["violations"]
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
