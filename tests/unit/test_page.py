"""Pages of scored videos, without a browser; tests/browser opens them in one."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import moving, write_video, write_weights

from dfdc.cli.main import main
from dfdc.cli.scoring.outputs import Summary, json_format
from dfdc.cli.scoring.pages import Pages
from dfdc.config.reading import read_config
from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.figures.scored.heatmap import heat_mapper
from dfdc.figures.scored.page.entry import HEAD, Entry, read_entry
from dfdc.figures.scored.page.html import VOID, Html, tag, text
from dfdc.figures.scored.page.index import index_page, line_of
from dfdc.figures.scored.page.names import page_names
from dfdc.figures.scored.page.pictures import small_face
from dfdc.figures.scored.page.upload import upload_page
from dfdc.figures.scored.page.verdict import UNCERTAIN, Judgement
from dfdc.figures.scored.timeline import MOST_TRACKS
from dfdc.networks.weights.files import read_tensors, save_weights
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.verdict import in_words
from dfdc.stages.prediction.videos import TrackScores, VideoScore
from dfdc.system.errors import UserError
from dfdc.system.files import sha256
from dfdc.system.versions import own_version
from published import published

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = published(EnsembleSettings)
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e\x1b.mp4"
PROVENANCE = {"trained": "2026-05-01", "data": {"parts": ["dfdc_train_part_0", "<b>"]}, "auc": 0.9201388888888888}


class Reader(HTMLParser):
    """The elements of a page with their attributes, the text, and whether all that was opened was closed in order."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.words, self.raw = [], [], [], {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            self.raw[self.open[-1]] = data
        elif self.open:
            self.words.append(data)

    def all(self, name):
        return [attributes for each, attributes in self.elements if each == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\xa0", " ").split())


def checked(page):
    """Read a page, and check what holds for all of them."""
    found = Reader(page)
    names = [name for name, _ in found.elements]
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert (names.count("h1"), names.count("title"), names.count("main")) == (1, 1, 1)
    allowed = {"style": found.raw["style"], "script": found.raw.get("script")}
    assert names.count("style") == 1
    assert names.count("script") == (allowed["script"] is not None)
    policy = next(each["content"] for each in found.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    for kind, content in allowed.items():
        digest = content and base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        source = f"sha256-{digest}" if digest else "none"
        assert f"{kind}-src '{source}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name, attributes in found.elements:
        assert not any(key == "style" or key.startswith("on") for key in attributes), (name, attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/")
        # Links lead to other files of the folder and within the page, and nowhere else.
        assert re.fullmatch(
            r"data:,|#face-\d+|[A-Za-z0-9_][A-Za-z0-9._-]*\.(html|json)", attributes.get("href", "#face-1")
        )
    assert all(each.get("alt") and each["width"] and each["height"] for each in found.all("img"))
    assert all(each.get("scope") in ("col", "row") for each in found.all("th"))
    assert names.count("caption") == names.count("table")
    return found


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# --- HTML


@pytest.mark.parametrize("hostile", [HOSTILE, "</style><script>", '" onload="x', os.fsdecode(b"\xff<")])
def test_nothing_that_is_shown_becomes_html(hostile):
    page = tag("p", hostile, tag("a", "x", title=hostile, href=None), None, class_="c", data_value=1)
    found = Reader(page)
    assert [name for name, _ in found.elements] == ["p", "a"]
    assert found.all("p") == [{"class": "c", "data-value": "1"}]
    assert list(found.all("a")[0]) == ["title"]
    assert not re.search(r"[\ud800-\udfff\u202e\x1b]", page)
    page.encode()
    assert text(Html("<b>")) == "<b>"


# --- names


@given(st.lists(st.one_of(st.text(max_size=12), st.text("aA-.b/\\", max_size=6)), unique=True, max_size=30))
def test_names_of_pages_are_safe_and_differ(names):
    found = page_names(names)
    assert list(found) == names
    assert len({short.casefold() for short in found.values()} - {"index"}) == len(names)
    for short in found.values():
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}", short)


def test_names_of_pages_are_those_of_the_videos_where_that_is_possible():
    assert page_names(["a.mp4", "b/Clip 1.mov"]) == {"a.mp4": "a.mp4", "b/Clip 1.mov": "b-Clip-1.mov"}
    same = page_names(["a/x.mp4", "a-x.mp4", "A/X.mp4"])
    assert all(re.fullmatch(r"(?i)a-x\.mp4-[0-9a-f]{8}", short) for short in same.values())
    # Somebody has named a video as the page of another would be named.
    crafted = same["a/x.mp4"]
    assert len(set(page_names([*same, crafted]).values())) == 4
    assert page_names(["index"])["index"].startswith("index-")
    assert page_names(["../../etc/passwd", "…"]) == {"../../etc/passwd": "etc-passwd", "…": "video"}
    assert len(page_names(["x" * 240 + ".mp4"]).popitem()[1]) < 120


# --- verdicts


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0, "looks real"), (0.349, "looks real"), (0.35, "uncertain"), (0.65, "uncertain"), (0.651, "looks fake")],
)
def test_a_verdict_is_that_of_the_zone(probability, words):
    assert in_words(probability) == words


