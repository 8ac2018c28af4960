"""Settings in a form that can be compared and hashed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> Any:
    """The same settings with the keys of all mappings sorted: the order of keys in a YAML file means nothing."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def digest(*values: Any) -> str:
    """A short hash, 16 hexadecimal digits, of values that JSON can hold."""
    text = json.dumps([canonical(value) for value in values], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
