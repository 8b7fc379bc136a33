"""Fixtures of the mapper's tests."""

import pytest
from array_machines import make_ws16


@pytest.fixture
def ws16():
    """The golden machine."""
    return make_ws16()