def test_a_doubt_is_told_whatever_the_score_is():
    judgement = Judgement(Video("a.mp4"), 0.9, UNCERTAIN, ("its faces are small", "the models disagree"))
    assert judgement.style == "uncertain"
    assert judgement.meaning().endswith("still counts as uncertain: its faces are small; the models disagree.")


# --- pages


def pages_of(folder, names, config=None, settings=SETTINGS, goes_on=False):
    """Pages for videos of these names, and the members."""
    plain = write_weights(folder / "plain.safetensors")
    weights = folder / "re.safetensors"
    about = {"architecture": "efficientnet-lite0", "kind": "frame", "name": "re", "provenance": PROVENANCE}
    save_weights(weights, read_tensors(plain), about)
    config = config or read_config(ROOT)
    config["detection"]["test"] |= {"detector": "yunet"}
    crop = {"smaller_side": 64, "pad": False, "height": 64, "width": 64}
    model = {**config["models"]["re"], "architecture": "efficientnet-lite0", "kind": "frame", "crop": crop}
    members = [Member("re", weights, model)]
    videos = {folder / "videos" / name: name for name in names}
    about = {"detector": "yunet"}
    return Pages(folder / "out", videos, about, members, config, settings, goes_on=goes_on), members


def judged(path, tracks=1, probability=0.9, seconds=4, **row):
    """A video with a face in the midst of noise, its scores, and the store with its faces."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        write_video(path, moving(10 * seconds), fps=10)
    store, found, crops = path.parent / f"{path.stem}.arrow", [], []
    frames = list(range(0, 10 * seconds, 2))
    faces = moving(len(frames), 64, 48)
    write_store(store, ([encode_png(face)] for face in faces))
    for number in range(tracks):
        values = np.clip(probability + 0.04 * np.sin(frames), 0, 1)
        boxes = np.float32([[20, 10, 60, 80]] * len(frames))
        followed = Track(path.name, number, frames, boxes, [None] * len(frames))
        found.append(TrackScores(followed, {"re": (np.array(frames), values)}))
        crops += [Crop(path.name, number, "frame", n, (frame,), n, "") for n, frame in enumerate(frames)]
    video = Video(path.name, frames=10 * seconds, width=128, height=96, fps=10.0, **row)
    return VideoScore(path, video, probability, found, crops, Store(store), 1.0)


def summary_of(name, video):
    return Summary(
        name,
        video.probability,
        in_words(video.probability),
        (),
        video.row.status,
        video.row.reason,
        video.frames_used(),
        [],
    )


@dataclass
class Written:
    """A folder of pages."""

    folder: Path
    members: list[Member]
    videos: dict[str, VideoScore]

    def page(self, name):
        path = self.folder / f"{page_names(self.videos)[name]}.html"
        return checked(path.read_text())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The pages of a video with a hostile name, of one with many faces, and of those that something is wrong with."""
    folder = tmp_path_factory.mktemp("pages")
    place = folder / "videos"
    place.mkdir()
    os.mkfifo(place / "pipe.mp4")
    write_video(place / "many.mp4", moving(2, 720, 1280), fps=10)  # noise, which compresses worst
    videos = {
        HOSTILE: judged(place / HOSTILE, tracks=2),
        "many.mp4": judged(place / "many.mp4", tracks=MOST_TRACKS + 3, seconds=60, probability=0.1),
        "damaged.mp4": judged(place / "damaged.mp4", 1, 0.5, status="damaged", reason="the end is missing"),
    }
    videos["gone.mp4"] = judged(place / "gone.mp4", 1, 0.4)
    (place / "gone.mp4").unlink()
    for name, status, reason in (
        ("bad.mp4", "unreadable", "the file is <empty>"),
        ("pipe.mp4", "unreadable", "it is not a file"),
        ("none.mp4", "no face", ""),
        ("short.mp4", "no track", ""),
        ("start.mp4", "damaged", "only <the start> is there"),
    ):
        videos[name] = VideoScore(place / name, Video(name, status, reason), 0.5, [], [], None, 0.1)
    pages, members = pages_of(folder, list(videos))
    heat = heat_mapper(members, torch.device("cpu"))
    for name, video in videos.items():
        assert pages.add(video, summary_of(name, video), None if name == "damaged.mp4" else heat, key=name) == ""
    assert pages.finish() == ""
    return Written(folder / "out", members, videos)


