"""What a program that uses vnetcard may rely on: the names, their documentation, and a light import."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import vnetcard

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(vnetcard.__path__, "vnetcard.")
    if not module.name.rpartition(".")[2].startswith("_")
)
SEAMS = {"vnetcard.window": ["Window", "open_window", "read_window"], "vnetcard.port": ["Port", "open_port"]}


def own_names(module: ModuleType) -> list[str]:
    """Public functions and classes that ``module`` itself defines."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    ]


def test_all_is_complete_and_sorted() -> None:
    """Complete: whatever the package can load by name; that type checkers see the same names, mypy checks."""
    loadable = set(vnetcard._HOMES) | set(own_names(importlib.import_module("vnetcard.errors")))
    assert list(vnetcard.__all__) == sorted(loadable, key=lambda name: (not name.isupper(), name))
    for name in set(vnetcard.__all__) - {"CARD", "HOST"}:
        assert getattr(vnetcard, name).__name__ == name
    assert (vnetcard.HOST, vnetcard.CARD) == (0, 1)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vnetcard.no_such_name


def test_every_error_is_public() -> None:
    errors = importlib.import_module("vnetcard.errors")
    assert set(own_names(errors)) <= set(vnetcard.__all__)
    for name in own_names(errors):
        assert issubclass(getattr(errors, name), vnetcard.VnetcardError)
        assert name in (errors.__doc__ or "")


def test_modules_are_found() -> None:
    assert {"vnetcard.agent.agent", "vnetcard.window.shm", "vnetcard.port.tun", "vnetcard.testing"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is_and_so_does_everything_public_in_it(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for thing in own_names(module):
        doc = vars(module)[thing].__doc__
        assert doc and not doc.startswith(f"{thing}("), f"{name}.{thing} has no docstring"  # a dataclass makes one up


@pytest.mark.parametrize(
    "name",
    ["AsyncPortClient", "Fifo", "Link", "LinkSession", "LinkState", "PortClient", "open_port", "open_window"],
)
def test_methods_of_the_public_names_are_documented(name: str) -> None:
    thing = getattr(vnetcard, name)
    for method, function in inspect.getmembers(thing, inspect.isfunction):
        assert method.startswith("_") or function.__doc__, f"{name}.{method} has no docstring"


@pytest.mark.parametrize("package", SEAMS)
def test_protocols_are_documented_to_the_last_method(package: str) -> None:
    module = importlib.import_module(package)
    for name in SEAMS[package]:
        thing = getattr(module, name)
        assert thing.__doc__
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_"):
                assert value.__doc__, f"{package}.{name}.{member} has no docstring"


def imported_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("statement", ["import vnetcard", "import vnetcard.cli.main", "import vnetcard.testing"])
def test_import_is_light(statement: str) -> None:
    loaded = imported_by(statement)
    assert not {name for name in loaded if name.partition(".")[0] in ("pyroute2", "pytun", "posix_ipc")}
    assert "asyncio" not in loaded


@pytest.mark.parametrize("name", ["vnetcard.hdl", "vnetcard.sim", "vnetcard.x86_side", "vnetcard.fpga_side"])
def test_folder_beside_the_library_is_a_part_of_it(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", ["vnetcard.x86_side.agent", "vnetcard.fpga_side.agent", "vnetcard.cli.main"])
def test_program_has_a_main(name: str) -> None:
    assert callable(importlib.import_module(name).main)
