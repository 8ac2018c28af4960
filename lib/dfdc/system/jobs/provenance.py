"""What code a script consists of, so that a change of code makes its results stale and a comment does not."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).resolve().parents[2]
# Exceptions whose messages end a run and go into no result.
WITHOUT_MESSAGE = ("UserError", "RuntimeError", "TypeError", "ValueError")
# What decides no byte of a result: a change of it makes nothing run again. (``dfdc/__init__.py`` is the lever that
# makes everything run again.)
NOT_HASHED = ("dfdc.system", "dfdc.stages.training.tensorboard")


def code_of(script: str | Path, *modules: str) -> dict[str, str]:
    """The code that decides what a script writes: {file: hash} of itself and of every dfdc module it reaches by import.

    ``modules`` are further modules that the script will import by name. What ``NOT_HASHED`` names is left out.

    Files are named by module (``dfdc.stages.faces.tracking``) or, for the script, by its file name. A hash is of the
    syntax tree without what is only for people: comments, formatting, docstrings, lines of the log and messages of
    exceptions do not change it.
    """
    script = Path(script).resolve()
    named = {file for module in modules for file in _files_of(module)}
    found, left = {script.name: script}, [script]
    while left:
        for module in imports(left.pop()) | named:
            name = module_name(module)
            if name not in found and not f"{name}.".startswith(tuple(f"{skipped}." for skipped in NOT_HASHED)):
                found[name] = module
                left.append(module)
    return {name: syntax_hash(path) for name, path in sorted(found.items())}


def module_name(path: Path) -> str:
    """The dotted name of a module of the library."""
    return ".".join(("dfdc", *path.relative_to(LIBRARY).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path) -> frozenset[Path]:
    """The files of the dfdc modules that a file imports anywhere in it, with the packages they lie in."""
    return _parsed(path)[0]


def syntax_hash(path: Path) -> str:
    """A hash of a Python file's syntax tree without docstrings and other strings that stand alone."""
    return _parsed(path)[1]


def hashed_lines(path: Path) -> int:
    """The number of lines that a Python file's hash is about, written in the usual way."""
    return sum(bool(line.strip()) for line in ast.unparse(_WithoutWords().visit(_tree(path))).splitlines())


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


@cache
def _parsed(path: Path) -> tuple[frozenset[Path], str]:
    # Both at once, because parsing takes as long as either.
    tree = _tree(path)
    imported = _imports(tree)
    code = repr(_structure(_WithoutWords().visit(tree)))
    return imported, hashlib.blake2b(code.encode(), digest_size=8).hexdigest()


def _imports(tree: ast.Module) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # Each imported name may be a module of its own.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(file for name in names for file in _files_of(name))


def _files_of(name: str) -> set[Path]:
    """The files of a module of the library, or of what a module holds, with the packages it lies in."""
    root, *parts = name.split(".")
    bases = [LIBRARY.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)] if root == "dfdc" else []
    return {file for base in bases for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()}


def _structure(part: Any) -> Any:
    """A syntax tree as nested tuples, without empty fields: new versions of Python add such to old code."""
    if isinstance(part, ast.AST):
        fields = ((name, _structure(value)) for name, value in ast.iter_fields(part))
        return type(part).__name__, *((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(part, list):
        return tuple(map(_structure, part))
    # Constants are told apart by type: 1, 1.0 and True are equal.
    return part if part is None else (type(part).__name__, repr(part))


class _WithoutWords(ast.NodeTransformer):
    """Takes away what is only for people: docstrings, lines of the log, and messages of exceptions.

    The message of a VideoError stays: it becomes the reason in the row of a video. What settings say of contradictions
    ends a run, too, and decides nothing about its results.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        return None if node.name == "contradictions" else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        value = node.value
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        is_log = (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and isinstance(value.func.value, ast.Name)
            and value.func.value.id == "logger"
        )
        return None if is_text or is_log else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        error = node.exc
        if isinstance(error, ast.Call) and isinstance(error.func, ast.Name) and error.func.id in WITHOUT_MESSAGE:
            error.args = error.keywords = []
        return self.generic_visit(node)
