"""Hashes of the code that a script depends on, so that results become stale if code changes, not if comments do."""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

from dfdc.system.jobs.records.hashes import Hashes

LIBRARY = Path(__file__).resolve().parents[2]
# Exceptions whose messages end a run and are never written to results.
WITHOUT_MESSAGE = ("damaged", "UserError", "Interrupted", "OutOfMemory", "RuntimeError", "TypeError", "ValueError")
# Modules that do not affect results: a change in them makes nothing run again. (To rerun everything, change
# ``dfdc/__init__.py``.)
NOT_HASHED = (
    "dfdc.system",
    "dfdc.stages.training.tensorboard",
    # They refuse, and change nothing.
    "dfdc.networks.weights.metadata",
    "dfdc.video.unreadable",
)


def code_of(script: str | Path, *modules: str, hashes: Hashes | None = None) -> dict[str, str]:
    """The code that determines a script's output: {file: hash} of itself and of all dfdc modules it imports,
    transitively.

    ``modules`` are further modules that the script imports by name at run time. Those in ``NOT_HASHED`` are left out.
    ``hashes`` remembers what was found in files with the same content.

    Files are named by module (``dfdc.stages.faces.tracking``) or, for the script, by file name. The hash is of the
    syntax tree; comments, formatting, docstrings, log calls and exception messages do not affect it.
    """
    script = Path(script).resolve()
    named = {file for module in modules for file in _files_of(module)}
    files, queue = {script.name: script}, [script]
    while queue:
        for module in imports(queue.pop(), hashes) | named:
            name = module_name(module)
            if name not in files and not f"{name}.".startswith(tuple(f"{skipped}." for skipped in NOT_HASHED)):
                files[name] = module
                queue.append(module)
    return {name: syntax_hash(path, hashes) for name, path in sorted(files.items())}


def module_name(path: Path) -> str:
    """The dotted name of a module of the library."""
    return ".".join(("dfdc", *path.relative_to(LIBRARY).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path, hashes: Hashes | None = None) -> frozenset[Path]:
    """The files of the dfdc modules that a file imports, at any level, and of the packages that contain them."""
    return _parsed(path, hashes)[0]


def syntax_hash(path: Path, hashes: Hashes | None = None) -> str:
    """A hash of a Python file's syntax tree, see ``code_of``."""
    return _parsed(path, hashes)[1]


def hashed_lines(path: Path) -> int:
    """The number of lines of the code that a Python file's hash covers, as formatted by ``ast.unparse``."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    return sum(bool(line.strip()) for line in ast.unparse(_WithoutWords().visit(tree)).splitlines())


@cache
def _parsed(path: Path, hashes: Hashes | None) -> tuple[frozenset[Path], str]:
    """The modules that a file imports, and the hash of its syntax tree."""
    content = path.read_bytes()

    def parse() -> list[Any]:
        # Both in one function, because parsing takes most of the time.
        tree = ast.parse(content, filename=str(path))
        imported = sorted(_imports(tree))
        code = repr(_structure(_WithoutWords().visit(tree)))
        return [imported, hashlib.blake2b(code.encode(), digest_size=8).hexdigest()]

    names, code = hashes.of_content(content, _version(), parse) if hashes else parse()
    # Which of the names are modules is not remembered: files come and go.
    return frozenset(file for name in names for file in _files_of(name)), code


@cache
def _version() -> str:
    """What the hash of a given file depends on: this module and, for the form of syntax trees, Python."""
    own = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
    return f"syntax {own} {sys.version}"


def _imports(tree: ast.Module) -> set[str]:
    """The dotted names, below ``dfdc``, of all that is imported."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # An imported name may itself be a module.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "dfdc"}


@cache
def _files_of(name: str) -> frozenset[Path]:
    """The file of a module of the library, or of the module that defines a name, and those of its parent packages."""
    _, *parts = name.split(".")
    bases = [LIBRARY.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    candidates = (file for base in bases for file in (base / "__init__.py", base.with_suffix(".py")))
    return frozenset(file for file in candidates if file.is_file())


def _structure(part: Any) -> Any:
    """A syntax tree as nested tuples, without empty fields, because new versions of Python add empty fields."""
    if isinstance(part, ast.AST):
        fields = ((name, _structure(value)) for name, value in ast.iter_fields(part))
        return type(part).__name__, *((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(part, list):
        return tuple(map(_structure, part))
    # With the type, because 1, 1.0 and True are equal.
    return part if part is None else (type(part).__name__, repr(part))


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, log calls, exception messages, and the methods ``contradictions``, which only raise errors.

    Messages of VideoError stay, because they are written to results as reasons.
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
