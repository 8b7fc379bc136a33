"""Accounts of a kernel and of a run: only what its figures lean on."""

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import Question, kernel, seconds, simulate
from hwsim.pipeline.leaning import leaning_constants, scaled, with_leaning
from hwsim.spec import quantities
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

PRODUCT = {"m": 16, "n": 4096, "k": 4096, "dtype": "bf16"}


def paths(constants, enters=None):
    """The constants' paths, those that enter ``enters`` if it is given."""
    return {each.path for each in constants if enters in (None, each.enters)}


@pytest.mark.parametrize("name", ["a100-sxm-80", "xeon-8475b", "optical-dmd-20khz", "eyeriss"])
def test_moving_any_other_constant_moves_nothing(name):
    """The list is complete: constants that are not on it change neither time nor energy, here when cut by 3 %."""
    device = find_device(name)
    op = build_kernel("norm", {"op": "rmsnorm", "tokens": 64, "width": 4096, "dtype": "bf16"})
    base, listed = kernel(op, device), paths(leaning_constants(device, op))
    others = [
        path
        for path, quantity in quantities(device.parameters, "")
        if quantity.kind in ("fitted", "assumed") and f"device.{path.lstrip('.')}" not in listed
    ]
    assert others
    floats = [path for path in others if any(part in path for part in ("floor", "bandwidth", "share", "energy"))]
    for path in floats:
        segments = tuple(path.lstrip(".").replace("[", ".").replace("]", "").split("."))
        moved = kernel(op, replace(device, parameters=scaled(device.parameters, segments, 0.97)))
        assert moved.time_s == pytest.approx(base.time_s, rel=1e-3), path
        assert moved.energy_j == pytest.approx(base.energy_j, rel=1e-3), path


def test_time_and_energy_are_told_apart():
    """The floor of a product enters its time, the energy of a multiply-accumulate only its energy."""
    found = leaning_constants(find_device("a100-sxm-80"), build_kernel("gemm", PRODUCT))
    assert "device.stacks.trtllm-1.gemm.floor" in paths(found, "time")
    assert "device.power.tensor" in paths(found, "energy")


def test_settings_of_the_kernel_are_applied():
    """A kernel that is called eagerly leans on the cost of a call; one without the host's part does not."""
    device = find_device("a100-sxm-80")
    eager, alone = (
        paths(leaning_constants(device, build_kernel("gemm", {**PRODUCT, "launch": mode})))
        for mode in ("eager", "none")
    )
    assert "device.launches.call" in eager - alone


def test_kernel_that_cannot_run_leans_on_nothing():
    """No figure, no account."""
    assert leaning_constants(find_device("v100"), build_kernel("gemm", PRODUCT)) == ()


def test_answer_keeps_its_figures():
    """Only the accounts of the answer change."""
    device, op = find_device("a100-sxm-80"), build_kernel("gemm", PRODUCT)
    whole = kernel(op, device)
    narrowed = with_leaning(whole, op, device)
    assert (narrowed.time_s, narrowed.energy_j) == (whole.time_s, whole.energy_j)
    assert paths(narrowed.fitted) < paths(whole.fitted)
    assert {each.kind for each in narrowed.assumed} <= {"assumed"}


def test_scaled_reaches_into_lists():
    """An item of a list is moved, its neighbours are not."""
    parameters = find_device("eyeriss").parameters
    moved = scaled(parameters, ("levels", "0", "read_energy"), 2.0)
    assert moved.levels[0].read_energy.value == 2 * parameters.levels[0].read_energy.value
    assert moved.levels[1] == parameters.levels[1]


def test_run_without_a_scan_has_no_constants_of_scans():
    """A transformer on one card leans on no constant of scans or links; a Mamba model on none of attention."""
    card = find_device("h100-sxm")
    llama, mamba = (
        simulate(find_workload(name), card, Question(phase="decode", context=128)) for name in ("llama-3-8b", "mamba")
    )
    said = " ".join(paths((*llama.fitted, *llama.assumed)))
    assert "attention." in said
    assert not any(word in said for word in ("trtllm-1.scan.", "device.link.", "device.launches."))
    said = " ".join(paths((*mamba.fitted, *mamba.assumed)))
    assert ".scan." in said
    assert ".attention." not in said


