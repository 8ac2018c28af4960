"""Write into docs/reruns.md which rules run again when a module of the library changes.

    python workflow/modules.py [--check]

With --check nothing is written, and the exit status is 1 if that page says something else.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.system.jobs.provenance import LIBRARY, code_of  # noqa: E402

BEGIN, END = "<!-- written by workflow/modules.py -->\n", "<!-- end -->\n"


def table() -> str:
    """A row for each set of rules that modules share, the modules that concern all rules last."""
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    reach = {script.stem: code_of(script) for script in scripts}
    rows: dict[tuple[str, ...], list[str]] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        module = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__")
        rules = tuple(rule for rule, code in reach.items() if module in code)
        rows.setdefault(rules, []).append(str(path.relative_to(LIBRARY)))
    lines = ["| modules of `lib/dfdc` | rules whose jobs run again |", "|---|---|"]
    for rules, modules in sorted(rows.items(), key=lambda row: (len(row[0]), row)):
        named = "all" if len(rules) == len(scripts) else ", ".join(f"`{rule}`" for rule in rules) or "none"
        lines.append(f"| {', '.join(f'`{module}`' for module in modules)} | {named} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table, or compare it."""
    page = ROOT / "docs" / "reruns.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    now = before + BEGIN + table() + END + rest.split(END, 1)[1]
    if "--check" not in sys.argv:
        page.write_text(now, encoding="utf-8")
    elif now != text:
        sys.exit("docs/reruns.md does not say which rules a module concerns: run python workflow/modules.py")


if __name__ == "__main__":
    main()
