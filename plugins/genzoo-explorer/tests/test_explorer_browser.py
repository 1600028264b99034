"""The pages in a real browser: pictures change, nothing is an error, and nothing is asked of anybody else.

They need playwright and a Chromium (apt-get install chromium), and are skipped without.
"""

import base64
import io
import json
import re
import shutil
import time

import pytest
from explorer_site import running
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NAMELESS = """[...document.querySelectorAll(
        'button, input, select, canvas, img, [role=application], [role=group], [role=button]')]
    .filter(e => !e.hidden && e.getAttribute('aria-hidden') !== 'true' && !e.closest('[hidden]'))
    .filter(e => !(e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.length
        || e.hasAttribute('alt') || e.querySelector?.('[aria-label]')))
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


class View:
    """A page of the explorer."""

    def __init__(self, page):
        self.page = page

    def see(self, script, seconds=120):
        """Wait until a script gives something that counts as true, and return it; the policy of the pages
        forbids playwright's own way of waiting."""
        end = time.monotonic() + seconds
        while not (found := self.page.evaluate(script)):
            said = "document.querySelector('#note').textContent"
            assert time.monotonic() < end, f"it never happened: {script}; {self.page.evaluate(said)}"
            time.sleep(0.05)
        return found

    def pixels(self, selector="#picture"):
        """Return the picture in a canvas."""
        return self.page.evaluate(f"document.querySelector('{selector}').toDataURL()")

    def changed(self, before, selector="#picture"):
        """Wait until a canvas shows something else, and return it."""
        self.see(f"document.querySelector('{selector}').toDataURL() !== {json.dumps(before)}")
        return self.pixels(selector)

    def settled(self):
        """Wait until a page with sliders is complete."""
        self.see("document.querySelector('#slide-d0') && document.querySelector('#picture').dataset.ms")
        self.see("document.querySelectorAll('#walk canvas').length === 9")

    def slide(self, name, value):
        act = f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('input')); }})"
        self.page.evaluate(f"{act}(document.querySelector('#slide-{name}'))")

    def text(self, selector):
        return self.page.evaluate(f"document.querySelector('{selector}').textContent")


@pytest.fixture
def opened(browser, site):
    """A function that opens a page; what it asked of others, a console error or a failure ends the test."""
    contexts, wrong = [], []

    def open_page(fragment="", viewport=WIDE, scheme="light", at=site):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        here = (at.address, f"ws://127.0.0.1:{at.port}/", "blob:")
        page.on(
            "request", lambda ask: None if ask.url.startswith(here) else wrong.append(f"outside: {ask.url}")
        )
        page.on(
            "websocket", lambda ws: None if ws.url.startswith(here) else wrong.append(f"outside: {ws.url}")
        )
        page.on(
            "response", lambda answer: answer.status < 400 or wrong.append(f"{answer.status}: {answer.url}")
        )
        page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{at.address}/{fragment}")
        view = View(page)
        view.see("!/^Loading/.test(document.querySelector('main').innerText)")
        return view

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def png(colour, size=(20, 12)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()}


def at(view, x, y):
    """Return the point of the board at these shares of its sides, once the board is in sight."""
    view.page.evaluate("document.querySelector('.board').scrollIntoView({ block: 'center' })")
    box = view.page.locator(".board").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def colour(view, selector, x, y):
    """Return the colour of a pixel of a canvas, as RGB in hex."""
    return view.page.evaluate(
        f"[...document.querySelector('{selector}').getContext('2d').getImageData({x}, {y}, 1, 1).data]"
        ".slice(0, 3).map(v => v.toString(16).padStart(2, '0')).join('')"
    )


