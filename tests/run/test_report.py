"""The figures of the tiny demo, and the page that shows them."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from dfdc.system.checksums import read_json

FIGURES = {
    "data": ["alignment.svg", "clips.svg", "faces.svg", "heights.svg", "tracks.svg", "videos.svg"],
    "test_data": ["faces.svg", "heights.svg", "tracks.svg", "videos.svg"],
    "samples": [
        *(
            "augmented_mixup.jpg",
            "clip.jpg",
            "clips.jpg",
            "frame_inputs.jpg",
            "mixup.jpg",
            "sequence_input.jpg",
            "variants.jpg",
        ),
    ],
    "training": ["training.svg", "validation.svg"],
    "validation": ["calibration.svg", "conditions.svg"],
    "scores": ["mistakes.jpg", "roc.svg", "scores.svg", "transform.svg"],
}
PATHS = sorted(f"{folder}/{name}" for folder, names in FIGURES.items() for name in names)
SVG = "{http://www.w3.org/2000/svg}"
# What a browser loads of a page, by tag.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What a page loads from elsewhere, and its styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.styles: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._in_style = tag == "style"
        if source := dict(attributes).get(LOADED.get(tag, "")):
            self.loaded.append(source)

    def handle_endtag(self, tag):
        self._in_style = False

    def handle_data(self, data):
        if self._in_style:
            self.styles.append(data)


def test_there_are_no_other_figures(finished_run):
    folder = finished_run.demo / "results/figures"
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == PATHS


@pytest.mark.parametrize("path", PATHS)
def test_a_figure_is_not_empty(finished_run, path):
    file = finished_run.demo / "results/figures" / path
    assert 5_000 < file.stat().st_size < 600_000
    if path.endswith(".jpg"):
        picture = np.asarray(Image.open(file))
        assert picture.shape[2] == 3
        assert 640 <= picture.shape[1] <= 2000
        assert picture.std() > 5  # words, at least
    else:
        root = ElementTree.parse(file).getroot()
        assert len(list(root.iter(f"{SVG}path"))) > 20
        links = [value for node in root.iter() for name, value in node.attrib.items() if name.endswith("href")]
        assert all(link.startswith("#") for link in links)


def test_the_report_needs_no_network(project, monkeypatch):
    """Made where no address can be reached, the page holds every figure and loads nothing."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = project.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    text = (project.demo / "report.html").read_text(encoding="utf-8")
    for path in PATHS:
        content = base64.b64encode((project.demo / "results/figures" / path).read_bytes()).decode()
        assert content in text, path
    for words in ("Mixup of aligned faces", "vega", "draw_score_figures", "Worst mistakes", "1 Training videos"):
        assert words in text
    # The first page has the result, says that there are faces, and makes figures visible in every browser.
    measured = read_json(project.demo / "results/evaluation.json")["ensemble"]
    assert f"{measured['log_loss']:.3f} (" in text
    for words in ("Deepfake detection: results", "shows faces of real people", "Version", "result.data_uri.replace"):
        assert words in text
    assert "One in 3 of the frames" in re.sub(r"\\n|\s+", " ", text)  # a caption's value
    page = Page(text)
    assert all(source.startswith("data:") for source in page.loaded), page.loaded
    assert page.styles
    assert not re.search(r"@import|url\(\s*['\"]?https?:", "".join(page.styles))


def test_without_labels_the_figures_that_need_them_are_absent(project):
    printed = project.snakemake(
        "--dry-run", "--forceall", settings={"data": {"test_labels": None}}, own_data=True
    ).stdout
    assert "results/figures/scores/scores.svg" in printed
    assert "roc.svg" not in printed
    assert "mistakes.jpg" not in printed
