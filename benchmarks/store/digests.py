"""Digests of code by its meaning: of a definition and of everything of the project that it names, at any depth.

A definition is a function, class or constant at the top of a module. Its meaning is its syntax tree without docstrings,
comments, type hints of functions and import lines. So a mended comment, another order of imports and a moved file or
definition leave a digest as it is; a changed constant, default or operator changes the digests of all that reach it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the project's packages, in a clone and in an installation alike."""
PACKAGES = ("data", "generators", "metrics", "benchmarks")
PROJECT = "porebench"

Imported = tuple[Path, str | None]
Root = str | type | Callable[..., Any]
"""A definition: itself, or ``"package.module:name"``."""


def short_digest(content: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON value, or of bytes."""
    if not isinstance(content, bytes):
        content = json.dumps(content, sort_keys=True, default=repr).encode()
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache  # loaded code stays as it is, and a table asks for the same few definitions row by row
def code_digest(*roots: Root) -> str:
    """Return 16 hexadecimal digits of the meaning of definitions and of all that they reach.

    Args:
        roots: functions or classes, also of a user's own file, or their names.

    Raises:
        LookupError: if there is no such definition.
    """
    return short_digest(sorted({digest for place in reached(*roots) for digest in place[0].digests(place[1])}))


def reached(*roots: Root) -> set[tuple[Module, str]]:
    """Return the module and name of every definition that some definitions reach, themselves included.

    Args:
        roots: as for ``code_digest``.
    """
    found: set[tuple[Module, str]] = set()
    waiting = [_place(root) for root in roots]
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting += place[0].named_in(place[1])
    return found


@dataclass(eq=False)
class Module:
    """One file's definitions and imports.

    Attributes:
        path: of the file.
        definitions: statements that make each name.
        imports: module (its path without suffix) and name in it that each imported name stands for; without a name, the
            module itself.
    """

    path: Path
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Imported] = field(default_factory=dict)

    @functools.cache  # noqa: B019 - a module is kept as long as the program runs
    def digests(self, name: str) -> list[str]:
        """Return the digest of each statement that makes a name."""
        return [short_digest(_meaning(statement).encode()) for statement in self.definitions[name]]

    def named_in(self, name: str) -> Iterator[tuple[Module, str]]:
        """Yield module and name of every definition that the statements behind a name mention."""
        for place, mentioned in self._mentioned(name):
            if place is None:
                yield self, mentioned
            else:
                yield from _definition(place, mentioned)

    @functools.cache  # noqa: B019
    def _mentioned(self, name: str) -> list[tuple[Path | None, str]]:
        """Return the names that the statements behind a name mention: with the module of imported ones, else None."""
        found: dict[tuple[Path | None, str], None] = {}
        for statement in self.definitions[name]:
            known = self.imports | dict(_imports(ast.walk(statement), self.path))
            for node in _with_meaning(statement):
                if isinstance(node, ast.Name) and node.id in self.definitions:
                    found[None, node.id] = None
                elif isinstance(node, ast.Name) and node.id in known:
                    folder, inside = known[node.id]
                    if inside is not None:
                        found[folder, inside] = None
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
                    folder, inside = known[node.value.id]
                    found[folder / (inside or ""), node.attr] = None
        return list(found)


def _definition(folder: Path, name: str | None) -> Iterator[tuple[Module, str]]:
    """Yield the definition of a name in a module or package, also where it is imported there."""
    file = _file_of(folder)
    if file is not None and name is not None:
        module = _read(file)
        if name in module.definitions:
            yield module, name
        elif name in module.imports and module.imports[name] != (folder, name):
            yield from _definition(*module.imports[name])


def _place(root: Root) -> tuple[Module, str]:
    """Return module and name of a root."""
    if isinstance(root, str):
        file, _, name = root.partition(":")
        path = ROOT.joinpath(*file.removeprefix(f"{PROJECT}.").split("."))
        module = _read(_file_of(path) or path)
    else:
        module, name = _read(Path(inspect.getfile(inspect.unwrap(root)))), root.__qualname__.partition(".")[0]
    if name not in module.definitions:
        raise LookupError(f"{module.path.name} defines no {name}")
    return module, name


def _read(path: Path) -> Module:
    """Return the module in a file; an empty one if there is no such file."""
    return _parsed(path, path.read_bytes() if path.is_file() else b"")


@functools.lru_cache(maxsize=1024)
def _parsed(path: Path, text: bytes) -> Module:
    module = Module(path)
    tree = ast.parse(text)
    module.imports.update(_imports(_at_import(tree.body), path))
    for statement in _at_import(tree.body):
        for name in _made_by(statement):
            module.definitions.setdefault(name, []).append(statement)
    return module


def _at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, those under an ``if`` or ``try`` too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            for part in ("body", "orelse", "finalbody"):
                yield from _at_import(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _at_import(handler.body)


def _made_by(statement: ast.stmt) -> list[str]:
    """Return the names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    waiting: list[ast.expr] = []
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        waiting += statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = []
    while waiting:
        target = waiting.pop()
        if isinstance(target, ast.Name):
            names.append(target.id)
        elif isinstance(target, ast.Subscript):
            waiting.append(target.value)
        elif isinstance(target, ast.Tuple | ast.List):
            waiting += target.elts
    return names


def _imports(nodes: Iterable[ast.AST], path: Path) -> Iterator[tuple[str, Imported]]:
    """Yield each name that is imported, with what it stands for."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                words = alias.name.split(".")
                yield alias.asname or words[0], (_folder(words if alias.asname else words[:1], 0, path), None)
        elif isinstance(node, ast.ImportFrom):
            folder = _folder(node.module.split(".") if node.module else [], node.level, path)
            for alias in node.names:
                yield alias.asname or alias.name, (folder, alias.name)


def _folder(words: list[str], level: int, path: Path) -> Path:
    """Return where a module lies, without suffix."""
    if level:
        return path.parents[level - 1].joinpath(*words)
    inside = words[1:] if words[:1] == [PROJECT] else words
    return (ROOT if inside and inside[0] in PACKAGES else path.parent).joinpath(*inside)


def _file_of(folder: Path) -> Path | None:
    """Return the file of a module or package."""
    return next((file for file in (folder.with_suffix(".py"), folder / "__init__.py") if file.is_file()), None)


def _meaning(node: Any) -> str:
    """Return a syntax tree as text that is the same in all versions of Python, without what has no meaning."""
    if isinstance(node, list):
        return f"[{','.join(_meaning(each) for each in node if not _is_meaningless(each))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    return f"{type(node).__name__}({','.join(f'{name}={_meaning(value)}' for name, value in _fields(node))})"


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a node that are not empty, without the type hints of a function."""
    hints = {"returns"} if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else set()
    hints |= {"annotation"} if isinstance(node, ast.arg) else set()
    for name, value in ast.iter_fields(node):
        if name not in hints and (isinstance(node, ast.Constant) or value not in (None, [])):
            yield name, value


def _is_meaningless(node: Any) -> bool:
    """Return whether a statement is a docstring or an import."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _with_meaning(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and those below it, but for type hints."""
    yield node
    for name, value in _fields(node):
        if not (name == "annotation" and isinstance(node, ast.AnnAssign)):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _with_meaning(child)
