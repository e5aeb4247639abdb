"""Fixtures for the tests of tools."""

import pytest

from responses import write_eq


@pytest.fixture
def eq(tmp_path):
    return write_eq(tmp_path)
