"""``dfdc serve`` in a real browser: files are dragged in, and their pages come out."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect
from test_pages import CONTRASTS

from conftest import PATIENCE, ROOT, astronaut_face, write_video, write_weights


@dataclass
class Served:
    """A running server, with a folder of files for it."""

    folder: Path
    address: str
    process: subprocess.Popen

    def ask(self, method, path, body=None, **headers):
        """The status and the content that a request gets."""
        connection = http.client.HTTPConnection(self.address.removeprefix("http://").rstrip("/"), timeout=600)
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Gives a function that starts a server; at the end nothing is left of what was sent."""
    started = []

    def start(*words):
        folder = tmp_path_factory.mktemp("serve")
        (folder / "tmp").mkdir()
        write_weights(folder / "re.safetensors")
        face = astronaut_face()
        Image.fromarray(face).save(folder / "photo.jpg")
        write_video(folder / "clip.mp4", [face] * 90)
        (folder / "broken.mp4").write_bytes(b"no video")
        (folder / "large.mp4").write_bytes(bytes(2_000_001))
        words = ("--weights", "re.safetensors", "--detector", "yunet", "--device", "cpu", "--port", "0", *words)
        path = os.pathsep.join([str(ROOT / "lib"), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, "-m", "dfdc", "serve", *words],
            cwd=folder,
            env=os.environ | {"TMPDIR": str(folder / "tmp"), "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        address = process.stdout.readline().partition(" ")[0]
        assert address.startswith("http://127.0.0.1:")
        started.append(Served(folder, address, process))
        return started[-1]

    yield start
    for served in started:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(600) == 130
        assert list((served.folder / "tmp").iterdir()) == []


@pytest.fixture(scope="module")
def served(serve):
    return serve("--max-size", "2", "--keep", "kept")


@pytest.fixture
def page(browser, served):
    """The page into which files are dragged; at the end there must have been no complaint and no foreign request."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    own = (served.address, "data:")
    opened.on("request", lambda request: request.url.startswith(own) or complaints.append(request.url))
    opened.goto(served.address)
    yield opened
    context.close()
    assert complaints == []


def test_files_that_are_chosen_are_scored_one_after_the_other(page, served):
    page.get_by_label("Drop files here").set_input_files([served.folder / name for name in ("photo.jpg", "clip.mp4")])
    items = page.locator("#list li")
    link = items.nth(1).locator("a")
    expect(link).to_be_visible(timeout=PATIENCE)
    assert items.nth(0).inner_text().startswith("photo.jpg: ")
    assert page.locator("progress").count() == 0
    if folder := os.environ.get("DFDC_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "serve.png")
    link.click()
    assert page.locator("h1").inner_text() == "clip.mp4"
    page.locator("a[href$='.json']").click()
    assert json.loads(page.locator("pre").inner_text())["videos"][0]["frames"] > 1
    # Only the pages are kept.
    kept = sorted(path.name for path in (served.folder / "kept").glob("clip.mp4-*/*"))
    assert kept == ["clip.mp4.html", "clip.mp4.json", "index.html"]
    assert not list((served.folder / "tmp").rglob("clip.mp4"))


def test_files_that_are_dropped_are_scored_and_faults_told(page, served):
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["no video"], "<b>.mp4"));
          data.items.add(new File([new Uint8Array(2000001)], "large.mp4"));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
    )
    items = page.locator("#list li")
    expect(items.nth(1)).to_have_text("large.mp4: The file is too large. ", timeout=PATIENCE)
    assert items.nth(0).inner_text().startswith("<b>.mp4: it cannot be opened as a video")
    items.nth(0).locator("a").click()
    assert "could not be judged" in page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate(CONTRASTS) == []
    assert page.locator("h1, main, label[for=files]").count() == 3


def test_what_no_page_of_ours_sends_is_refused(served):
    kind = {"Content_Type": "application/octet-stream"}
    # A page of another site can send forms, and give its own name this machine's address.
    assert served.ask("POST", "/score?name=a.mp4", b"x", Content_Type="text/plain")[0] == 415
    assert served.ask("GET", "/", Host="evil.example")[0] == 400
    assert served.ask("POST", "/score?name=a.mp4", b"x", Host="evil.example:80", **kind)[0] == 400
    large = (served.folder / "large.mp4").read_bytes()
    assert served.ask("POST", "/score?name=a.mp4", large, **kind)[:2] == (413, b"The file is larger than 2 MB.")
    assert served.ask("GET", "/jobs/absent")[0] == served.ask("GET", "/jobs/absent/index.html")[0] == 404
    status, content, headers = served.ask("GET", "/")
    assert (status, headers["X-Frame-Options"], headers["Cache-Control"]) == (200, "DENY", "no-store")
    assert b"connect-src &#x27;self&#x27;" in content
    assert list((served.folder / "tmp").rglob("a.mp4")) == []


def test_names_lead_nowhere_else(served):
    inside = sorted(path.name for path in served.folder.iterdir())
    for name in ("../../a.mp4", "%2Fetc%2Fpasswd", "", "%00", "..", "index"):
        status, key, _ = served.ask("POST", f"/score?name={name}", b"x", Content_Type="application/octet-stream")
        assert status == 200
        for other in ("..%2F..%2Fre.safetensors", "%2e%2e", "pages", "re.safetensors"):
            assert served.ask("GET", f"/jobs/{key.decode()}/{other}")[0] == 404
    assert sorted(path.name for path in served.folder.iterdir()) == inside


@pytest.mark.parametrize("name", ["pages", ".pages"])
def test_a_file_may_be_called_like_the_folder_of_pages(served, name):
    photo = (served.folder / "photo.jpg").read_bytes()
    _, key, _ = served.ask("POST", f"/score?name={name}", photo, Content_Type="application/octet-stream")
    about = {"failed": False, "page": ""}
    end = time.monotonic() + PATIENCE / 1000
    while not (about["failed"] or about["page"]) and time.monotonic() < end:
        time.sleep(0.5)
        about = json.loads(served.ask("GET", f"/jobs/{key.decode()}")[1])
    assert about["page"] == "pages.html", about


def test_a_file_that_takes_too_long_is_given_up(browser, serve):
    served = serve("--max-seconds", "1")
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(served.address)
    page.get_by_label("Drop files here").set_input_files(served.folder / "clip.mp4")
    expect(page.locator("#list li")).to_have_text("clip.mp4: It took more than 1 s. ", timeout=PATIENCE)
    page.close()