def test_the_catalogue_shows_every_model_finds_one_and_shows_hostile_words_as_text(opened, toys):
    view = opened()
    view.see(f"document.querySelectorAll('.cards a').length === {len(toys.CARDS)}")
    assert "<script>" in view.text("#models") and view.page.title() == "genzoo explorer"
    assert view.page.evaluate("document.querySelectorAll('main img, main script').length") == 0
    view.see("document.querySelectorAll('.cards canvas[data-drawn]').length > 3")  # by themselves
    view.page.fill("input[type=search]", "hues")
    view.see("document.querySelectorAll('.cards a').length === 1")
    view.page.click(".cards a")
    view.see("document.querySelector('h1').innerText === 'toy-hues'")
    view.page.go_back()
    view.see("document.querySelector('h1').innerText === 'Models'")


def test_a_slider_changes_the_picture_and_the_address_shows_it_again(opened):
    view = opened("#toy-colour?seed=4")
    view.settled()
    first = view.pixels()
    view.slide("d0", "1.5")
    moved = view.changed(first)
    view.page.click("summary >> text=Single components")
    view.slide("c1", "-2")
    both = view.changed(moved)
    view.see("/d0=1.5/.test(location.hash) && /c1=-2/.test(location.hash) && /seed=4/.test(location.hash)")
    code = view.text("#python")
    assert "sample_latents(12, seed=4)" in code and "z + 1.5 * d[0]" in code and "z[0, 1] += -2" in code
    again = opened(view.page.url.rpartition("/")[2])
    again.settled()
    again.see(f"document.querySelector('#picture').toDataURL() === {json.dumps(both)}")
    view.page.click("text=Reset z")
    view.see(f"document.querySelector('#picture').toDataURL() === {json.dumps(first)}")


def test_samples_walks_and_sums_by_keyboard(opened):
    view = opened("#toy-waves?seed=1")
    view.settled()
    first, walk = view.pixels(), view.pixels("#walk canvas")
    tile = view.page.locator(".strip .tile").nth(5)
    tile.focus()
    view.page.keyboard.press("Enter")
    view.changed(first)
    view.page.keyboard.press("a")
    view.changed(walk, "#walk canvas")
    assert view.page.locator("#add-up").is_disabled()
    for place, key in ((0, "1"), (1, "1"), (2, "1"), (3, "2"), (4, "2"), (5, "2")):
        view.page.locator(".strip .tile").nth(place).focus()
        view.page.keyboard.press(key)
    view.page.click("#add-up")
    view.see("document.querySelectorAll('#sum .sum canvas').length === 9")
    assert "of_seeds(model, [(1, 0), (1, 1), (1, 2)])" in view.text("#python")
    before = view.pixels()
    view.page.click("text=Slide the sum")
    view.changed(before)


def test_a_sample_is_dragged_into_a_tray_and_to_an_end_of_the_walk(opened):
    view = opened("#toy-waves?seed=1")
    view.settled()
    view.page.locator(".tray").nth(1).scroll_into_view_if_needed()
    view.page.locator(".strip .tile").nth(3).drag_to(view.page.locator(".tray").nth(1))  # they stay in sight
    view.see("document.querySelectorAll('.tray')[1].querySelectorAll('.items canvas').length === 1")
    walk = view.pixels("#walk canvas")
    view.page.locator(".strip .tile").nth(7).drag_to(view.page.locator(".pin").nth(0))
    view.changed(walk, "#walk canvas")


def test_new_samples_truncation_and_a_walk_change_pictures(opened):
    view = opened("#toy-waves?seed=1")
    view.settled()
    first = view.pixels(".strip canvas")
    view.page.focus("#truncation")
    view.page.keyboard.press("Home")
    second = view.changed(first, ".strip canvas")
    view.see("/t=0.2/.test(location.hash)")
    view.page.click("#new")
    view.changed(second, ".strip canvas")
    view.page.click("text=Random walk")
    third = view.changed(view.pixels())
    view.changed(third)
    view.page.click("text=Random walk")


