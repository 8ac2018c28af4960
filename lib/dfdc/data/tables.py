"""The only way in which tables are written and read; their schemas are in ``dfdc.data.schemas``.

Tables are Parquet files. Frames are numbered from 0; boxes are (x1, y1, x2, y2) in pixels of the upright frame.
The description of a column is kept in the file, so that a table explains itself.
"""

import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfdc.data import schemas as package
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path
from dfdc.system.versions import versions


def write_table(path: str | Path, schema: pa.Schema, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
    """Write a table atomically, after checking it against its schema.

    ``rows`` is a mapping from column to values, or an iterable of rows.
    Raises pyarrow's error if a value does not fit its column, ValueError if columns are missing or unknown.
    """
    rows = rows if isinstance(rows, Mapping) else list(rows)
    faults = {
        column for row in ([rows] if isinstance(rows, Mapping) else rows) for column in set(row) ^ set(schema.names)
    }
    if faults:
        raise ValueError(f"table {name_of(schema)}: these columns are missing or unknown: {sorted(faults)}")
    columns = rows if isinstance(rows, Mapping) else {key: [row[key] for row in rows] for key in schema.names}
    table = pa.table({column: pa.array(columns[column], schema.field(column).type) for column in schema.names})
    with atomic_path(path) as temporary:
        pq.write_table(table.cast(with_versions(schema)), temporary, compression="zstd")


def read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read a table and check that it is the one that is meant.

    Raises UserError if the file is missing, is not Parquet, or has other columns than the schema.
    """
    path = Path(path)
    remedy = "Delete the file and run snakemake again: the stage that writes it will make it anew."
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"The table {path} is missing. Run snakemake: the stage that writes it will make it.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as a table ({error}). {remedy}") from error
    if not table.schema.equals(schema):
        expected, found = set(map(str, schema)), set(map(str, table.schema))
        raise UserError(
            f"{path} is not a table of {name_of(schema)}: expected {sorted(expected - found)}, "
            f"found {sorted(found - expected)}. {remedy}"
        )
    return table


def with_versions(schema: pa.Schema) -> pa.Schema:
    """A schema whose metadata also say which versions of libraries are in use."""
    return schema.with_metadata({**(schema.metadata or {}), "versions": json.dumps(versions())})


def name_of(schema: pa.Schema) -> str:
    """The name of the table that has a schema."""
    return schema.metadata[b"table"].decode()


def schemas() -> dict[str, pa.Schema]:
    """The schemas of all tables, by name."""
    # Looked up by name, so that whoever reads one table does not depend on the schemas of all.
    modules = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, pa.Schema)]
    return {name_of(schema): schema for schema in found}


def boxes_of(column: pa.ChunkedArray | pa.Array):
    """A column of boxes as a float32 (or int32) numpy array of N x 4."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)


def type_in_words(kind: pa.DataType) -> str:
    """A column's type as numpy would call it: ``int32``, ``4 float32``, ``list of 4 float32``."""
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} {type_in_words(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_in_words(kind.value_type)}"
    return kind.to_pandas_dtype().__name__ if pa.types.is_floating(kind) else str(kind)
