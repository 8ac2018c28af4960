"""Helpers for declaring table schemas."""

from collections.abc import Sequence

import pyarrow as pa

BOX = pa.list_(pa.float32(), 4)


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A column with a description, which is stored in the file's metadata."""
    return pa.field(name, kind, metadata={"description": description})


def table(name: str, columns: Sequence[pa.Field]) -> pa.Schema:
    """The schema of a table with a name, which is stored in the file's metadata."""
    return pa.schema(columns, metadata={"table": name})


def name_of(schema: pa.Schema) -> str:
    """The table name in a schema's metadata."""
    return schema.metadata[b"table"].decode()
