"""The only way in which tables are written and read; their schemas are in ``dfdc.data.schemas``.

Tables are Parquet files. Frames are numbered from 0; boxes are (x1, y1, x2, y2) in pixels of the upright frame.
The description of a column is kept in the file, so that a table explains itself.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfdc.data import schemas as package
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path
from dfdc.system.versions import versions

AnyRow = TypeVar("AnyRow")


def write_table(path: str | Path, schema: pa.Schema, rows: Mapping[str, Any] | Iterable[Any]) -> None:
    """Write a table atomically, after checking it against its schema.

    ``rows`` are row objects (dataclasses whose fields are the columns), or a mapping from column to its values.
    Raises pyarrow's error if a value does not fit its column, ValueError if columns are missing or unknown.
    """
    columns = rows if isinstance(rows, Mapping) else _columns(schema, list(rows))
    if faults := set(columns) ^ set(schema.names):
        raise ValueError(f"table {name_of(schema)}: these columns are missing or unknown: {sorted(faults)}")
    table = pa.table({column: _array(columns[column], schema.field(column).type) for column in schema.names})
    with atomic_path(path) as temporary:
        pq.write_table(table.cast(with_versions(schema)), temporary, compression="zstd")


def _columns(schema: pa.Schema, rows: list[Any]) -> dict[str, list[Any]]:
    names = {field.name: None for kind in {type(row) for row in rows} for field in fields(kind)} or schema.names
    return {name: [getattr(row, name) for row in rows] for name in names}


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind.value_type), type=kind)
    return pa.array(values, kind)


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


def read_rows(path: str | Path, schema: pa.Schema, row: type[AnyRow]) -> list[AnyRow]:
    """Read a table, see ``read_table``, as objects of the class that stands beside its schema."""
    return rows_of(read_table(path, schema), row)


def rows_of(table: pa.Table, row: type[AnyRow]) -> list[AnyRow]:
    """The rows of a table as objects of a class whose fields are its columns, in their order."""
    if [field.name for field in fields(row)] != table.column_names:
        raise TypeError(f"{row.__name__} is no row of a table with the columns {table.column_names}")
    return [row(*values) for values in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def name_of(schema: pa.Schema) -> str:
    """The name of the table that has a schema."""
    return schema.metadata[b"table"].decode()


def schemas() -> dict[str, pa.Schema]:
    """The schemas of all tables, by name."""
    # Looked up by name, so that whoever reads one table does not depend on the schemas of all.
    modules = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, pa.Schema)]
    return {name_of(schema): schema for schema in found}


def boxes_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of boxes as a float32 (or int32) numpy array of N x 4."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)


def encoded(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The different words of a column, in the order in which they come, and the number of the word in each row."""
    words = column.combine_chunks().dictionary_encode()
    return words.dictionary.to_pylist(), words.indices.to_numpy(zero_copy_only=False)


def rows_by_key(*keys: np.ndarray) -> list[np.ndarray]:
    """The rows, in order, of each different combination of keys (whole numbers); what comes first is first."""
    if not len(keys[0]):
        return []
    key = np.zeros(len(keys[0]), np.int64)
    for values in keys:
        key = key * (int(values.max()) + 1) + values
    codes = pa.array(key).dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def repeated(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """Each value as often as it says, one after the other."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def type_in_words(kind: pa.DataType) -> str:
    """A column's type as numpy would call it: ``int32``, ``4 float32``, ``list of 4 float32``."""
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} {type_in_words(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_in_words(kind.value_type)}"
    return kind.to_pandas_dtype().__name__ if pa.types.is_floating(kind) else str(kind)
