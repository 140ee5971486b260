"""The web page in a real browser: what the API answers, for eyes, keys and shared links."""

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.lastword.server.browsing import Visit, ids_of

if TYPE_CHECKING:
    from playwright.sync_api import Page


def texts(page: "Page", selector: str) -> list[str]:
    return [one.strip() for one in page.locator(selector).all_inner_texts()]


def test_hits_are_those_of_the_api_with_whole_words_marked(visit: Visit) -> None:
    page = visit.open()
    page.locator("#query").press_sequentially("rotate keys month")
    page.wait_for_selector(".hit")
    visit.rest()
    answer = visit.search(query="rotate keys month")
    assert visit.ids() == ids_of(answer)
    at = ids_of(answer).index("emoji")
    hit, item = answer["hits"][at], page.locator(".hit").nth(at)
    # Offsets count code points, as Python does; a browser counts an emoji twice.
    assert texts(page, f".hit:nth-child({at + 1}) .passage mark") == ["Rotate", "key", "month"]
    assert texts(page, f".hit:nth-child({at + 1}) .title mark") == ["Keys"]
    ranks = [f"{name}\nrank\n{hit['channels'][name]['rank']}" for name in answer["channels"]]
    shown = texts(page, f".hit:nth-child({at + 1}) .ranks li")
    assert [one.split() for one in shown] == [one.split() for one in ranks]
    widths = item.locator(".bar i").evaluate_all("bars => bars.map(b => parseFloat(b.style.width))")
    best = answer["hits"][0]["score"]
    shares = [100 * hit["channels"][name]["share"] / best for name in answer["channels"]]
    assert widths == pytest.approx(shares, abs=0.01)
    words = {
        one["word"]
        for one in visit.search(query="rotate keys month", words=True)["words"]["sparse"]
    }
    assert set(texts(page, "#words li")) <= words and texts(page, "#words li")


def test_an_answer_that_comes_late_is_not_shown(visit: Visit) -> None:
    page, held = visit.open(), []
    page.route(
        "**/v1/search",
        lambda route: (
            held.append(route) if "lava" in route.request.post_data else route.continue_()
        ),
    )
    page.fill("#query", "lava")
    page.wait_for_function("document.title.startsWith('lava')")
    while not held:
        page.wait_for_timeout(20)
    page.fill("#query", "day 3")
    page.wait_for_selector(".hit")
    held[0].continue_()
    visit.rest()
    assert visit.ids() == ids_of(visit.search(query="day 3"))


def test_an_explanation_is_that_of_the_api(visit: Visit) -> None:
    page = visit.open("?q=rotate+a+key&index=notes")
    page.get_by_role("button", name="Explain of hit 1").click()
    page.wait_for_selector(".channel")
    request = {"query": "rotate a key", "id": visit.ids()[0], "index": "notes"}
    answer = httpx.post(f"{visit.address}/v1/explain", json=request).json()
    assert texts(page, ".channel h3") == [one["name"] for one in answer["channels"]]
    for at, channel in enumerate(answer["channels"]):
        shown = page.locator(".channel").nth(at)
        assert f"rank {channel['rank']}" in shown.locator(".facts-line").inner_text()
        words = [one["word"] for one in channel["words"]]
        assert shown.locator(".word").all_inner_texts() == words[:8]


def test_channels_fusion_and_weights_rank_again_as_the_api_does(visit: Visit) -> None:
    page = visit.open("?q=month+of+keys")
    before = visit.ids()
    page.get_by_role("switch", name="sparse").click()
    visit.rest()
    two = ["dense", "bm25"]
    assert "channels=dense,bm25" in page.url
    assert visit.ids() == ids_of(visit.search(query="month of keys", channels=two))
    page.get_by_label("Fusion").select_option("rrf")
    visit.rest()
    rrf = visit.search(query="month of keys", channels=two, fusion="rrf")
    assert visit.ids() == ids_of(rrf)
    page.get_by_label("Fusion").select_option("minmax")
    visit.rest()
    page.get_by_label("Weight of bm25").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**bm25%3D0*")
    visit.rest()
    weights = {"dense": 0.5, "bm25": 0}
    weighed = visit.search(query="month of keys", channels=two, fusion="minmax", weights=weights)
    assert visit.ids() == ids_of(weighed) != before
    assert texts(page, ".channel-row .percent") == ["100 %", "", "0 %"]
    page.get_by_role("button", name="Reset ranking").click()
    visit.rest()
    assert visit.ids() == before and page.url.endswith("?q=month+of+keys")


def test_everything_is_reached_without_a_mouse(visit: Visit) -> None:
    page = visit.open("?q=month&k=5")
    press = page.keyboard.press
    ids = visit.ids()
    current = "document.activeElement.closest('.hit')?.dataset.id ?? document.activeElement.id"
    seen = []
    for key in ("j", "j", "ArrowDown", "k", "/", "ArrowDown", "ArrowUp"):
        press(key)
        seen.append(page.evaluate(current))
    assert seen == [ids[0], ids[1], ids[2], ids[1], "query", ids[0], "query"]
    press("ArrowDown")
    press("e")
    page.wait_for_selector(".channel")
    press("Escape")
    assert page.locator(".channel").count() == 0
    press("o")
    page.wait_for_selector("#document .text")
    press("j")
    page.wait_for_function("document.querySelector('#document-place').textContent[4] == '2'")
    press("Escape")
    page.wait_for_selector("#document", state="hidden")
    visit.rest()
    assert page.evaluate(current) == ids[0]  # from which it was opened
    press("Enter")
    page.wait_for_selector("#document .text")
    press("Escape")
    page.wait_for_selector("#document", state="hidden")
    press("?")
    assert page.locator("#shortcuts").is_visible()
    press("Escape")
    press("Escape")
    assert page.evaluate(current) == "query"


def test_links_and_the_back_button_lead_to_what_was_seen(visit: Visit) -> None:
    page = visit.open("?q=lava&channels=bm25&doc=long")
    page.wait_for_selector("#document .text mark")
    assert page.locator("#document h1").inner_text() == "Long"
    mark = page.locator("#document .text mark", has_text="lava")
    assert page.evaluate("innerHeight") > mark.bounding_box()["y"] > 0  # type: ignore[index]
    assert page.get_by_role("switch", name="dense").is_checked() is False
    page.keyboard.press("Escape")
    page.wait_for_selector("#document", state="hidden")
    page.fill("#query", "day 3")
    page.wait_for_url("**q=day+3*")
    visit.rest()
    third = visit.ids()
    page.locator(".hit a.title").first.click()
    page.wait_for_selector("#document .text")
    page.go_back()
    page.wait_for_selector("#document", state="hidden")
    assert visit.ids() == third
    page.go_back()
    page.wait_for_function("document.querySelector('#query').value === 'lava'")
    visit.rest()
    assert visit.ids() == ["long"]
    page.go_forward()
    page.wait_for_function("document.querySelector('#query').value === 'day 3'")
