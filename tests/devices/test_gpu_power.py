"""The power limit of a board: no kernel and no pass spends more than the limit over its time."""

import numpy as np
import pytest

from hwsim.devices.base import TimesRows
from hwsim.devices.catalog import device_names, find_device
from hwsim.errors import Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel
from hwsim.workload.rows import op_of_rows

CARDS = [name for name in device_names() if find_device(name).family == "gpu"]
KERNELS = (
    ("gemm", {"m": 8192, "n": 8192, "k": 8192, "dtype": "fp16"}),
    ("gemm", {"m": 512, "n": 4096, "k": 4096, "dtype": "int8"}),
    ("attention", {"phase": "prefill", "batch": 4, "heads": 32, "kv_heads": 8, "q_len": 4096, "kv_len": 4096,
                   "head_dim": 128, "dtype": "fp16"}),
    ("norm", {"op": "rmsnorm", "tokens": 8192, "width": 8192, "dtype": "fp16"}),
)  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize(("kind", "arguments"), KERNELS)
def test_no_kernel_draws_more_than_its_boards_may(name, kind, arguments):
    """Energy over time is between idle power and the limit."""
    device = find_device(name)
    answer = kernel(build_kernel(kind, arguments), device)
    if isinstance(answer, Infeasible):
        pytest.skip(answer.reason)
    power = device.parameters.power
    watts = answer.energy_j / answer.time_s
    assert device.cards * power.idle.value < watts <= device.cards * power.limit.value * (1 + 1e-9)


def test_a_pass_keeps_the_limit_and_its_parts_add_up():
    """A long prefill on a card that would draw more: its energy is the limit's, and still the sum of its components."""
    device = find_device("h100-sxm")
    result = simulate(find_workload("llama-3-8b"), device, Question("prefill", 8, 4096))
    assert result.energy_j / result.time_s <= device.parameters.power.limit.value * (1 + 1e-9)
    assert sum(result.energy_j_by.values()) == pytest.approx(result.energy_j)


def test_rows_of_a_file_keep_the_limit_too():
    """The array form gives the energies of one kernel at a time, limited or not."""
    device = find_device("h100-sxm")
    assert isinstance(device, TimesRows)
    depths = (64, 1024, 8192)
    shape = {"m": 4096, "n": 4096, "k": 64, "dtype": "fp16"}
    wide = op_of_rows(build_kernel("gemm", shape), {"k": np.array(depths)})
    assert wide is not None
    rows = device.kernel_rows(wide)
    single = [kernel(build_kernel("gemm", shape | {"k": k}), device).energy_j for k in depths]
    assert rows.energy_j == pytest.approx(single, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "share"),
    [
        ({}, 1.0),
        ({"sparsity": 0.5}, 1.0),
        ({"structure": "2:4"}, 0.5),
        ({"structure": "block:16x16", "sparsity": 0.9}, 0.1),
        ({"structure": "block:8x16", "sparsity": 0.75}, 0.5),
        ({"structure": "lowrank:256"}, 0.125),
    ],
)
def test_only_products_that_are_performed_take_energy(arguments, share):
    """2:4, stored blocks (padded to 16) and factors; zeros that lie anywhere are multiplied. One by one and as rows."""
    device = find_device("h100-sxm")
    shape = {"m": 16, "n": 4096, "k": 4096, "dtype": "fp16"}
    dense, sparse = (build_kernel("gemm", shape | more) for more in ({}, arguments))
    spent = [device.energy_pj(op, {"dram": 0.0}, None)["tensor"] for op in (dense, sparse)]
    assert spent[1] == pytest.approx(share * spent[0], rel=1e-6)
    wide = op_of_rows(sparse, {"m": np.array([16])})
    if wide is not None:  # structures whose rows go one by one
        assert device.kernel_rows(wide).energy_j[0] == pytest.approx(kernel(sparse, device).energy_j, rel=1e-9)
