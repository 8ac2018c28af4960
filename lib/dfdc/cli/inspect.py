"""Show what is in a file that a stage has written.

The file is a table (.parquet), a store of clips or faces (.arrow), weights (.safetensors, .pth), submission.csv, labels
of videos, evaluation.json, calibration.json or a figure; its type is determined from its content, not its name. --clip
extracts the images of a clip from a store, byte for byte:

    dfdc inspect results/clips/dfdc_train_part_0.arrow --clip 12 --out clip-12
"""

import argparse
import csv
import io
import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from dfdc.data.catalog import type_in_words
from dfdc.data.pictures.png import PNG_SIGNATURE
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import PICTURES, STREAMS
from dfdc.data.tables import read_any_table
from dfdc.system.checksums import damaged, read_json, verify_figure, verify_submission
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path
from dfdc.system.jobs.records.accepted import accepted
from dfdc.system.words import some

WIDEST = 100  # columns of the terminal that are used
LISTED = 6  # maximum number of distinct strings that are counted individually
CELL = 24  # characters of a value in a row
# A key by which a report is recognised, and what it is.
REPORTS = {"ensemble": "evaluation", "conditions": "evaluation of validation clips", "as_given": "calibration"}
STEPS = ("B", "kB", "MB", "GB", "TB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", type=Path, help="the file to inspect")
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="number of rows of a table to show (5)")
    parser.add_argument("--clip", type=int, metavar="ID", help="the number of a clip in a store; requires --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the images of the clip to this folder")


def run(options: argparse.Namespace) -> int:
    """Print what is in the file, or extract a clip from it."""
    if (options.clip is None) != (options.out is None):
        raise UserError("--clip and --out belong together: the number of a clip, and the folder for its images.")
    if options.rows < 0:
        raise UserError(f"--rows is {options.rows}, but must be 0 or more.")
    kind = kind_of(options.file)
    if options.clip is not None:
        if kind != "store":
            raise UserError(f"{options.file} holds no clips: --clip takes a store, results/clips/*.arrow for example.")
        print(take_out(options.file, options.clip, options.out))
        return 0
    lines = {
        "table": lambda: describe_table(options.file, options.rows),
        "store": lambda: describe_store(options.file),
        "weights": lambda: describe_weights(options.file),
        "submission": lambda: describe_submission(options.file, options.rows),
        "report": lambda: describe_report(options.file),
        "figure": lambda: describe_figure(options.file),
    }[kind]()
    for line in lines:
        print(line)
    for entry in accepted(options.file):
        print(f"\nAccepted on {entry['date']} after a change of code: {some(entry['code'])} (make accept)")
    return 0


def kind_of(path: Path) -> str:
    """The type of a file, from its first bytes. Raises UserError if it is not one that a stage writes."""
    if not path.is_file():
        fault = "is a folder; name a file in it" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {fault}.")
    with path.open("rb") as file:
        start = file.read(64)
    starts = {b"PAR1": "table", b"ARROW1": "store", b"PK\3\4": "weights", b"filename,label": "submission"}
    for magic, kind in starts.items():
        if start.startswith(magic):
            return kind
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "weights"
    if start.lstrip().startswith(b"{"):
        return "report"
    if b"<svg" in start or start.startswith((b"<?xml", PNG_SIGNATURE, b"\xff\xd8\xff")):
        return "figure"
    look = f"begins with {start[:12]!r}" if start else "is empty"
    raise UserError(
        f"{path} was not written by a stage: neither a table (.parquet), a store (.arrow), weights (.safetensors, "
        f".pth), submission.csv, labels, evaluation.json, calibration.json nor a figure. It {look}."
    )