def hidden(result, device):
    """Paths of the machine's fitted and assumed constants that an answer does not name."""
    named = paths((*result.fitted, *result.assumed))
    every = ((path.lstrip("."), each.kind) for path, each in quantities(device.parameters, ""))
    return [path for path, kind in every if kind in ("fitted", "assumed") and f"device.{path}" not in named]


@pytest.mark.parametrize(
    ("workload", "name", "question"),
    [
        ("llama-3-8b", "h100-sxm", Question("decode", context=1024, leaning=True)),
        ("llama-3-8b", "h100-sxm", Question("inference", context=512, new_tokens=8, leaning=True)),
        ("mamba2-130m", "a100-sxm-80", Question("prefill", context=512, leaning=True)),
        ("vit", "optical-dmd-20khz", Question(leaning=True)),
    ],
)
def test_constants_that_a_simulation_leaves_out_move_no_time(workload, name, question):
    """Each constant that is not named leaves the time where it is when cut by 5 percent."""
    device, model = find_device(name), find_workload(workload)
    answer = simulate(model, device, question)
    others = hidden(answer, device)
    assert len(others) > 3
    for path in others:
        segments = tuple(path.replace("[", ".").replace("]", "").split("."))
        try:
            moved = replace(device, parameters=scaled(device.parameters, segments, 0.95))
            time_s = seconds(model, moved, question)
        except HwsimError:  # a count that comes whole
            continue
        assert time_s == pytest.approx(answer.time_s, rel=1e-4), path


def test_constants_that_a_simulation_leaves_out_move_no_energy():
    """The same of energy: those of arithmetic that hardly runs, of other formats, of other phases."""
    device, model, question = find_device("h100-sxm"), find_workload("gpt2"), Question("decode", context=64)
    answer = simulate(model, device, replace(question, leaning=True))
    assert "device.power.idle" in paths(answer.assumed, "energy")
    for path in hidden(answer, device):
        moved = replace(device, parameters=scaled(device.parameters, tuple(path.split(".")), 0.95))
        assert simulate(model, moved, question).energy_j == pytest.approx(answer.energy_j, rel=1e-4), path


def test_simulation_names_no_constant_of_another_format_or_phase():
    """A decode in bf16 leans on nothing of 8-bit formats, of quantising or of prefills; one in fp8 on others."""
    card, question = find_device("h100-sxm"), Question("decode", batch=64, context=1024, leaning=True)
    plain, narrow = (
        " ".join(paths((*answer.fitted, *answer.assumed)))
        for answer in (
            simulate(find_workload("llama-3-8b", overrides), card, question)
            for overrides in ([], ["formats.weights=fp8_e4m3", "formats.activations=fp8_e4m3"])
        )
    )
    assert "attention.decode_floor" in plain
    assert not [word for word in ("narrow", "quantize", "int8", "block", "attention.floor") if word in plain]
    assert narrow != plain


def test_machines_that_search_mappings_name_all_their_constants():
    """Each constant of an array would be another search of all nests, so that none is moved."""
    array, model = find_device("systolic-ws-16"), find_workload("srcnn")
    asked, plain = (simulate(model, array, Question(leaning=leaning)) for leaning in (True, False))
    assert (asked.fitted, asked.assumed) == (plain.fitted, plain.assumed)


def test_constants_of_the_workload_stay():
    """What a speculative workload assumes of its draft stands in the answer, as all machines lean on it."""
    answer = simulate(find_workload("mamba"), find_device("vck190-spec"), Question(leaning=True))
    assert [path for path in paths((*answer.fitted, *answer.assumed)) if path.startswith("workload.")]
