"""Cards that no row was measured on: formats by generation, operand feed, carried bandwidth, plausible answers."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.gpu.gemm import GemmFormats, gemm_path, gemm_rows
from hwsim.errors import Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.report.table import amount
from hwsim.spec import quantities
from hwsim.workload import find_workload

CARDS = sorted(
    name for name in device_names() if find_device(name).family == "gpu" and not find_device(name).parameters.cluster
)
HALVED = ("rtx-2070", "rtx-3090", "rtx-4090", "rtx-5090", "rtx-5090-qutlass")
SINCE = {
    "fp8": {"ada", "hopper", "blackwell"},
    "fp4": {"blackwell"},
    "int4": {"turing", "ampere", "ada"},
    "bf16": {"ampere", "ada", "hopper", "blackwell", "cdna2"},
    "tf32": {"ampere", "ada", "hopper", "blackwell"},
    "int8": {"turing", "ampere", "ada", "hopper", "blackwell", "cdna2"},
}
"""Path -> generations whose tensor cores have it."""


def card(name):
    """The parameters of a card."""
    return find_device(name).parameters


def feed_per_clock(name):
    """Bytes of operands per clock that one SM's tensor cores get from L2."""
    p = card(name)
    _path, constants = gemm_path(p, GemmFormats("fp16", "fp16"))
    return constants.feed_bytes_s / p.chip.tensor_clock.value


@pytest.mark.parametrize("name", CARDS)
def test_formats_came_with_their_generations(name):
    """A card has a path just where its generation's tensor cores do."""
    p = card(name)
    for path, generations in SINCE.items():
        assert (path in p.tensor) == (p.generation in generations), path


@pytest.mark.parametrize("name", CARDS)
def test_rates_halve_with_twice_the_bits(name):
    """Full-rate paths follow the bits; GeForce boards alone halve products with fp32 sums."""
    p = card(name)
    rate = {path: each.value for path, each in p.tensor.items()}
    full = rate.get("fp16_acc16", rate["fp16"])
    assert full == rate["fp16"] * (2 if name in HALVED else 1)
    if "tf32" in rate:
        assert rate["tf32"] == rate["fp16"] / 2
    if "int8" in rate and p.generation != "cdna2":
        assert rate["int8"] == 2 * full
    if "fp8" in rate:
        assert rate["fp8"] == 2 * rate["fp16"]
    if "int1" in rate:
        assert rate["int1"] == 8 * rate["int8"]
    if "int4" in rate:
        assert rate["int4"] == 2 * rate["int8"]


@pytest.mark.parametrize(
    ("board", "same_chip"), [("rtx-5090", "rtx-pro-6000-server"), ("rtx-4090", "l40s"), ("rtx-3090", "a40")]
)
def test_a_halved_rate_leaves_the_operand_feed(board, same_chip):
    """Boards of one chip get as many operand bytes per clock, whatever products with fp32 sums are sold at."""
    assert feed_per_clock(board) == pytest.approx(feed_per_clock(same_chip))


@pytest.mark.parametrize("name", HALVED)
def test_half_the_rate_is_reached_more_fully(name):
    """With the same feed, products with fp32 sums reach a larger share of their halved rate than those with fp16."""
    p = card(name)
    wide, narrow = (
        gemm_rows(p, 4096, 4096, 4096, GemmFormats("fp16", "fp16", "fp16", acc)).times_s[0] for acc in ("fp32", "fp16")
    )
    assert 1.0 < wide / narrow < 2.0


@pytest.mark.parametrize("name", CARDS)
def test_products_and_decoding_reach_a_plausible_share(name):
    """A 4096 cube reaches half to all of the tensor rate, a decode step 0.4 to all of the bandwidth."""
    p = card(name)
    time = gemm_rows(p, 4096, 4096, 4096, GemmFormats("fp16", "fp16", "fp16")).times_s[0]
    peak = p.chip.sms.value * p.tensor["fp16"].value * p.chip.tensor_clock.value
    assert 0.5 < 2 * 4096**3 / time / peak < 1.0
    batch = 16 if p.memory.capacity.value > 10e9 else 8  # what an 8 GB board has room for
    answer = simulate(find_workload("mamba2-2.7b"), find_device(name), Question(phase="decode", batch=batch))
    assert not isinstance(answer, Infeasible)
    moved = answer.bytes["dram"]
    assert 0.4 < moved / answer.step_s / p.memory.bandwidth.value < 1.0


@pytest.mark.parametrize("name", CARDS)
def test_more_work_takes_no_less_time(name):
    """Doubling the rows, the columns or the depth of a product never makes it faster."""
    p, sizes = card(name), 64.0 * 2.0 ** np.arange(8)
    for m, n, k in ((sizes, 4096, 4096), (512, sizes, 4096), (512, 4096, sizes)):
        times = gemm_rows(p, m, n, k, GemmFormats("fp16", "fp16", "fp16")).times_s
        assert np.all(np.diff(times) >= -1e-9 * times[1:])


@pytest.mark.parametrize("name", [name for name in CARDS if card(name).memory.carry])
def test_carried_bandwidth_moves_what_waits_for_memory_alone(name):
    """A product of one row goes with the carried share and stays under nominal; a cube of 4,096 hardly moves."""
    p = card(name)
    plain = replace(p, memory=replace(p.memory, carry=None))
    formats = GemmFormats("fp16", "fp16", "fp16")
    row = [gemm_rows(each, 1, 32768, 8192, formats).times_s[0] for each in (plain, p)]
    cube = [gemm_rows(each, 4096, 4096, 4096, formats).times_s[0] for each in (plain, p)]
    assert row[0] / row[1] == pytest.approx(p.memory.carry.value, rel=0.02)
    assert row[1] >= 2 * 32768 * 8192 / p.memory.bandwidth.value
    assert cube[0] / cube[1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", device_names())
def test_cycles_are_printed_as_such(name):
    """A constant that its file's description counts in cycles or clocks says so where it is printed."""
    found = {path.rpartition(".")[2]: each for path, each in quantities(find_device(name).parameters, "")}
    counted = {"fill", "store", "split", "quantize_step", "page_step", "hot", "cold", "root_cycles"} & set(found)
    assert [key for key in counted if not amount(found[key].value, found[key].unit).endswith(" cycles")] == []
    assert ("fill" in counted) == (find_device(name).family == "gpu")
