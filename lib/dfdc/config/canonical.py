"""Settings in a canonical form, for comparing and hashing."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> Any:
    """The same settings with all mappings sorted by key, because key order in YAML has no meaning."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def digest(*values: Any) -> str:
    """A short hash (16 hexadecimal digits) of JSON-serialisable values."""
    text = json.dumps([canonical(value) for value in values], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
