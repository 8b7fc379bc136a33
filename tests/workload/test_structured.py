"""Structured matrices: parameter counts against the papers' closed forms, and messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.workload.kernel import build_kernel
from hwsim.workload.structured import STRUCTURES, factors_of, is_structured


def parameters(structure, n, k):
    """Elements of all factors."""
    return sum(each.parameters for each in factors_of("gemm", structure, n, k))


@pytest.mark.parametrize(
    ("structure", "n", "k", "count"),
    [
        ("lowrank:64", 1024, 512, 64 * (1024 + 512)),
        ("blockdiag:8", 1024, 512, 1024 * 512 // 8),
        ("blockdense:4x256", 1024, 512, 256 * 512 // 4 + 1024 * 256),
        ("monarch:4", 4096, 1024, (1024 * 1024 + 1024 * 4096) // 4),
        ("btt:2", 4096, 4096, 2 * 2 * 64 * 4096),
        ("blast:4x128", 1024, 512, 128 * (1024 + 512) + 128 * 16),
    ],
)
def test_parameters(structure, n, k, count):
    """The closed forms of the papers."""
    assert parameters(structure, n, k) == count


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 16), st.integers(1, 16))
def test_factors_chain(blocks, rows, columns):
    """Each factor takes what the one before it gives, the first the inputs, the last gives the outputs."""
    n, k = 8 * rows, 8 * columns
    for structure in (f"monarch:{blocks}", f"blockdense:{blocks}x{8 * blocks}", "lowrank:5", "btt:3"):
        factors = factors_of("gemm", structure, n, k)
        widths = [k, *(each.blocks * each.n for each in factors)]
        assert all(each.blocks * each.k == width for each, width in zip(factors, widths, strict=False))
        assert widths[-1] == n


def test_density_of_the_op_is_that_of_the_factors():
    """Weight bytes are those of the stored elements."""
    op = build_kernel("gemm", {"m": 1, "n": 1024, "k": 512, "structure": "lowrank:64"})
    assert op.weight_bytes == 2 * 64 * (1024 + 512)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"structure": "monarch:3"}, "blocks that divide both"),
        ({"structure": "blast:4"}, "one of lowrank:R"),
        ({"structure": "lowrank:0"}, "one of lowrank:R"),
        ({"structure": "btt:2", "sparsity": 0.5}, "the factors are dense"),
        ({"structure": "diagonal"}, "monarch:B"),
    ],
)
def test_messages(given_, message):
    """What is wrong, and what would do."""
    with pytest.raises(HwsimError, match=message):
        build_kernel("gemm", {"m": 1, "n": 64, "k": 64, **given_})


def test_names():
    """Every name is told apart from sparsity's forms."""
    assert all(is_structured(name) for name in STRUCTURES)
    assert not any(is_structured(name) for name in ("none", "2:4", "block:16x16", "unstructured"))
