"""The package and a program that uses it, checked by mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_stubs_say_what_the_package_does() -> None:
    pytest.importorskip("mypy")
    root = Path(__file__).parent.parent
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--cache-dir=/dev/null"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_stub_of_the_native_half_names_all_that_is_there() -> None:
    from sphinx_client import _native

    stub = (Path(__file__).parent.parent / "python/sphinx_client/_native.pyi").read_text()
    public = [name for name in dir(_native) if not name.startswith("_")]
    missing = [name for name in public if f" {name}" not in stub]
    assert missing == []
