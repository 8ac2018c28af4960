"""What code a script consists of, so that a change of code makes its results stale and a comment does not."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).resolve().parent


def code_of(script: str | Path) -> dict[str, str]:
    """The code that a script may run: {file: hash} of itself and of every dfdc module it reaches by import.

    Files are named by module (``dfdc.tracking``) or, for the script, by its file name. A hash is of the syntax
    tree without docstrings and other strings that stand alone: comments, formatting and documentation do not
    change it.
    """
    script = Path(script).resolve()
    found, left = {script.name: script}, [script]
    while left:
        for module in imports(left.pop()):
            name = ".".join(("dfdc", *module.relative_to(LIBRARY).with_suffix("").parts)).removesuffix(".__init__")
            if name not in found:
                found[name] = module
                left.append(module)
    return {name: syntax_hash(path) for name, path in sorted(found.items())}


def imports(path: Path) -> frozenset[Path]:
    """The files of the dfdc modules that a file imports anywhere in it, with the packages they lie in."""
    return _parsed(path)[0]


def syntax_hash(path: Path) -> str:
    """A hash of a Python file's syntax tree without docstrings and other strings that stand alone."""
    return _parsed(path)[1]


@cache
def _parsed(path: Path) -> tuple[frozenset[Path], str]:
    # Both at once, because parsing takes as long as either.
    tree = ast.parse(path.read_bytes(), filename=str(path))
    imported = _imports(tree)
    code = repr(_structure(_WithoutDocumentation().visit(tree)))
    return imported, hashlib.blake2b(code.encode(), digest_size=8).hexdigest()


def _imports(tree: ast.Module) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # Each imported name may be a module of its own.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files: set[Path] = set()
    for name in names:
        root, *parts = name.split(".")
        if root == "dfdc":
            for depth in range(len(parts) + 1):
                base = LIBRARY.joinpath(*parts[:depth])
                files |= {file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()}
    return frozenset(files)


def _structure(part: Any) -> Any:
    """A syntax tree as nested tuples, without empty fields: new versions of Python add such to old code."""
    if isinstance(part, ast.AST):
        fields = ((name, _structure(value)) for name, value in ast.iter_fields(part))
        return type(part).__name__, *((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(part, list):
        return tuple(map(_structure, part))
    # Constants are told apart by type: 1, 1.0 and True are equal.
    return part if part is None else (type(part).__name__, repr(part))


class _WithoutDocumentation(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
