"""The rules as they are written, and the graph that they make."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    name: text
    for file in sorted((ROOT / "rules").glob("*.smk"))
    for name, text in re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)+)", file.read_text(), re.MULTILINE)
}
# Rules that no other needs.
ON_DEMAND = {"export_pth": ("model", "")}
# Edges whose files are ancient: their readers do not run again, but never before them.
ANCIENT = {("make_demo_data", "extract_clips"), ("make_demo_data", "crop_test_faces")}


def directive(rule, name):
    """The text below a directive of a rule."""
    found = re.search(rf"^    {name}:\n((?: {{8}}.*\n)+)", RULES[rule], re.MULTILINE)
    return found[1].strip().removesuffix(",") if found else ""


def test_each_rule_has_its_script():
    assert set(RULES) == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_directives(rule, graph):
    wildcards, _ = {**graph, **ON_DEMAND}[rule]
    places = "/".join([rule, *(f"{{{wildcard}}}" for wildcard in wildcards.split())])
    assert directive(rule, "script") == f'"../workflow/scripts/{rule}.py"'
    assert directive(rule, "log") == f'"logs/{places}.log"'
    assert directive(rule, "benchmark") == f'"benchmark/{places}.tsv"'
    assert f'code=lambda wildcards: code("{rule}")' in directive(rule, "params")
    assert "speed" not in directive(rule, "params")
    assert re.search(r"mem_mb=growing\(\d+\)", directive(rule, "resources"))
    assert re.search(r"runtime=growing\(\d+\)", directive(rule, "resources"))
    assert directive(rule, "conda")
    assert not re.search(r"^    (run|shell):|touch\(|temp\(", RULES[rule], re.MULTILINE)


def test_a_rule_without_log_is_seen(monkeypatch, graph):
    monkeypatch.setitem(RULES, "train", RULES["train"].replace("    log:\n", "    message:\n"))
    with pytest.raises(AssertionError):
        test_directives("train", graph)


def test_the_snakefile_is_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


def test_rulegraph(project, graph):
    printed = project.snakemake("--rulegraph", "--forceall").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', printed))
    edges = {(names[start], names[end]) for start, end in re.findall(r"(\d+) -> (\d+)", printed)}
    wanted = {(rule, reader) for rule, (_, readers) in graph.items() for reader in readers.split()} | ANCIENT
    assert {(rule, reader) for rule, reader in edges if reader != "all"} == wanted
    figures = {rule for rule in graph if rule.endswith("_figures")}
    wanted = {"evaluate", "evaluate_validation", "submission"} | figures
    assert {rule for rule, reader in edges if reader == "all"} == wanted
