"""Write into docs/reruns.md which rules run again when a module of the library changes, and print for how many lines.

    python workflow/modules.py [--check]

With --check nothing is written, and the exit status is 1 if that page says something else. A detector concerns only
the rules whose settings name it: the table has all detectors, the lines are counted with those of config.yaml.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.config.reading import read_yaml  # noqa: E402
from dfdc.stages.faces.detection.settings import DETECTORS  # noqa: E402
from dfdc.system.jobs.provenance import LIBRARY, code_of, hashed_lines, module_name  # noqa: E402

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
# The rules that find faces, and where their settings are.
DETECTING = {"detect_faces": "train", "detect_test_faces": "test"}
BEGIN, END = "<!-- written by workflow/modules.py -->\n", "<!-- end -->\n"


def table() -> str:
    """A row for each set of rules that modules share, the modules that concern all rules last."""
    detectors = DETECTORS.values()
    reach = {script.stem: code_of(script, *(detectors if script.stem in DETECTING else ())) for script in SCRIPTS}
    rows: dict[tuple[str, ...], list[str]] = {}
    for module, path in MODULES.items():
        rules = tuple(rule for rule, code in reach.items() if module in code)
        rows.setdefault(rules, []).append(str(path.relative_to(LIBRARY)))
    lines = ["| modules of `lib/dfdc` | rules whose jobs run again |", "|---|---|"]
    for rules, modules in sorted(rows.items(), key=lambda row: (len(row[0]), row)):
        named = "all" if len(rules) == len(SCRIPTS) else ", ".join(f"`{rule}`" for rule in rules) or "none"
        lines.append(f"| {', '.join(f'`{module}`' for module in modules)} | {named} |")
    return "\n".join(lines) + "\n"


def shares() -> dict[str, float]:
    """For each rule the share of the library's lines of code whose change makes it run again.

    Comments, docstrings and messages are no code here, as in the hashes (``provenance.hashed_lines``)."""
    detection = read_yaml(ROOT / "config.yaml")["detection"]
    lines = {module: hashed_lines(path) for module, path in MODULES.items()}
    found = {}
    for script in SCRIPTS:
        half = DETECTING.get(script.stem)
        code = code_of(script, *[DETECTORS[detection[half]["detector"]]] if half else [])
        found[script.stem] = sum(lines[module] for module in code if module in lines) / sum(lines.values())
    return found


def main() -> None:
    """Write the table, or compare it; then print the shares."""
    page = ROOT / "docs" / "reruns.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    now = before + BEGIN + table() + END + rest.split(END, 1)[1]
    if "--check" not in sys.argv:
        page.write_text(now, encoding="utf-8")
    elif now != text:
        sys.exit("docs/reruns.md does not say which rules a module concerns: run python workflow/modules.py")
    found = shares()
    print(f"The code of a rule has {sum(found.values()) / len(found):.1%} of the library's lines of code on average:")
    print(", ".join(f"{rule} {found[rule]:.1%}" for rule in ("score", "submission", "extract_clips", "train")))


if __name__ == "__main__":
    main()
