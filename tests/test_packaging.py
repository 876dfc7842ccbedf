"""The repository's own promises: pins, README commands, typed packages, no local paths."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("selfrag", "retrievers", "decoding", "indexes")

COMMANDS = [
    'pip install -c constraints.txt -e . && selfrag ask "What is the capital of Burkina Faso?"',
    'pip install -c constraints.txt -e ".[test]" && pytest',
]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, _, version in (
            line.partition("==") for line in lines if line and not line.startswith("#")
        )
    }


def test_constraints_are_plain_pins() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
    assert pins()["torch"] == "2.13.0"


def test_every_distribution_that_is_needed_is_pinned() -> None:
    texts = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    waiting = [Requirement(text) for text in texts]
    seen: set[tuple[str, frozenset[str]]] = set()
    unpinned, different = [], []
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            unpinned.append(f"{name} (not installed)")
            continue
        if name not in pins():
            unpinned.append(name)
        elif Version(installed.version).public != pins()[name]:
            different.append(f"{name}: installed {installed.version}, pinned {pins()[name]}")
        for text in installed.requires or []:
            child = Requirement(text)
            extras = ["", *requirement.extras]
            if child.marker is None or any(child.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(child)
    assert not unpinned, "these lack a line in constraints.txt"
    assert not different


def test_readme_holds_the_two_commands() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "readme_commands.py")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == COMMANDS


def test_readme_lists_the_exit_codes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for code in ("0", "1", "2", "3", "4", "5", "130"):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE), code


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_tests_and_scripts_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not list((ROOT / "scripts").rglob("__init__.py"))


def test_the_version_is_in_the_changelog() -> None:
    from selfrag import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a clone")
def test_files_hold_no_paths_of_a_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.suffix in (".py", ".md", ".toml", ".yaml", ".txt", "") and file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            if re.search(r"(?<![\w.])/(?:home|Users|work|opt)/\w", text):
                found.append(name)
    assert not found
