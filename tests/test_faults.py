"""Faults, a few of each: what `scripts/inject_faults.py` does by the hundred."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_kills_and_flips_do_no_harm(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "inject_faults.py"), "--kills", "5"]
    done = subprocess.run(
        [*command, "--flips", "5", "--folder", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] >= 5 and report["flips"] == 5
    assert report["harmful_kills"] == report["unnoticed_flips"] == 0