def test_the_page_of_a_video_says_what_was_found_and_what_was_used(written):
    page = written.page(HOSTILE)
    assert r"\u202e\x1b.mp4" in page.text
    assert "Looks fake 90 %" in page.text
    assert "probability of 90 % that this video is fake" in page.text
    assert "Audio is not checked" in page.text
    assert "They do not show which pixels were manipulated" in page.text
    hashes = sha256(written.videos[HOSTILE].path), sha256(written.members[0].path)
    for fact in (*hashes, f"dfdc {own_version()}", "EfficientNet-Lite0, scores single faces, 64 x 64 pixels"):
        assert fact in page.text
    assert "data parts: dfdc_train_part_0, <b> trained 2026-05-01" in page.text  # the provenance
    assert "auc 0.9201 " in page.text  # without the digits that mean nothing
    assert "exponent: " in page.text  # of the settings
    # Of both faces scores, three suspicious pictures and one of the others, with heat maps; and the whole frame.
    assert len(page.all("img")) == 2 * (1 + 2 * 4) + 1
    assert [each["id"] for each in page.all("h2") if "id" in each] == ["face-1", "face-2"]


def test_beside_a_page_is_what_the_option_json_writes(written):
    (link,) = [each["href"] for each in written.page(HOSTILE).all("a") if each["href"].endswith(".json")]
    content = (written.folder / link).read_text()
    assert content == json_format({"detector": "yunet"}).text([summary_of(HOSTILE, written.videos[HOSTILE])])
    assert json.loads(content)["videos"][0]["video"] == HOSTILE


def test_the_index_leads_to_all_pages(written):
    index = checked((written.folder / "index.html").read_text())
    pages = [each["href"] for each in index.all("a")]
    order = [
        HOSTILE,
        "damaged.mp4",
        "gone.mp4",
        "many.mp4",
        "bad.mp4",
        "none.mp4",
        "pipe.mp4",
        "short.mp4",
        "start.mp4",
    ]
    assert pages == [f"{page_names(written.videos)[name]}.html" for name in order]
    assert files(written.folder) == sorted([*pages, *(f"{page[:-5]}.json" for page in pages), "index.html"])
    assert "9 videos. Looks fake: 1. Uncertain: 2. Looks real: 1. Could not be read: 2." in index.text
    assert len(index.all("img")) == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bad.mp4", "This video could not be judged: the file is <empty>."),
        ("pipe.mp4", "it is not a file"),
        ("none.mp4", "no face was found. That says nothing about whether it is genuine."),
        ("short.mp4", "no face was tracked for long enough"),
        ("start.mp4", "no face was found before the damage. That says nothing about"),
        ("start.mp4", "only <the start> is there"),
    ],
)
def test_a_video_without_a_verdict_has_a_page_that_says_why(written, name, words):
    page = written.page(name)
    assert words in page.text
    assert "50 %" not in page.text  # a number that nothing was computed for
    assert "Heat maps" not in page.text


