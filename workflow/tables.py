"""Write docs/tables.md: all tables with their files, the rules that write them, and their columns.

    python workflow/tables.py [--check]

Columns are taken from dfdc.data.schemas, files from the rules. With --check nothing is written, and the exit status is
1 if the page is out of date.
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

# What a row of each table describes, in the order of the page.
ROWS = {
    "videos": "a video in the part's `metadata.json`, even if the file is missing",
    "test_videos": "a test video",
    "detections": "a face in a sampled frame",
    "tracks": "a face of a track in a frame",
    "aligned": "a track of a real video and the matching track of one of its fakes, or the reason why there is none",
    "clips": "a clip, including clips that could not be cut",
    "pairs": "a real clip and its fake, for mixup in training",
    "variants": "a pair of clips, recompressed once",
    "metrics": "a training iteration",
    "validation": "a validation result of a model during training",
    "crops": "a face of a test video, or a window of faces, as input of a model",
    "scores": "a face and its score by one model",
    "validation_scores": "a frame of a validation clip, plain or recompressed, and its score by one model",
    "evaluated": "a test video or a validation clip, and its score by one model or an ensemble",
}

HEAD = """\
# Tables

The tables written by the stages, and their columns. This page is generated from
[lib/dfdc/data/schemas](../lib/dfdc/data/schemas) by `python workflow/tables.py`. Tables are Parquet files, readable
with pandas, DuckDB and similar tools. They also contain these descriptions; `dfdc inspect FILE` shows them with a
summary of each column.

Frames are numbered from 0. Boxes are x1, y1, x2, y2 in pixels of the upright frame. Missing values, such as the box of
a clip that could not be cut, are null. Names in braces stand for a part, a shard or a model.
"""


def page() -> str:
    """The whole page. Raises KeyError for a table that is missing in ``ROWS`` or is not written by any rule."""
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
    """(table, rule, file) for each table written by a rule's script, in the order of the rules."""
    for rule in parsed_rules():
        script = (ROOT / "workflow" / "scripts" / f"{rule.name}.py").read_text(encoding="utf-8")
        for name, table in re.findall(r"write_table\(snakemake\.output[.[](\w+)\]?, ([A-Z_]+)", script):
            path = rule.output[int(name)] if name.isdigit() else rule.output[name]
            yield table.lower(), rule.name, strip_wildcard_constraints(path)


def main() -> None:
    """Write or check the page."""
    now = page()
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(now, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != now:
        sys.exit("docs/tables.md is out of date: run python workflow/tables.py")


if __name__ == "__main__":
    main()
