"""Fixtures for the tests of the host."""

import pytest

import babe2_fx.effect
from standin import tiny_prior


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, no presets of the user's own, and the stand-in prior in the place of every preset's."""
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(babe2_fx.effect, "shared_prior", lambda path, device="auto": tiny_prior())
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"
