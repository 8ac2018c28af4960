"""The documentation names the rules and packages that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    rule
    for path in (ROOT / "rules").glob("*.smk")
    for rule in re.findall(r"^rule (\w+):$", path.read_text(), re.MULTILINE)
}


def section(page, heading):
    """The text below a heading, up to the next of its level."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    return found[1]


def test_the_table_of_stages_has_every_rule():
    stages = section(ROOT / "docs" / "how-it-works.md", "## Stages")
    assert set(re.findall(r"^\| `(\w+)`[^|]*\|.*\|.*\|$", stages, re.MULTILINE)) & RULES == RULES


def test_the_layout_names_what_is_there():
    library = ROOT / "lib" / "dfdc"
    named = re.findall(r"^\| `([\w/.]+)` \|", section(ROOT / "CONTRIBUTING.md", "## Layout"), re.MULTILINE)
    assert [path for path in named if not (library / path).exists()] == []
    there = {path.name for path in library.iterdir() if not path.name.startswith("_")} - {"py.typed"}
    assert there == {path.strip("/").split("/")[0] for path in named}


def test_files_to_open_are_there():
    places = [ROOT, ROOT / "lib" / "dfdc", ROOT / "lib" / "dfdc" / "stages" / "faces" / "detection"]
    spans = re.findall(r"`([^`]+)`", section(ROOT / "CONTRIBUTING.md", "## Which file do I open to …"))
    paths = [span for span in spans if re.search(r"/|\.(py|yaml)$", span) and not re.search(r"[<>*{}]", span)]
    beside = {"settings.yaml"}  # named as lying beside a profile
    assert [path for path in paths if path not in beside and not any((place / path).exists() for place in places)] == []
