"""The documentation: its links lead somewhere, and the commands in it exist."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+)(.+?)\1")
PROGRAMS = ("make", "python", "dfdc", "snakemake")


def name(page):
    return str(page.relative_to(ROOT))


def without_blocks(page):
    return FENCE.sub("", page.read_text(encoding="utf-8"))


# --- links


def links(page):
    """Where the links and images of a page lead to within the project."""
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", SPAN.sub("", without_blocks(page)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page):
    """The fragments that GitHub gives the headings of a page."""
    found = []
    for heading in re.findall(r"^#+ +(.+?) *$", without_blocks(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        path, _, fragment = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(f"{link}: there is no such file")
        elif fragment and fragment not in anchors(target):
            broken.append(f"{link}: {name(target)} has no such heading")
    assert broken == []


def test_every_page_can_be_found_from_the_readme():
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            left += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert set(PAGES) <= reached


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_links_are_looked_at(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c!\n## A\n## A\n[x](y.md#z) `[no](no)` ![](p.svg) [w](https://w)\n```\n[no](no)\n# no\n```\n"
    )
    assert links(page) == ["y.md#z", "p.svg"]
    assert anchors(page) == ["a-b-c", "a", "a-1"]


# --- commands


def commands(page):
    """The commands of a page for the programs above, each as its words: those in blocks, and those within a line."""
    lines = []
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in ("", "sh", "bash", "console"):
            block = block.replace("\\\n", " ")
            prompted = re.findall(r"^\$ (.+)$", block, re.MULTILINE)
            lines += prompted or block.splitlines()
    lines += [span for _, span in SPAN.findall(without_blocks(page))]
    for line in lines:
        for part in re.split(r"&&|;|\|", line):
            words = split(part)
            if words and words[0] in ("docker", "apptainer") and "snakemake" in words:
                words = words[words.index("snakemake") :]
            if len(words) > 1 and words[0] in PROGRAMS:
                yield words


def split(text):
    """The words of a command without assignments before it and comments after it; none if it is no command."""
    text = re.sub(r"^\s*([A-Z_]+=\S*\s+)*", "", text)
    if not text.startswith((*PROGRAMS, "docker", "apptainer")):
        return []
    return [word for word in shlex.split(text, comments=True) if word != "…"]


def all_commands(program):
    found = {(name(page), *words) for page in PAGES for words in commands(page) if words[0] == program}
    return [pytest.param(list(words), id=f"{page}: {shlex.join(words)}") for page, *words in sorted(found)]


def options(words):
    return {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}


def exists(path):
    """Whether a file is there that the project would have to bring along."""
    ours = path.startswith(("profiles/", "tests/", "workflow/", "lib/"))
    return not ours or (ROOT / path).exists()


@pytest.mark.parametrize("words", all_commands("make"))
def test_make_has_the_target(words):
    targets = set(re.findall(r"^([\w.-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words[1:] if "=" not in word} <= targets
    assigned = [word.partition("=")[0] for word in words if "=" in word]
    assert all(f"$({variable})" in (ROOT / "Makefile").read_text() for variable in assigned)


def test_make_lists_its_targets():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    for command in (["make"], ["make", "help"]):
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"^make (\S+) ", said, re.MULTILINE)) == set(targets)


@pytest.mark.parametrize("words", all_commands("python"))
def test_the_script_is_there_and_has_the_options(words):
    script = ROOT / words[1]
    assert script.is_file()
    text = script.read_text(encoding="utf-8")
    assert {option for option in options(words) if f'"{option}"' not in text} == set()


@cache
def help_of(command):
    """What ``dfdc COMMAND --help`` prints; fails if there is no such command."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["dfdc"]
    module, function = entry.split(":")
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            status = getattr(import_module(module), function)([command, "--help"])
        except SystemExit as end:
            status = end.code
    assert not status, text.getvalue()
    return text.getvalue()


@pytest.mark.parametrize("words", all_commands("dfdc"))
def test_dfdc_has_the_command_and_its_options(words):
    known = set(re.findall(r"--[a-z-]+", help_of(words[1])))
    assert options(words) <= known
    assert all(exists(word) for word in words)


@cache
def rules():
    return "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def is_target(word):
    """Whether a rule has this name or writes a file like this; of the data, which the demo makes, nothing is known."""
    if word == "all" or word.startswith("data/") or re.search(rf"^rule {re.escape(word)}:$", rules(), re.MULTILINE):
        return True
    outputs = re.findall(r'"((?:results/)?[\w./{}]+\.\w+)"', rules())
    patterns = [re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(output)) for output in outputs]
    return any(re.fullmatch(pattern, word) for pattern in patterns)


@pytest.mark.parametrize("words", all_commands("snakemake"))
def test_snakemake_takes_the_command(words):
    from snakemake.cli import get_argument_parser

    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            asked = get_argument_parser().parse_args([re.sub(r"\$\w+", "/folder", word) for word in words[1:]])
        except SystemExit:
            pytest.fail(errors.getvalue())
    targets = [*asked.targets, *(asked.until or ())]
    assert [target for target in targets if not is_target(target)] == []
    assert all(exists(str(path)) for path in asked.configfile or ())
    profiles = re.findall(r"--profile[ =](\S+)", " ".join(words))
    assert [profile for profile in profiles if not (ROOT / profile / "config.yaml").is_file()] == []
    for rule in re.findall(r"\b(\w+):\w+=", " ".join(words)):
        assert is_target(rule), f"there is no rule {rule}"


def test_commands_are_looked_at(tmp_path):
    page = tmp_path / "page.md"
    block = "make a && . x  # b\nX=1 dfdc s \\\n  --c\nmore\nsnakemake t | dot\napptainer exec i snakemake -n"
    page.write_text(
        f"```\n{block}\n```\n```yaml\nmake no\n```\n`python p.py --q` and `make`\n```\n$ make d\nmake no\n```\n"
    )
    assert [" ".join(words) for words in commands(page)] == [
        "make a",
        "dfdc s --c",
        "snakemake t",
        "snakemake -n",
        "make d",
        "python p.py --q",
    ]


# --- the files beside the documentation


@pytest.mark.parametrize("path", ["CITATION.cff", ".github/workflows/ci.yml", ".snakemake-workflow-catalog.yml"])
def test_files_for_other_sites_are_yaml(path):
    assert isinstance(yaml.safe_load((ROOT / path).read_text(encoding="utf-8")), dict)


def test_the_projected_budget_is_what_its_script_prints():
    command = [sys.executable, str(ROOT / "benchmarks/budget.py")]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table in (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    faster = subprocess.run([*command, "step_frame=0.025"], capture_output=True, text=True, check=True).stdout
    assert faster != table


def test_the_citation_has_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
