"""Reading and writing of all tables; their schemas are in ``dfdc.data.schemas``.

Tables are Parquet files. Frames are numbered from 0; boxes are (x1, y1, x2, y2) in pixels of the upright frame.
Column descriptions are stored in the file's metadata. Each file has checksums: of each page, which other tools verify,
too, and of the whole, see ``dfdc.system.checksums``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfdc.data.columns import name_of
from dfdc.system.checksums import add_checksum, damaged, verify_checksum
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path
from dfdc.system.versions import versions

AnyRow = TypeVar("AnyRow")


def write_table(path: str | Path, schema: pa.Schema, rows: Mapping[str, Any] | Iterable[Any]) -> None:
    """Check a table against its schema and write it atomically.

    ``rows`` are row objects (dataclasses whose fields are the columns), or a mapping from column names to values.
    Raises pyarrow.ArrowException if a value does not fit its column, ValueError if columns are missing or unknown.
    """
    columns = rows if isinstance(rows, Mapping) else _columns(schema, list(rows))
    if faults := set(columns) ^ set(schema.names):
        raise ValueError(f"table {name_of(schema)}: missing or unknown columns: {sorted(faults)}")
    table = pa.table({column: _array(columns[column], schema.field(column).type) for column in schema.names})
    with atomic_path(path) as temporary:
        table = table.cast(with_versions(schema))
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        add_checksum(temporary)


def _columns(schema: pa.Schema, rows: list[Any]) -> dict[str, list[Any]]:
    names = {field.name: None for kind in {type(row) for row in rows} for field in fields(kind)} or schema.names
    return {name: [getattr(row, name) for row in rows] for name in names}


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind.value_type), type=kind)
    return pa.array(values, kind)


def read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read a table and check its schema.

    Raises UserError if the file is missing, is damaged, or does not have the columns of the schema.
    """
    path = Path(path)
    table = read_any_table(path)
    if not table.schema.equals(schema):
        expected, actual = set(map(str, schema)), set(map(str, table.schema))
        raise UserError(
            f"{path} is not a table of {name_of(schema)}: expected {sorted(expected - actual)}, "
            f"found {sorted(actual - expected)}. Delete the file and run snakemake again to regenerate it."
        )
    return table


def read_any_table(path: Path) -> pa.Table:
    """Read a table of whatever schema. Raises UserError if the file is missing or damaged."""
    try:
        data = path.read_bytes()
        verify_checksum(memoryview(data))
        # Without Arrow's threads: a process that ends soon after they have started is at times aborted.
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
    except FileNotFoundError:
        raise UserError(f"The table {path} is missing. Run snakemake to generate it.") from None
    except (pa.ArrowException, ValueError, OSError) as error:
        raise damaged(path, f"it cannot be read as a table ({error})") from error


def with_versions(schema: pa.Schema) -> pa.Schema:
    """A schema with the versions of the installed libraries added to its metadata."""
    return schema.with_metadata({**(schema.metadata or {}), "versions": json.dumps(versions())})


def read_rows(path: str | Path, schema: pa.Schema, row: type[AnyRow]) -> list[AnyRow]:
    """Read a table, see ``read_table``, as row objects of the class declared with its schema."""
    return rows_of(read_table(path, schema), row)


def rows_of(table: pa.Table, row: type[AnyRow]) -> list[AnyRow]:
    """The rows of a table as objects of a class whose fields are the table's columns, in the same order."""
    if [field.name for field in fields(row)] != table.column_names:
        raise TypeError(f"the fields of {row.__name__} are not the table's columns {table.column_names}")
    return [row(*values) for values in zip(*(column.to_pylist() for column in table.columns), strict=True)]