def test_a_picture_is_saved_and_the_command_copied(opened):
    view = opened("#toy-shares?seed=2")
    view.settled()
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with view.page.expect_download() as download:
        view.page.click("text=Save picture")
    assert download.value.suggested_filename == "toy-shares-seed-2.png"
    with Image.open(download.value.path()) as saved:
        assert saved.size == (512, 512)  # 64 times 8, with its edges
    view.page.click("text=Copy as command")
    view.see("document.querySelector('#note').textContent === 'Copied.'")
    copied = view.page.evaluate("navigator.clipboard.readText()")
    assert copied == view.text("#command") and "toy-shares" in copied


def test_a_command_that_is_copied_at_once_has_the_last_slide(opened):
    """The page tells its command a moment after a slide: a quick click copied the one before."""
    view = opened("#toy-waves?seed=2")
    view.settled()
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.page.evaluate(
        """() => {
            const slider = document.querySelector("#slide-d0");
            slider.value = "1.5"; slider.dispatchEvent(new Event("input"));
            const copy = b => b.textContent === "Copy as command";
            [...document.querySelectorAll("button")].find(copy).click(); }"""
    )
    view.see("document.querySelector('#note').textContent === 'Copied.'")
    assert "1.5 * d[0]" in view.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize(("name", "words"), [("toy-shares", "error 0."), ("toy-waves", "step 100 of 100")])