def test_a_damaged_video_is_judged_and_the_damage_told(written):
    page = written.page("damaged.mp4")
    assert "Uncertain 50 %" in page.text
    assert "is damaged, and only the intact part was scored: the end is missing" in page.text
    assert "Heat maps" not in page.text  # none were drawn
    assert len(page.all("img")) == 1 + 4 + 1


def test_a_video_that_is_gone_is_shown_without_its_picture(written):
    page = written.page("gone.mp4")
    assert "Uncertain 40 %" in page.text
    assert "SHA-256 the file cannot be read" in page.text
    assert "The full frame" not in page.text
    assert len(page.all("img")) == 1 + 2 * 4


def test_a_page_with_many_faces_is_of_moderate_size(written):
    page = written.page("many.mp4")
    assert f"11 faces The longest {MOST_TRACKS} are shown below." in page.text
    assert len([each for each in page.all("h2") if "id" in each]) == MOST_TRACKS
    assert "Looks real 10 %" in page.text
    assert (written.folder / "many.mp4.html").stat().st_size < 2e6


def test_an_index_of_a_thousand_videos_is_small_and_fast(astronaut):
    face = small_face(astronaut[40:240, 120:320])
    entries = [Entry(f"{n}.mp4", f"{n}.mp4.html", in_words(n / 1000), n / 1000, 1, 10.0, face) for n in range(1000)]
    lines = [(entry, line_of(entry)) for entry in entries]
    begun = time.process_time()
    page = index_page(lines, 1500)
    assert time.process_time() - begun < 0.5  # it is written again and again
    assert len(page) < 2e6
    found = checked(page)
    assert found.text.count(".mp4") == 1000
    assert "1,000 of 1,500 videos so far. Looks fake: 349. Uncertain: 301. Looks real: 350." in found.text
    assert [each["data-value"] for each in found.all("th")[6:9]] == ["999.mp4", "998.mp4", "997.mp4"]


def test_the_page_into_which_files_are_dragged():
    page = checked(upload_page("Not <b> for you.", 2_000_000, 60, "Nothing is kept."))
    assert "Not <b> for you." in page.text
    assert "Up to 2 MB and 60 s each. Nothing is kept." in page.text
    assert [each["id"] for each in page.all("input")] == [each["for"] for each in page.all("label")]


# --- what a page keeps for the index of a later run


def test_a_page_keeps_what_the_index_says_of_it(written, tmp_path, astronaut):
    out, names = tmp_path / "out", list(written.videos)
    shutil.copytree(written.folder, out)
    page = out / f"{page_names(names)[HOSTILE]}.html"
    kept = read_entry(page, HOSTILE)
    assert (kept.name, kept.page, kept.faces, kept.probability) == (HOSTILE, page.name, 2, 0.9)
    assert kept.thumbnail.startswith(b"\xff\xd8")
    assert read_entry(page, "of others") is None
    assert read_entry(tmp_path / "absent.html", HOSTILE) is None
    # It is in the index of a run that goes on, if its files are there and the same was asked for.
    pages, _ = pages_of(tmp_path, names, goes_on=True)
    paths = {name: tmp_path / "videos" / name for name in names}
    index = (written.folder / "index.html").read_bytes()
    assert (out / "index.html").read_bytes() == index
    assert [pages.keep(path, name) for name, path in paths.items()] == [True] * len(names)
    assert pages.finish() == ""
    assert (out / "index.html").read_bytes() == index
    assert not pages.keep(paths[HOSTILE], "of others")
    shutil.copy(page, out / "many.mp4.html")
    assert not pages.keep(paths["many.mp4"], HOSTILE)  # it is the page of another name
    page.with_suffix(".json").unlink()
    assert not pages.keep(paths[HOSTILE], HOSTILE)
    face = small_face(astronaut[40:240, 120:320])
    # Pages that were not judged, and names that are no text.
    for entry in (kept, Entry(os.fsdecode(b"\xff'\"<.mp4"), "a.html", "no face was found", None, 0, None, face)):
        page.write_text(f"<html><head>{entry.kept('k')}</head>")
        assert read_entry(page, "k") == entry


