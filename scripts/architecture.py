"""Draw the pictures of docs/dev/architecture.md from the code: the rooms of both packages, and what a run calls.

Usage: python scripts/architecture.py     Writes the pictures, as Mermaid text, between the markers of the page.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "dev" / "architecture.md"
LINKER: Final = ROOT / "linker"
SANDBOX: Final = ROOT / "sandbox"
ORCHESTRATORS: Final = LINKER / "durable" / "orchestrators"


def rooms(package: Path = LINKER) -> str:
    """Return a picture of which room of a package imports from which."""
    edges: set[tuple[str, str]] = set()
    for path in sorted(package.rglob("*.py")):
        here = _room(package, path.relative_to(ROOT).with_suffix("").parts)
        edges |= {(here, there) for there in _imported_rooms(package, path) if here and there != here}
    return "\n".join(["flowchart TD", *(f"  {source} --> {target}" for source, target in sorted(edges))])


def _imported_rooms(package: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package.name:
            whole = "." not in node.module
            names = [f"{node.module}.{name.name}" for name in node.names] if whole else [node.module]
            yield from filter(None, (_room(package, tuple(name.split("."))) for name in names))


def _room(package: Path, parts: tuple[str, ...]) -> str:
    """Return the room of a module by its path, empty for the package itself and its command line."""
    known = {path.stem for path in package.iterdir() if path.is_dir() or path.suffix == ".py"}
    return parts[1] if len(parts) > 1 and parts[1] in known and not parts[1].startswith("_") else ""


def run() -> str:
    """Return a picture of the orchestrators of a run, the activities that each calls, and its children."""
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ORCHESTRATORS.glob("*.py"))}
    names = {name: text for tree in trees.values() for name, text in _constants(tree)}
    owners = {"run": "ORCHESTRATOR", "generation": "GENERATION", "scanning": "SCANNING", "touching": "TOUCHING"}
    owners |= {"unlinking": "UNLINKING"}
    lines = ["flowchart LR"]
    for module, constant in owners.items():
        owner = names[constant]
        called = list(dict.fromkeys(_called(trees[module], names)))
        lines.append(f'  {owner}[["{owner}"]]')
        lines += [f'  {owner} --> {name}("{name}")' for name in called if name not in names.values()]
        lines += [f"  {owner} ==> {name}" for name in called if name in names.values() and name != owner]
    lines += [f"  {names['ORCHESTRATOR']} ==> {names[owners[name]]}" for name in owners if name != "run"]
    return "\n".join(dict.fromkeys(lines))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if name.isupper():
                yield name, text


def _called(tree: ast.Module, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of activities and orchestrators that a module calls, in the order of its text."""
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        match node:
            case ast.Call(func=ast.Name(id="call"), args=[_, ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="call_activity"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="call_sub_orchestrator"), args=[ast.Name(id=name), *_]):
                yield names[name]


def drawn(page: str) -> str:
    """Return the text of the page with its pictures as the code has them now."""
    for name, picture in (("rooms", rooms()), ("run", run()), ("sandbox", rooms(SANDBOX))):
        block = f"<!-- {name} -->\n```mermaid\n{picture}\n```\n<!-- /{name} -->"
        page = re.sub(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, block=block: block, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
