"""What imports without what: the package is lazy, training and decoding need only torch."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import selfrag

ROOT = Path(selfrag.__file__).parent.parent
OPTIONAL = ("faiss", "pyarrow", "datasets", "sentence_transformers", "bm25s", "typer", "rich")
HEAVY = ("torch", "transformers", "numpy", "scipy", "networkx", "yaml", *OPTIONAL)

BLOCK = """
import sys

# None in sys.modules is "not installed": imports raise, importlib.util.find_spec finds nothing.
sys.modules.update(dict.fromkeys({blocked!r}))
"""


def python(code: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_of(package: str) -> list[str]:
    folder = ROOT.joinpath(*package.split("."))
    found = pkgutil.walk_packages([str(folder)], prefix=f"{package}.")
    return [package, *sorted(module.name for module in found)]


@pytest.mark.parametrize("package", ["decoding", "selfrag.training"])
def test_packages_import_where_only_torch_and_transformers_are(package: str) -> None:
    imports = "\n".join(f"import {module}" for module in ["selfrag", *modules_of(package)])
    python(BLOCK.format(blocked=OPTIONAL) + imports)


def test_indexes_import_without_ray() -> None:
    imports = "\n".join(f"import {module}" for module in modules_of("indexes"))
    python(BLOCK.format(blocked=("ray",)) + imports)


def test_the_package_itself_loads_nothing() -> None:
    python(
        BLOCK.format(blocked=HEAVY)
        + "import selfrag\n"
        + "assert 'SelfRAG' in dir(selfrag)\n"
        + "from selfrag import Answer, Budget, DecodingConfig, Question\n"
    )


def test_every_public_name_has_a_home() -> None:
    for name in selfrag.__all__:
        assert getattr(selfrag, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        selfrag.Nonsense  # noqa: B018


def test_the_package_imports_in_a_tenth_of_a_second() -> None:
    code = (
        "import time; began = time.process_time(); import selfrag; "
        "print(time.process_time() - began)"
    )
    assert min(float(python(code)) for _ in range(3)) < 0.1