@pytest.mark.parametrize(
    "head",
    [
        "",
        "<meta name=dfdc-entry>",
        "<meta name=dfdc-entry content='{'>",
        "<meta name=dfdc-entry content='[1]'>",
        """<meta name=dfdc-entry content='{"key": "k"}'>""",
        """<meta name=dfdc-entry content='{"key": "k", "entry": {"thumbnail": "x"}}'>""",
        """<meta name=dfdc-entry content='{"key": "k", "entry": {"thumbnail": "", "name": "a"}}'>""",
        """<meta name=dfdc-entry content='{"key": "k", "entry": 3}'>""",
        "x" * HEAD + Entry("a", "a.html", "looks real", 0.1, 1, 2.0, b"").kept("k"),
        "\xff\0<![",
    ],
)
def test_what_no_page_of_ours_keeps_is_nothing(tmp_path, head):
    (tmp_path / "a.html").write_text(head)
    assert read_entry(tmp_path / "a.html", "k") is None


# --- complete or not at all


def test_a_disk_that_is_full_leaves_whole_files_and_an_index_of_them(tmp_path, disk):
    disk(tmp_path / "out", "80k")
    pages, _ = pages_of(tmp_path, ["a.mp4", "b.mp4"])
    faults = []
    for name, reason in (("a.mp4", "why"), ("b.mp4", "why" * 20_000)):
        video = VideoScore(tmp_path / "videos" / name, Video(name, "unreadable", reason), 0.5, [], [], None, 0.1)
        faults.append(pages.add(video, Summary(name, 0.5, "uncertain", (), "unreadable", "", 0, []), None))
    assert faults[0] == ""
    assert faults[1].startswith("The page of b.mp4 could not be written: The disk is full")
    assert pages.finish() == ""
    assert files(tmp_path / "out") == ["a.mp4.html", "a.mp4.json", "b.mp4.json", "index.html"]
    for page in (tmp_path / "out").glob("*.html"):
        checked(page.read_text())
    index = checked((tmp_path / "out/index.html").read_text())
    assert "1 of 2 videos so far" in index.text


def test_what_something_else_made_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/index.html").write_text("<h1>Mine</h1>")
    with pytest.raises(UserError, match=r"index\.html, which it has not written"):
        pages_of(tmp_path, ["a.mp4"])
    (tmp_path / "out/index.html").unlink()
    pages_of(tmp_path, ["a.mp4"])
    pages_of(tmp_path, ["a.mp4"])  # its own is
    (tmp_path / "file").touch()
    (tmp_path / "out/index.html").unlink()
    (tmp_path / "out").rmdir()
    (tmp_path / "out").symlink_to("file")
    with pytest.raises(UserError, match="cannot be written"):
        pages_of(tmp_path, ["a.mp4"])


def test_a_video_is_not_overwritten_by_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "re.safetensors")
    for name in ("a", "a.html"):
        Path(name).touch()
    words = "--weights re.safetensors --detector yunet --device cpu --html ."
    assert main(["score", "a", "a.html", *words.split()]) == 2
    assert "--html would overwrite the video a.html" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.html", "a.json"])
def test_what_others_have_put_beside_a_video_is_not_overwritten(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "re.safetensors")
    Path("a").touch()
    words = "score a --weights re.safetensors --detector yunet --device cpu --workers 1 --html ."
    assert main(words.split()) == main(words.split()) == 1  # its own files are
    Path(name).write_text('{"id": 7}')
    assert main(words.split()) == 2
    assert f"--html would overwrite {name}, which it has not written" in capsys.readouterr().err
    assert Path(name).read_text() == '{"id": 7}'


def test_a_run_that_is_stopped_leaves_an_index(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    write_video(tmp_path / "videos/b.mp4", moving(3000))
    write_weights(tmp_path / "re.safetensors")
    words = "videos --weights re.safetensors --detector yunet --device cpu --workers 1 --html out"
    command = [sys.executable, "-m", "dfdc", "score", *words.split()]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as run:
        while not (tmp_path / "out/a.mp4.html").exists():
            time.sleep(0.05)
            assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        assert run.wait() == 130
    index = checked((tmp_path / "out/index.html").read_text())
    assert "1 of 2 videos so far. Could not be read: 1." in index.text
    assert files(tmp_path / "out") == ["a.mp4.html", "a.mp4.json", "index.html"]
