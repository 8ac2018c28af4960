"""Pages of scored videos in a real browser.

With DFDC_SCREENSHOTS=FOLDER the pages are photographed at two widths, in light, dark and print, to be looked at.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import PATIENCE

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Of every element with text of its own: the contrast with what is painted behind it, and its words. Large is from 24
# pixels, or bold from 18.66 (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const linear = share => share <= .04045 ? share / 12.92 : ((share + .055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = colour.slice(0, 3).map(value => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (element.tagName === "SCRIPT" || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parts(element.closest("svg") ? style.fill : style.color)), light(behind(element))];
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < (large ? 3 : 4.5)) found.push([ratio, element.textContent]);
  }
  return found;
}"""


@pytest.fixture
def opened(browser, pages):
    """Gives a function that opens a page; at the end there must have been no request and no complaint."""
    contexts, complaints = [], []

    def open_page(name, viewport=DESK, **settings):
        context = browser.new_context(viewport=viewport, offline=True, **settings)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        page.goto((pages / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def names_of(folder):
    return sorted(path.name for path in folder.glob("*.html"))


def column(page, number):
    return [" ".join(words.split()) for words in page.locator(f"tbody tr > :nth-child({number})").all_inner_texts()]


def test_each_page_loads_by_itself_and_can_be_read_by_a_screen_reader(opened, pages):
    assert len(names_of(pages)) == 7
    for name in names_of(pages):
        page = opened(name)
        assert page.locator("html[lang=en]").count() == page.locator("h1").count() == page.locator("main").count() == 1
        assert page.title()
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        assert page.locator("th:not([scope])").count() == 0
        assert page.locator("table:not(:has(caption))").count() == 0
        levels = [int(each.evaluate("e => e.tagName[1]")) for each in page.locator("h1, h2, h3").all()]
        assert all(after <= before + 1 for before, after in pairwise(levels))
        # Pictures are whole, and what scrolls can be reached with the keyboard.
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.locator(".wide:not([tabindex]), .lines:not([tabindex])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_have_contrast(opened, pages, scheme):
    for name in names_of(pages):
        page = opened(name, color_scheme=scheme)
        for closed in page.locator("details").all():
            closed.evaluate("details => details.open = true")
        assert page.evaluate(CONTRASTS) == []


def test_contrast_is_measured(opened):
    page = opened("index.html")
    page.evaluate("document.querySelector('h1').style.color = '#999'")
    assert [words for _, words in page.evaluate(CONTRASTS)] == ["Scored files"]


@pytest.mark.parametrize("viewport", [DESK, PHONE, {"width": 320, "height": 600}])
def test_no_page_is_wider_than_the_window(opened, pages, viewport):
    for name in names_of(pages):
        page = opened(name, viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name


def test_the_keyboard_sorts_the_index(opened):
    page = opened("index.html")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("probability of fake")
    probabilities = column(page, 4)
    judged = [int(re.match(r"\d+", words)[0]) for words in probabilities if words != "–"]
    assert len(judged) == 3
    assert judged == sorted(judged, reverse=True)
    assert probabilities[3:] == ["–"] * 3

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "file"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("file")
    assert page.locator("th[aria-sort=descending]").count() == 0
    names = column(page, 2)
    assert names.index("clip 9.mp4") < names.index("clip 10.mp4")  # as a person counts
    page.keyboard.press("Space")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("file")
    assert column(page, 2) == names[::-1]
    assert page.evaluate("document.activeElement.textContent") == "file"

    for _ in range(2):
        page.keyboard.press("Tab")
    for _ in range(2):  # what was not judged stays at the end
        page.keyboard.press("Enter")
        assert column(page, 4)[3:] == ["–"] * 3


def test_without_scripts_the_index_is_a_table(opened):
    page = opened("index.html", java_script_enabled=False)
    assert page.locator("tbody tr").count() == 6
    assert page.locator("button").count() == 0


def test_hostile_names_are_words_and_every_link_leads_somewhere(opened, pages):
    page = opened("index.html")
    links = page.locator("tbody a")
    assert len({link.get_attribute("href") for link in links.all()}) == 6
    assert links.filter(has_text="<img src=x onerror=alert(1)>").count() == 2
    for number in range(links.count()):
        name = links.nth(number).inner_text()
        links.nth(number).click()
        assert page.locator("h1").inner_text() == name
        for link in page.locator("a[href$='.json']").all():
            assert (pages / link.get_attribute("href")).is_file()
        for link in page.locator("a[href^='#']").all():
            assert page.locator(link.get_attribute("href")).count() == 1
        page.locator("nav a").click()
        assert page.locator("h1").inner_text() == "Scored files"


def test_pages_can_be_photographed_and_printed(opened, pages, tmp_path):
    folder = Path(os.environ.get("DFDC_SCREENSHOTS") or tmp_path)
    for name in names_of(pages):
        for look, viewport, scheme in (("light", DESK, "light"), ("dark", DESK, "dark"), ("phone", PHONE, "light")):
            page = opened(name, viewport, color_scheme=scheme)
            page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
            assert (folder / f"{name}-{look}.png").stat().st_size > 5000
        opened(name).pdf(path=folder / f"{name}.pdf")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
