"""A catalogue of all tables, for documentation and inspection."""

from importlib import import_module
from pkgutil import iter_modules

import pyarrow as pa

from dfdc.data import schemas as package
from dfdc.data.columns import name_of


def schemas() -> dict[str, pa.Schema]:
    """The schemas of all tables, by name."""
    # Imported dynamically, so that code that reads one table does not depend on the schemas of all.
    modules = [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
    tables = [value for module in modules for value in vars(module).values() if isinstance(value, pa.Schema)]
    return {name_of(schema): schema for schema in tables}


def type_in_words(kind: pa.DataType) -> str:
    """A column's type with numpy's names: ``int32``, ``4 float32``, ``list of 4 float32``."""
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} {type_in_words(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_in_words(kind.value_type)}"
    return kind.to_pandas_dtype().__name__ if pa.types.is_floating(kind) else str(kind)
