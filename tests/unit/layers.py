"""The import rule: which folder may import which; ``violations`` names what breaks it (tests/unit/test_layers.py).

Every import counts: those inside functions, under ``TYPE_CHECKING``, arguments of ``import_module``, and, in a module
that calls it, the names of modules in the tables at its top level.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAYERS: Final = (
    ("vnetcard", "testing"),
    ("cli",),
    ("report",),
    ("doctor", "bench"),
    ("observe",),
    ("firmware",),
    ("sim",),
    ("tap", "ping", "lab"),
    ("x86_side", "fpga_side"),
    ("agent",),
    ("link",),
    ("window",),
    ("engine", "port"),
    ("hw",),
    ("ring", "hdl"),
    ("terminal", "plugins"),
    ("errors",),
    ("codes", "_core"),
)
"""From the top down; an import goes to a lower layer or stays in its folder.  ``vnetcard`` is the package itself,
whose ``__init__`` loads the public names on demand."""
GROUND_FLOOR: Final = {"vnetcard", "vnetcard.errors", "vnetcard.testing"}
"""The modules that are no folder's."""
LEVEL: Final = {folder: level for level, folders in enumerate(reversed(LAYERS)) for folder in folders}


@dataclass(frozen=True, slots=True)
class Import:
    """Module ``importer`` imports module ``imported`` in line ``line``."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported}"


def modules_of(roots: Mapping[str, Path]) -> dict[str, Path]:
    """Name to file of all modules below ``roots`` (package name to folder), packages included."""
    found = {}
    for package, root in roots.items():
        for path in sorted(root.rglob("*.py")):
            parts = [package, *path.relative_to(root).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, known: set[str]) -> Iterator[Import]:
    """What module ``name`` imports of the modules ``known``; a name of a package's ``__init__`` is the package."""
    tree = ast.parse(path.read_text())
    found: list[tuple[ast.AST, list[str]]] = []
    found += [(node, _named(node, name, known, is_package=path.name == "__init__.py")) for node in ast.walk(tree)]
    found += [(node, [str(node.value)]) for node in _tables(tree)]
    for node, names in found:
        for imported in names:
            if imported in known and imported != name:
                yield Import(name, imported, getattr(node, "lineno", 0))


def _named(node: ast.AST, name: str, known: set[str], *, is_package: bool) -> list[str]:
    """The modules that ``node``, part of module ``name``, imports."""
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module="vnetcard", level=0, names=[ast.alias(name="__version__")]):
            return []  # a constant that needs nothing else of the package
        case ast.ImportFrom(module=module, level=level, names=aliases):
            parts = name.split(".")[: len(name.split(".")) - level + is_package] if level else []
            base = ".".join([*parts, *([module] if module else [])])
            return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in aliases]
        case ast.Call(func=function, args=[ast.Constant(value=str(value)), *_]) if _is_import_module(function):
            return [value]
    return []


def _is_import_module(function: ast.expr) -> bool:
    return "import_module" in (getattr(function, "id", ""), getattr(function, "attr", ""))


def _tables(tree: ast.Module) -> Iterator[ast.Constant]:
    """The strings in assignments at the top level of a module that calls ``import_module``."""
    if not any(isinstance(node, ast.Call) and _is_import_module(node.func) for node in ast.walk(tree)):
        return
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            for node in ast.walk(statement):
                if isinstance(node, ast.Constant):
                    yield node


def folder_of(module: str) -> str:
    """``vnetcard.window.shm`` lives in ``window``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def cycles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """The groups of modules that import one another in a circle, each sorted."""
    targets: dict[str, set[str]] = {}
    for importer, imported in edges:
        targets.setdefault(importer, set()).add(imported)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(targets.get(start, ()))
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += targets.get(module, ())
        return seen

    reach = {module: reached(module) for module in targets}
    groups = {
        tuple(sorted(other for other in reach[module] if module in reach.get(other, ())))
        for module in targets
        if module in reach[module]
    }
    return [list(group) for group in sorted(groups)]


def violations(modules: Mapping[str, Path]) -> list[str]:
    """One line per violation: upward imports, cycles, modules that have no folder."""
    known = {*modules, "vnetcard._core"}
    imports = [one for name, path in modules.items() for one in imports_of(name, path, known)]
    found = [
        f"upward: {one}"
        for one in imports
        if folder_of(one.importer) != folder_of(one.imported)
        and LEVEL.get(folder_of(one.importer), -1) <= LEVEL.get(folder_of(one.imported), len(LAYERS))
    ]
    found += [f"cycle: {', '.join(group)}" for group in cycles({(one.importer, one.imported) for one in imports})]
    found += [
        f"ground floor: {name}"
        for name, path in modules.items()
        if name not in GROUND_FLOOR and (name.count(".") == 0 or (name.count(".") == 1 and path.name != "__init__.py"))
    ]
    return sorted(set(found))
