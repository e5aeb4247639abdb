"""Fixtures for the tests of DAWs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from babe2_host.daw import ardour


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The folder in which Ardours have their settings, on Linux."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def lua(tmp_path):
    """lua(text): runs a script that has the client, and returns the lines it printed."""
    if not shutil.which("lua5.4"):
        pytest.skip("needs lua5.4")

    def run(text):
        script = (Path(ardour.__file__).parent / "client.lua").read_text() + text
        done = subprocess.run(["lua5.4", "-"], input=script, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
    return run
