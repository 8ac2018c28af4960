"""Update the table in docs/reruns.md: which rules run again when a module of the library changes.

    python workflow/modules.py [--check]

Also prints the fraction of the library's code that the rules depend on. With --check nothing is written, and the exit
status is 1 if the table is out of date. Rules depend on a detector or a family of networks only if their settings name
it: the table has all, the fractions are computed with those of config.yaml.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.config.reading import read_yaml  # noqa: E402
from dfdc.networks.settings import FAMILIES  # noqa: E402
from dfdc.stages.faces.detection.settings import DETECTORS  # noqa: E402
from dfdc.system.jobs.provenance import LIBRARY, code_of, hashed_lines, module_name  # noqa: E402

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
# The rules that detect faces, and the keys of their settings in the section detection.
DETECTING = {"detect_faces": "train", "detect_test_faces": "test"}
# The rules that build networks.
BUILDING = ("convert_pretrained", "train", "export_weights", "export_pth", "score", "score_validation_clips")
BEGIN, END = "<!-- written by workflow/modules.py -->\n", "<!-- end -->\n"


def table() -> str:
    """A row for each set of rules and the modules that affect exactly these; modules that affect all rules last."""
    reach = {}
    for script in SCRIPTS:
        detectors = DETECTORS.values() if script.stem in DETECTING else ()
        families = FAMILIES.values() if script.stem in BUILDING else ()
        reach[script.stem] = code_of(script, *detectors, *families)
    rows: dict[tuple[str, ...], list[str]] = {}
    for module, path in MODULES.items():
        rules = tuple(rule for rule, code in reach.items() if module in code)
        rows.setdefault(rules, []).append(str(path.relative_to(LIBRARY)))
    lines = ["| modules of `lib/dfdc` | rules whose jobs run again |", "|---|---|"]
    for rules, modules in sorted(rows.items(), key=lambda row: (len(row[0]), row)):
        names = "all" if len(rules) == len(SCRIPTS) else ", ".join(f"`{rule}`" for rule in rules) or "none"
        lines.append(f"| {', '.join(f'`{module}`' for module in modules)} | {names} |")
    return "\n".join(lines) + "\n"


def shares() -> dict[str, float]:
    """For each rule, the fraction of the library's lines of code that make it run again if changed.

    Comments, docstrings and messages do not count, as in the code hashes (``provenance.hashed_lines``).
    """
    detection = read_yaml(ROOT / "config.yaml")["detection"]
    lines = {module: hashed_lines(path) for module, path in MODULES.items()}
    fractions = {}
    for script in SCRIPTS:
        half = DETECTING.get(script.stem)
        detector = [DETECTORS[detection[half]["detector"]]] if half else []
        family = [FAMILIES["efficientnet"]] if script.stem in BUILDING else []
        code = code_of(script, *detector, *family)
        fractions[script.stem] = sum(lines[module] for module in code if module in lines) / sum(lines.values())
    return fractions


def main() -> None:
    """Write or check the table, and print the fractions."""
    page = ROOT / "docs" / "reruns.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    now = before + BEGIN + table() + END + rest.split(END, 1)[1]
    if "--check" not in sys.argv:
        page.write_text(now, encoding="utf-8")
    elif now != text:
        sys.exit("The table in docs/reruns.md is out of date: run python workflow/modules.py")
    fractions = shares()
    mean = sum(fractions.values()) / len(fractions)
    print(f"On average a rule depends on {mean:.1%} of the library's lines of code:")
    print(", ".join(f"{rule} {fractions[rule]:.1%}" for rule in ("score", "submission", "extract_clips", "train")))


if __name__ == "__main__":
    main()
