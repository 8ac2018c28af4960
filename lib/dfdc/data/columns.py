"""How the schema of a table is declared."""

from collections.abc import Sequence

import pyarrow as pa

BOX = pa.list_(pa.float32(), 4)


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A column with a description, which is kept in the files."""
    return pa.field(name, kind, metadata={"description": description})


def table(name: str, columns: Sequence[pa.Field]) -> pa.Schema:
    """The schema of the table with a name, which is kept in the files too."""
    return pa.schema(columns, metadata={"table": name})


def name_of(schema: pa.Schema) -> str:
    """The name of the table that has a schema."""
    return schema.metadata[b"table"].decode()