def describe_table(path: Path, rows: int) -> Iterator[str]:
    """Name, size, columns with summaries, and the first rows. Raises UserError if it is not a table of a stage."""
    try:
        name = (pq.read_schema(path).metadata or {}).get(b"table")
    except (pa.ArrowException, OSError):
        name = b""  # it is damaged, see below
    if name is None:
        raise UserError(f"{path} is a Parquet file, but not a table written by a stage: its metadata name no table.")
    table = read_any_table(path)
    yield f"{path}: table {name.decode()}, {_count(table.num_rows, 'row')}, {_size(path.stat().st_size)}"
    yield ""
    names, kinds = table.schema.names, [type_in_words(column.type) for column in table.schema]
    widths = max(map(len, names)), max(map(len, kinds))
    for field, kind in zip(table.schema, kinds, strict=True):
        meaning = (field.metadata or {}).get(b"description", b"").decode()
        head = f"{field.name:{widths[0]}}  {kind:{widths[1]}}  "
        yield from _wrapped(meaning, head)
        yield from _wrapped(summary(table[field.name]), " " * len(head) + "= ")
    if shown := min(rows, table.num_rows):
        yield ""
        yield f"The first {_count(shown, 'row')}:"
        yield from _rows_in_lines(table.slice(0, shown))


def summary(column: pa.ChunkedArray) -> str:
    """A one-line summary of a column: the range of numbers, counts of up to ``LISTED`` strings, and of nulls."""
    nulls = column.null_count
    values = column.drop_null()
    if len(values) == 0:
        return "all null" if nulls else "nothing"
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        text = _words(values.cast(pa.string()))
    elif pa.types.is_nested(values.type):
        inner, lengths = values.type.value_type, pc.list_value_length(values)
        text = "" if pa.types.is_fixed_size_list(values.type) else f"lengths {_range(lengths)}"
        while pa.types.is_nested(inner):
            values, inner = pc.list_flatten(values), inner.value_type
        numbers = pc.list_flatten(values)
        text = "; ".join(filter(None, [text, f"values {_range(numbers)}" if len(numbers) else ""]))
    else:
        text = _range(values)
    return f"{text}; {nulls} null" if nulls else text


def _words(values: pa.ChunkedArray) -> str:
    counts = Counter({count["values"]: count["counts"] for count in pc.value_counts(values).to_pylist()})
    if len(counts) > LISTED:
        return f"{len(counts)} different, {_short(min(counts))} to {_short(max(counts))}"
    return ", ".join(f"{_short(word, 60) or 'empty'} {count}" for word, count in counts.most_common())


def _range(values: pa.ChunkedArray | pa.Array) -> str:
    numbers = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    low, middle, high = np.min(numbers), np.median(numbers), np.max(numbers)
    if low == high:
        return f"all {_number(low)}"
    return f"{_number(low)} to {_number(high)}, median {_number(middle)}"


def _rows_in_lines(table: pa.Table) -> Iterator[str]:
    """Rows as aligned columns, in several blocks if they are too wide for the terminal."""
    cells = {name: [_cell(value) for value in table[name].to_pylist()] for name in table.column_names}
    for line in pd.DataFrame(cells).to_string(line_width=_width()).splitlines():
        yield line.rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        inner = [_cell(entry) for entry in value[:4]]
        text = ", ".join(inner[:4] if len(value) <= 4 else inner[:2])
        return f"[{text}]" if len(value) <= 4 else f"[{text}, … {len(value)}]"
    return _short(str(value))


