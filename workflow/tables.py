"""Write docs/tables.md: every table, the files that hold it, the rule that writes them, its columns.

    python workflow/tables.py [--check]

The columns are those of dfdc.data.tables, the files those of the rules. With --check nothing is written, and the exit
status is 1 if the page says something else.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from parsed import parsed_rules
from snakemake.io import strip_wildcard_constraints

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.data.catalog import schemas, type_in_words  # noqa: E402

PAGE = ROOT / "docs" / "tables.md"

# What a row of a table is about, in the order of the page.
ROWS = {
    "videos": "a video that the part's `metadata.json` names, missing ones too",
    "test_videos": "a test video",
    "detections": "a face in a sampled frame",
    "tracks": "a face of a track in a frame",
    "aligned": "a track of a real video together with one of a fake of it, or why there is none",
    "clips": "a clip that was cut or should have been",
    "pairs": "a real clip and its fake, which training mixes",
    "metrics": "an iteration of a training",
    "validation": "a measurement of a model on validation clips",
    "crops": "a face of a test video, or a window of faces, as models look at it",
    "scores": "a face that a model has judged",
    "validation_scores": "a frame of a validation clip, as it was cut or compressed again, that a model has judged",
    "evaluated": "a test video, or a validation clip, as one model or some together score it",
}

HEAD = """\
# Tables

What the stages write, column by column. This page is made from [lib/dfdc/data/schemas](../lib/dfdc/data/schemas) by
`python workflow/tables.py`. Every table is a Parquet file that holds these descriptions too: `dfdc inspect FILE` shows
them with what is in the columns, and pandas, DuckDB and the like read the files as they are.

Frames are numbered from 0. Boxes are x1, y1, x2, y2 in pixels of the upright frame. What does not exist, such as the
box of a clip that could not be cut, is null. A name in braces is that of a part, a shard or a model.
"""


def page() -> str:
    """The whole page. Raises KeyError for a table that ``ROWS`` does not know or no rule writes."""
    files: dict[str, list[str]] = {}
    for table, rule, path in written():
        files.setdefault(table, []).append(f"`{path}`, written by `{rule}`")
    sections = []
    all_schemas = schemas()
    for table in [*ROWS, *(all_schemas.keys() - ROWS.keys())]:
        columns = [
            f"| `{column.name}` | {type_in_words(column.type)} | {column.metadata[b'description'].decode()} |"
            for column in all_schemas[table]
        ]
        where = "".join(f"- {place}\n" for place in files[table])
        head = "| column | type | what it is |\n|---|---|---|\n"
        sections.append(f"## {table}\n\nA row is {ROWS[table]}.\n\n{where}\n{head}" + "\n".join(columns) + "\n")
    return "\n".join([HEAD, *sections])


def written() -> Iterator[tuple[str, str, str]]:
    """(table, rule, file) for each table that a rule's script writes, in the order of the rules."""
    for rule in parsed_rules():
        script = (ROOT / "workflow" / "scripts" / f"{rule.name}.py").read_text(encoding="utf-8")
        for name, table in re.findall(r"write_table\(snakemake\.output[.[](\w+)\]?, ([A-Z_]+)", script):
            path = rule.output[int(name)] if name.isdigit() else rule.output[name]
            yield table.lower(), rule.name, strip_wildcard_constraints(path)


def main() -> None:
    """Write the page, or compare it."""
    now = page()
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(now, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != now:
        sys.exit("docs/tables.md does not say what the tables are: run python workflow/tables.py")


if __name__ == "__main__":
    main()