def test_a_picture_of_yours_is_encoded_or_found(opened, name, words):
    view = opened(f"#{name}")
    view.settled()
    view.page.set_input_files("input[type=file]", png((90, 90, 90)))
    view.see(f"document.querySelector('.pair')?.innerText.includes('{words}')")
    before = view.pixels()
    view.page.click("text=Slide this z")
    view.changed(before)
    view.page.set_input_files(
        "input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    view.see("/not a picture/.test(document.querySelector('#note').textContent)")


def test_a_label_is_picked_and_a_sentence_typed(opened, toys):
    view = opened("#toy-kinds")
    view.settled()
    assert view.page.evaluate("[...document.querySelectorAll('#condition option')].map(o => o.text)") == list(
        toys.NAMES
    )
    first = view.pixels()
    view.page.select_option("#condition", "1")
    view.changed(first)
    view.see("/label=1/.test(location.hash)")
    told = json.dumps(json.dumps(toys.NAMES[1]))
    view.see(f"document.querySelector('#python').textContent.includes({told})")  # a moment later
    view = opened("#toy-said")
    view.settled()
    first = view.pixels()
    view.page.fill("#condition", "a blue flower")
    view.page.keyboard.press("Tab")
    view.changed(first)
    view.page.fill("#condition", "a green flower")
    view.page.keyboard.press("Tab")
    view.see("/green/.test(document.querySelector('#note').textContent)")


def test_pixels_are_drawn_looked_at_erased_and_completed(opened):
    view = opened("#toy-dots?seed=6")
    view.see("/bits per dimension/.test(document.querySelector('#numbers')?.innerText)")
    first, log_p = view.pixels(), view.text("#numbers b")
    view.page.focus(".board")
    view.page.keyboard.press("ArrowDown")
    view.see("/depends on 2 of/.test(document.querySelector('#pixel').textContent)")
    view.page.click("#tool-erase")
    board = view.page.locator(".board").bounding_box()
    view.page.mouse.move(board["x"] + board["width"] / 2, board["y"] + board["height"] / 2)
    view.page.mouse.down()
    view.page.mouse.move(board["x"] + board["width"] / 3, board["y"] + board["height"] / 2, steps=3)
    view.page.mouse.up()
    view.page.click("#complete")
    view.see("document.querySelectorAll('#completions canvas').length === 6")
    nats = view.page.evaluate(
        "[...document.querySelectorAll('#completions figcaption')].map(e => parseFloat(e.innerText))"
    )
    assert len(nats) == 6 and nats == sorted(nats, reverse=True) and nats[0] <= 0
    assert view.pixels() == first and view.text("#numbers b") == log_p
    assert "the likeliest first, each with log p of the drawn pixels" in view.text("#completions")
    view.page.click("#new")
    view.changed(first)


def test_completions_come_into_sight_on_a_phone_where_no_cursor_of_the_keys_is_in_the_way(opened):
    view = opened("#toy-dots?seed=6", PHONE)
    view.see("/bits per dimension/.test(document.querySelector('#numbers')?.innerText)")
    view.page.click("#tool-erase")
    view.page.mouse.click(*at(view, 0.6, 0.6))
    over = "[...document.querySelector('.board .over').getContext('2d').getImageData(0, 0, 8, 8).data]"
    assert view.page.evaluate(f"{over}.filter((v, i) => i % 4 === 0 && v === 128).length") > 0
    assert view.page.evaluate(f"{over}.includes(240)") is False  # the orange of the cursor
    view.page.click("#complete")
    view.see("document.querySelectorAll('#completions canvas').length === 6")
    view.see("document.querySelector('#completions canvas').getBoundingClientRect().bottom <= innerHeight")
    view.page.focus(".board")
    view.page.keyboard.press("ArrowUp")
    assert view.page.evaluate(f"{over}.includes(240)")


def test_a_digit_drawn_by_hand_has_a_log_p(opened):
    view = opened("#toy-dots?seed=6")
    view.see("/bits per dimension/.test(document.querySelector('#numbers')?.innerText)")
    view.page.click("#clear")
    view.see("document.querySelector('#tool-pencil').getAttribute('aria-pressed') === 'true'")
    view.see("parseFloat(document.querySelector('#numbers b').innerText) < 0")
    empty, blank = view.text("#numbers b"), view.pixels()
    view.page.focus(".board")
    view.page.keyboard.press("Space")
    view.changed(blank)
    view.see(f"document.querySelector('#numbers b').innerText !== {json.dumps(empty)}")
    assert "log_prob" in view.text("#python")


def test_a_colour_picture_is_drawn_and_read(opened):
    view = opened("#toy-hues?seed=6")
    view.see("/bits per dimension/.test(document.querySelector('#numbers')?.innerText)")
    first = view.pixels()
    view.page.set_input_files("input[type=file]", png((255, 0, 0)))
    data = view.changed(first).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert shown.convert("RGB").getpixel((1, 1)) == (255, 0, 0)


def test_a_picture_is_translated_both_ways(opened):
    view = opened("#toy-ways")
    view.page.set_input_files("input[type=file]", png((255, 255, 255)))
    view.see("document.querySelector('#translation').dataset.drawn")
    first = view.pixels("#translation")
    view.page.select_option("#to", "colour")
    view.changed(first, "#translation")
    assert "model.translate" in view.text("#python")


def test_a_map_is_drawn_and_its_translation_follows(opened, toys):
    view = opened("#toy-map?seed=4")
    view.see("document.querySelector('#translation')?.dataset.drawn")  # of the map that is there at first
    assert colour(view, "#map-drawn", 8, 2) == "0032ff" and colour(view, "#translation", 8, 2) == "ffcd00"
    first, drawn = view.pixels("#translation"), view.pixels("#map-drawn")
    view.page.click(".palette >> text=shop")
    view.page.mouse.move(*at(view, 0.3, 0.3))
    view.page.mouse.down()
    view.page.mouse.move(*at(view, 0.9, 0.9))
    view.page.mouse.move(*at(view, 0.7, 0.7), steps=3)  # smaller again: what it covered comes back
    view.page.mouse.up()
    view.see(f"document.querySelector('#translation').toDataURL() !== {json.dumps(first)}")
    assert colour(view, "#map-drawn", 8, 8) == "ac0000" and colour(view, "#map-drawn", 13, 13) == "0032ff"
    view.page.click("text=Undo")
    assert view.pixels("#map-drawn") == drawn
    view.see(f"document.querySelector('#translation').toDataURL() === {json.dumps(first)}")
    assert view.text("#command") == "genzoo translate toy-map map.png --seed 4 -o photo.png"
    assert 'read_image("map.png", (3, 16, 16))' in view.text("#python")
    with view.page.expect_download() as download:
        view.page.click("#save-source")
    assert download.value.suggested_filename == "map.png"
    with Image.open(download.value.path()) as saved:
        assert saved.size == (16, 16)  # as the command takes it


def test_a_map_is_drawn_by_keyboard(opened):
    view = opened("#toy-map")
    view.see("document.querySelector('#translation')?.dataset.drawn")
    first = view.pixels("#translation")
    view.page.focus(".board")
    for key in ("Space", "ArrowRight", "ArrowRight", "ArrowDown", "Space"):
        view.page.keyboard.press(key)
    view.changed(first, "#translation")
    assert colour(view, "#map-drawn", 10, 9) == "0080ff" and colour(view, "#map-drawn", 11, 9) == "0032ff"
    view.page.click("#tool-brush")
    view.page.click(".palette >> text=pillar")
    view.page.focus(".board")
    view.page.keyboard.press("Space")
    assert colour(view, "#map-drawn", 11, 9) == "f00a00"


def test_a_broken_model_is_one_message_and_the_next_page_works(opened):
    view = opened("#toy-broken")
    view.see("/the decoder. is broken/.test(document.querySelector('#note').textContent)")
    view.page.evaluate("location.hash = '#toy-waves'")
    view.settled()
    view.page.evaluate("location.hash = '#<img src=x onerror=alert(1)>'")
    view.see("/There is no model/.test(document.querySelector('main').innerText)")
    assert view.page.evaluate("document.querySelectorAll('main img').length") == 0


def test_a_run_is_followed_with_hostile_words_as_text(opened, toys, tmp_path):
    hostile = toys.HOSTILE
    lines = [{"step": step, "generator": 1 / step, hostile: step} for step in range(1, 50)]
    lines.append({"step": 50, "doctor": hostile, "words": hostile})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "samples").mkdir()
    for step in (10, 20):
        Image.new("L", (16, 16), 10 * step).save(tmp_path / "samples" / f"step-{step:07d}.png")
    with running(str(tmp_path)) as at:
        view = opened(at=at)
        view.see(
            "document.querySelectorAll('#plots canvas').length === 2"
            " && document.querySelector('#grid').naturalWidth"
        )
        assert "<script>" in view.text("#findings") and view.text("#state") == "Training: step 49."
        assert view.page.title() == "Training · genzoo explorer"
        assert view.page.evaluate("document.querySelectorAll('main script, #findings img').length") == 0
        before = view.pixels("#plots canvas")
        with (tmp_path / "log.jsonl").open("a") as file:
            file.write('{"step": 51, "generator": 5}\n')
        view.changed(before, "#plots canvas")
        view.page.evaluate(
            "(e => { e.value = '0'; e.dispatchEvent(new Event('input')); })(document.querySelector('#time'))"
        )
        view.see("/grids.10$/.test(document.querySelector('#grid').src)")
        view.page.context.close()


def brightness(colour):
    red, green, blue = map(int, re.match(r"rgba?\((\d+), (\d+), (\d+)", colour).groups())
    return (299 * red + 587 * green + 114 * blue) / 1000


@pytest.mark.parametrize("fragment", ["", "#toy-kinds", "#toy-dots", "#toy-ways", "#toy-map"])
def test_pages_fit_a_phone_have_a_dark_dress_and_names_for_all_controls(opened, fragment):
    view = opened(fragment, PHONE, "dark")
    view.see("document.querySelector('h1') && document.querySelectorAll('button, input').length")
    assert (
        view.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    )
    style = "getComputedStyle(document.body).%s"
    assert (
        brightness(view.page.evaluate(style % "backgroundColor"))
        < 60
        < 150
        < brightness(view.page.evaluate(style % "color"))
    )
    assert view.page.evaluate(NAMELESS) == []


def test_the_page_says_when_the_server_is_gone(browser, toys):
    with running() as at:
        page = browser.new_page()
        page.goto(at.address)
        view = View(page)
        view.see("document.querySelectorAll('.cards a').length")
    view.see("/does not answer/.test(document.querySelector('#note').textContent)")
    page.close()