def describe_store(path: Path) -> Iterator[str]:
    """The number of clips, and the sizes of clips and images, or of streams."""
    store = _store(path)
    clips = [store.files(clip) for clip in range(len(store))]
    lengths, sizes, pictures = [], [], Counter()
    if store.column != "png":
        sizes = [pc.sum(pc.binary_length(clip)).as_py() or 0 for clip in clips]
        yield f"{path}: store, {_count(len(clips), 'variant')}, {_size(path.stat().st_size)}"
        if clips:
            yield ""
            yield f"bytes of a variant  {_range(pa.array(sizes))}"
        return
    for clip in clips:
        lengths.append(len(clip))
        sizes.append(pc.sum(pc.binary_length(clip)).as_py() or 0)
        if len(clip):  # all images of a clip have the same size
            pictures[_size_of_picture(clip[0].as_buffer()[:24].to_pybytes(), path)] += len(clip)
    yield f"{path}: store, {_count(len(lengths), 'clip')}, {sum(lengths)} images, {_size(path.stat().st_size)}"
    if not pictures:
        return
    yield ""
    yield f"images in a clip    {_range(pa.array(lengths))}"
    yield f"bytes of a clip     {_range(pa.array(sizes))}"
    yield f"bytes of an image   {sum(sizes) / sum(lengths):.0f} on average"
    for side, name in enumerate(("width", "height")):
        yield f"{name:18}  {_range(pa.array([size[side] for size in pictures.elements()]))}"
    most = ", ".join(f"{width}x{height} ({count})" for (width, height), count in pictures.most_common(LISTED))
    yield from _wrapped(most + (", …" if len(pictures) > LISTED else ""), "sizes (images)      ")


def take_out(path: Path, clip: int, folder: Path) -> str:
    """Write the PNG files of a clip, or the streams of a pair, to ``folder``, unchanged, and return a message.

    Raises UserError if the store has no such clip.
    """
    store = _store(path)
    if not 0 <= clip < len(store):
        has = f"its clips are numbered 0 to {len(store) - 1}" if len(store) else "it holds no clips"
        raise UserError(f"{path} has no clip {clip}: {has}.")
    files = store.files(clip)
    for number, content in enumerate(files):
        with atomic_path(folder / f"{clip:05d}-{number:03d}.{store.column}") as temporary:
            temporary.write_bytes(content.as_buffer())
    unit = "image" if store.column == "png" else "stream"
    return f"{_count(len(files), unit)} of clip {clip} written to {folder}"


def _store(path: Path) -> Store:
    """A store, memory-mapped. Raises UserError if it is damaged or not a store."""
    try:
        names = pa.ipc.open_file(pa.memory_map(str(path))).schema.names
    except (OSError, pa.ArrowException):
        names = PICTURES.names  # it is damaged, which Store says
    if names not in (PICTURES.names, STREAMS.names):
        raise UserError(f"{path} is an Arrow file, but not a store: its columns are {', '.join(names)}.")
    return Store(path)


def _size_of_picture(png: bytes, path: Path) -> tuple[int, int]:
    """Width and height, bytes 16 to 24 of a PNG file."""
    if not png.startswith(PNG_SIGNATURE) or len(png) < 24:
        raise UserError(f"{path} is damaged: an image in it is not a PNG file. Delete it and run snakemake again.")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def describe_weights(path: Path) -> Iterator[str]:
    """The metadata of the weights, and the number of parameters. Raises UserError if the file is damaged."""
    from dfdc.networks.weights.files import (  # imported late, because torch takes seconds to import
        read_tensors,
        read_weights_metadata,
    )

    metadata, tensors = read_weights_metadata(path), read_tensors(path)
    numbers, bytes_of = Counter(), Counter()
    for tensor in tensors.values():
        kind = str(tensor.dtype).removeprefix("torch.")
        numbers[kind] += tensor.numel()
        bytes_of[kind] += tensor.numel() * tensor.element_size()
    yield f"{path}: weights, {_count(len(tensors), 'tensor')}, {sum(numbers.values()):,} numbers, " + _size(
        path.stat().st_size
    )
    yield ""
    for kind, count in numbers.most_common():
        yield f"{kind:8}  {count:,} numbers, {_size(bytes_of[kind])}"
    names = list(tensors)
    ends = [names[0], "…", names[-1]] if len(names) > 2 else names
    shapes = [f"{name} {'x'.join(map(str, tensors[name].shape)) or '1'}" if name != "…" else name for name in ends]
    yield from _wrapped(" ".join(shapes), "tensors   ")
    yield "" if metadata else "It has no metadata."
    yield from _nested(dict(sorted(metadata.items())))


