"""Products with weights of 8 and 4 bits by an engine's own kernels: few rows on the ALUs, profiled tiles, turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.block_scaled import block_scaled_tiles
from hwsim.devices.gpu.estimate import ALONE
from hwsim.devices.gpu.gemm import GemmFormats, gemm_estimate, gemm_rows, tiles_of
from hwsim.devices.gpu.menus import tile_form, tile_mismatches
from hwsim.devices.gpu.narrow_weights import narrow_kernel
from hwsim.devices.gpu.ranking import choices_tried, ranked_tiles
from hwsim.errors import Infeasible
from hwsim.mapping.forms import TileForm
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel

A100 = find_device("a100-sxm-80").parameters
INT4 = GemmFormats("fp16", "int4", "fp16")
INT8 = GemmFormats("fp16", "int8", "fp16")
SMOOTH = GemmFormats("int8", "int8", "fp16")
FORMATS = (INT4, INT8, SMOOTH)


def time_s(m: int, n: int, k: int, formats: GemmFormats, card=A100) -> float:
    """Seconds of one product."""
    return float(gemm_rows(card, m, n, k, formats).times_s[0])


def choice(m: int, n: int, k: int, formats: GemmFormats) -> tuple[int, ...]:
    """(tm, tn, tk, split) of one product."""
    row, split = gemm_rows(A100, m, n, k, formats).choices[0]
    return (*(int(each) for each in tiles_of(A100, formats)[int(row), :3]), int(split))


def own(change: str, factor: float):
    """The A100 with one constant of these kernels multiplied."""
    gemm = A100.software.gemm
    value = getattr(gemm.narrow, change)
    narrow = replace(gemm.narrow, **{change: replace(value, value=value.value * factor)})
    return replace(A100, stacks={A100.stack: replace(A100.software, gemm=replace(gemm, narrow=narrow))})


def test_which_products_have_such_kernels() -> None:
    """Weights of 8 and 4 bits under 16-bit activations, int8 under int8; no other group, stack or card."""
    assert [narrow_kernel(A100, each) for each in FORMATS] == ["weight-only", "weight-only", "smoothquant"]
    assert narrow_kernel(A100, replace(INT4, group=128)) == "weight-only"
    others = (GemmFormats(), replace(INT4, group=32), replace(INT4, structure="2:4"), GemmFormats("int8", "int4"))
    assert [narrow_kernel(A100, each) for each in others] == [None] * 4
    torch = find_device("a100-sxm-80", ("stack=torch-2",)).parameters
    cards = (torch, *(find_device(name).parameters for name in ("v100", "t4", "h100-sxm", "mi210")))
    assert [narrow_kernel(each, INT8) for each in cards] == [None] * 5


def test_few_rows_run_on_the_alus() -> None:
    """SmoothQuant up to 4 rows, weight-only where that is faster: not over a deep k, whose loads are a chain."""
    assert choice(4, 4096, 4096, SMOOTH) == (4, 2, 2048, 1)
    assert choice(5, 4096, 4096, SMOOTH)[2] < 1024
    assert choice(1, 16384, 4096, INT4) == (1, 32, 1024, 1)
    assert choice(1, 16384, 4096, INT8) == (1, 16, 1024, 1)
    assert choice(8, 512, 65536, INT4)[2] == choice(9, 16384, 4096, INT4)[2] == 64


def test_a_product_with_a_vector_streams_its_weights() -> None:
    """One row of a large matrix takes its bytes over the share of bandwidth that a plain read reaches."""
    narrow, gemm = A100.software.gemm.narrow, A100.software.gemm
    rate = A100.memory.bandwidth.value * narrow.stream.value
    floor = gemm.floor.value / A100.chip.tensor_clock.value
    for formats, bytes_each in ((SMOOTH, 1.0), (INT8, 1.0), (INT4, 0.5)):
        expected = floor + A100.launches.events.value + 65536 * 12288 * bytes_each / rate
        assert time_s(1, 65536, 12288, formats) == pytest.approx(expected, rel=0.05)
    bound = kernel(build_kernel("gemm", {"m": 4, "n": 4096, "k": 4096, "a_dtype": "fp16", "b_dtype": "int4"}), CARD)
    assert bound.bound == "alu"


CARD = find_device("a100-sxm-80")


@pytest.mark.parametrize("formats", FORMATS)
def test_the_tile_is_that_of_the_next_power_of_two(formats: GemmFormats) -> None:
    """129 to 256 rows take one tile; more than 8,192 take that of 8,192."""
    for n, k in ((4096, 4096), (8192, 7168), (65536, 1536)):
        assert len({choice(m, n, k, formats) for m in (129, 160, 192, 256)}) == 1
        assert choice(9000, n, k, formats) == choice(8192, n, k, formats)


@settings(max_examples=40)
@given(m=st.integers(0, 12), n=st.integers(1, 128), k=st.integers(1, 256), which=st.sampled_from(FORMATS))
def test_at_a_power_of_two_no_tile_is_faster(m: int, n: int, k: int, which: GemmFormats) -> None:
    """Where rows are as profiled, the chosen tile and split are the best of those that are offered."""
    rows, wide, deep = 2**m, 128 * n, 64 * k
    op = build_kernel("gemm", {"m": rows, "n": wide, "k": deep, "a_dtype": which.a, "b_dtype": which.b})
    best = time_s(rows, wide, deep, replace(which, out="fp16"))
    for tm, tn, tk, _ in tiles_of(A100, which):
        for split in (1, 2, 3, 4, 5, 6):
            form = TileForm(
                kind="gemm", dims=dict(op.dims), tm=int(tm), tn=int(tn), tk=int(tk), split=split, stride=1, dilation=1
            )
            found = gemm_rows(A100, rows, wide, deep, replace(which, out="fp16"), only=form)
            if not isinstance(found, Infeasible):
                assert found.times_s[0] >= best * (1 - 1e-12)


def test_a_split_is_paid_by_turns() -> None:
    """A deep k of few columns is split; turns twice as long leave fewer blocks, or cost as much more."""
    *_, split = choice(16, 512, 65536, INT4)
    assert split > 1
    assert choice(16, 512, 65536, SMOOTH)[3] == 1
    assert time_s(16, 512, 65536, INT4, own("turn", 2.0)) > time_s(16, 512, 65536, INT4)
    assert time_s(16, 512, 256, INT4, own("turn", 2.0)) == time_s(16, 512, 256, INT4)


def test_what_each_constant_slows() -> None:
    """Steps slow weight-only kernels alone, unpacking those of 4 bits, loads the kernels on the ALUs."""
    shapes = {"tensor": (4096, 4096, 4096), "chain": (16, 256, 4096), "alu": (1, 256, 4096)}

    def slower(change: str, shape: str, formats: GemmFormats) -> bool:
        return time_s(*shapes[shape], formats, own(change, 1.2)) > time_s(*shapes[shape], formats)

    assert slower("step", "chain", INT8)
    assert not slower("step", "chain", SMOOTH)
    assert slower("unpack", "tensor", INT4)
    assert not slower("unpack", "tensor", INT8)
    assert slower("load", "alu", SMOOTH)
    assert not slower("load", "tensor", INT4)


def test_rows_one_by_one_and_together_are_the_same() -> None:
    """Arrays of shapes, few rows and many, give what each shape gives alone, to the last bit."""
    m, n, k = (
        np.array(each) for each in ((1, 4, 5, 8, 9, 160, 9000), (512, 4096, 64, 2560, 128, 4096, 256), 7 * (4096,))
    )
    for formats in FORMATS:
        together = gemm_rows(A100, m, n, k, formats)
        for at, shape in enumerate(zip(m, n, k, strict=True)):
            alone = gemm_rows(A100, *(int(each) for each in shape), formats)
            assert alone.times_s[0] == together.times_s[at]
            assert (alone.choices[0] == together.choices[at]).all()


def test_experts_side_by_side_are_products_on_the_tensor_cores() -> None:
    """The kernels on the ALUs and the profile are those of single products."""
    assert gemm_rows(A100, 1, 4096, 4096, SMOOTH, batch=8).choices[0, 0] < 6
    single, eight = time_s(1, 4096, 4096, INT4), float(gemm_rows(A100, 1, 4096, 4096, INT4, batch=8).times_s[0])
    assert single < eight < 8 * single


@pytest.mark.parametrize("m", [1, 8, 160, 4096])
def test_the_map_is_the_tile_that_is_timed(m: int) -> None:
    """One tile, with the kernel's time and split, of as many as are offered; a mapping of it is no mismatch."""
    op = build_kernel("gemm", {"m": m, "n": 1024, "k": 8192, "a_dtype": "fp16", "b_dtype": "int4"})
    (only,) = ranked_tiles(A100, op)
    assert gemm_estimate(A100, op, ALONE).time_s == only.time_s
    assert choices_tried(A100, op) == (6 if m <= 8 else 5, 1)
    placed = CARD.map(op)
    form = tile_form(op, placed)
    assert (only.tm, only.tn, only.tk, only.split) == (form.tm, form.tn, form.tk, form.split)
    assert not list(tile_mismatches(form))


def test_a_tile_of_fewer_rows_is_refused() -> None:
    """The kernel for one row does not run two; SmoothQuant's four rows have no tile on the tensor cores."""
    dims = {"m": 2, "n": 4096, "k": 4096}
    form = TileForm(kind="gemm", dims=dims, tm=1, tn=32, tk=1024, split=1, stride=1, dilation=1)
    assert isinstance(gemm_rows(A100, 2, 4096, 4096, INT4, only=form), Infeasible)
    form = replace(form, tm=32, tn=128, tk=64)
    assert isinstance(gemm_rows(A100, 2, 4096, 4096, SMOOTH, only=form), Infeasible)


def test_tiles_of_block_scaled_kernels_may_stand_in_a_mapping() -> None:
    """What `hwsim map` writes of them passes `hwsim check`; an odd tile does not."""
    tm, tn, tk, _ = (int(each) for each in block_scaled_tiles("waves")[3])
    form = TileForm(kind="gemm", dims={"m": 1, "n": 1, "k": 1}, tm=tm, tn=tn, tk=tk, split=1, stride=1, dilation=1)
    assert not list(tile_mismatches(form))
    assert list(tile_mismatches(replace(form, tn=tn + 1)))
