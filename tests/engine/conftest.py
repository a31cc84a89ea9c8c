"""Tests of the native engine run with every instruction set of the machine; without the engine they are skipped."""

import pytest

from glassnet.engine import devices
from glassnet.engine import native as engine

MISSING = engine.missing()


@pytest.fixture
def native():
    """The native engine."""
    if MISSING:
        pytest.skip(MISSING)
    return engine


@pytest.fixture
def four_cores(native, monkeypatch):
    """As many threads as are asked for, up to 4, whatever the machine has."""
    monkeypatch.setattr(devices, "available_cores", lambda: 4)


@pytest.fixture(params=["none"] if MISSING else engine.instruction_sets())
def isa(request, native, monkeypatch):
    """Each instruction set in turn, forced."""
    monkeypatch.setenv("GLASSNET_NATIVE_ISA", request.param)
    return request.param


@pytest.fixture
def bfloat16(monkeypatch):
    """Products in bfloat16, though the processor may have to be made to compute them."""
    monkeypatch.setenv("GLASSNET_NATIVE_BF16", "1")