def describe_submission(path: Path, rows: int) -> Iterator[str]:
    """The number of videos and the distribution of their scores, or their labels.

    Raises UserError if a line is invalid, or if it is the submission of a run and has changed.
    """
    try:
        verify_submission(path)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        scores = np.array([float(line["label"]) for line in lines])
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} must have a name and a number in each line after the first ({error}).") from error
    # Scores are clipped (ensemble.clip), so those of a submission are neither 0 nor 1.
    is_labels = bool(lines) and (len(lines[0]) > 2 or set(scores) <= {0, 1})
    kind = "labels" if is_labels else "submission"
    yield f"{path}: {kind}, {_count(len(lines), 'video')}, {_size(path.stat().st_size)}"
    if not lines:
        return
    yield ""
    if is_labels:
        yield f"fake  {(scores == 1).sum()}"
        yield f"real  {(scores == 0).sum()}"
        if methods := Counter(line["method"] for line in lines if line.get("method")):
            yield from _wrapped(", ".join(f"{name} {count}" for name, count in methods.most_common()), "methods  ")
        return
    yield f"probability of fake  {_range(pa.array(scores))}"
    yield f"more than 0.5        {(scores > 0.5).sum()}"
    yield f"less than 0.5        {(scores < 0.5).sum()}"
    yield f"exactly 0.5          {(scores == 0.5).sum()} (without a face, or unreadable)"
    if shown := lines[:rows]:
        yield ""
        yield f"The first {_count(len(shown), 'row')}:"
        yield from (f"{line['filename']}  {_number(float(line['label']))}" for line in shown)


def describe_report(path: Path) -> Iterator[str]:
    """The values of an evaluation or a calibration. Raises UserError if the file is neither."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from error
    kind = next((kind for key, kind in REPORTS.items() if key in content), None)
    if kind is None:
        raise UserError(f"{path} is JSON, but neither an evaluation nor a calibration that a stage writes.")
    report = read_json(path)
    yield f"{path}: {kind}"
    yield ""
    yield from _nested(report)


def describe_figure(path: Path) -> Iterator[str]:
    """The format and the size of a figure. Raises UserError if it cannot be read, or has changed."""
    content = path.read_bytes()
    try:
        verify_figure(content)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    try:
        if content[:5] in (b"<?xml", b"<svg "):
            root = ElementTree.fromstring(content)
            kind, size = "SVG", f"{root.get('width')} x {root.get('height')}"
        else:
            with Image.open(path) as picture:
                kind, size = picture.format, f"{picture.width} x {picture.height} pixels"
    except (ElementTree.ParseError, OSError) as error:
        raise UserError(f"{path} cannot be read as a figure ({error}).") from error
    yield f"{path}: figure, {kind}, {size}, {_size(path.stat().st_size)}"


def _nested(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    width = max(map(len, values), default=0)
    for key, value in values.items():
        head = "  " * depth + f"{key:{width}}"
        if isinstance(value, Mapping) and value:
            yield head.rstrip()
            yield from _nested(value, depth + 1)
        else:
            yield from _wrapped(_in_short(value), head + "  ")


def _in_short(value: Any) -> str:
    """A value of a report, numbers rounded to four digits."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_in_short, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _wrapped(text: str, head: str) -> list[str]:
    """A text after a head, wrapped to the terminal's width with a hanging indent."""
    indent = " " * len(head)
    wrapped = textwrap.wrap(text, _width(), initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
    return wrapped or [head.rstrip()]


def _width() -> int:
    return min(shutil.get_terminal_size((WIDEST, 0)).columns, WIDEST)


def _short(text: str, length: int = CELL) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def _size(size: float) -> str:
    """A size in bytes with a suitable unit."""
    step = 0
    while size >= 1000 and step < len(STEPS) - 1:
        size, step = size / 1000, step + 1
    return f"{size:.3g} {STEPS[step]}"
