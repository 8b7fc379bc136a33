"""Time alone, as sensitivities take it: the `time_s` of a whole simulation, on changed machines too, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.analysis.sensitivity import parameters_of
from hwsim.devices.base import ReadsInPart
from hwsim.devices.catalog import device_document, find_device, varied
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, seconds, simulate
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Pass
from hwsim.workload.transform import graph_of, prepared

CASES = [
    ("gpt2", "l4", Question(new_tokens=2)),
    ("gpt2", "l4", Question(phase="prefill", batch=3, context=40)),
    ("gpt2", "l4", Question(phase="inference", context=40, new_tokens=3)),
    ("gpt2", "l4", Question(phase="train", batch=2, context=64)),
    ("gpt2", "4x-l4", Question(batch=8)),
    ("mamba-tree", "vck190-spec", Question()),
    ("mamba2-130m", "vck190", Question(new_tokens=3)),
    ("gpt2", "spr-56c", Question()),
    ("srcnn", "optical-4k-2mhz", Question(batch=2)),
    ("srcnn", "systolic-os-16", Question()),
]
"""Every phase and family; the array's is a small one, as its mapper searches anew on each changed machine."""


@pytest.mark.parametrize(("workload", "machine", "question"), CASES)
def test_time_is_that_of_the_whole_answer(workload: str, machine: str, question: Question) -> None:
    """Leaving out the books changes no time, and what cannot run is refused alike."""
    asked, device = find_workload(workload), find_device(machine)
    answer, time_s = simulate(asked, device, question), seconds(asked, device, question)
    if isinstance(answer, Infeasible):
        assert isinstance(time_s, Infeasible)
        assert time_s.resource == answer.resource
    else:
        assert time_s == answer.time_s


@pytest.mark.parametrize(("workload", "machine", "question"), [case for case in CASES if case[1] != "systolic-os-16"])
def test_changed_machines_take_the_time_of_a_fresh_simulation(workload: str, machine: str, question: Question) -> None:
    """Some constants of each, moved: the plain path reads files and builds graphs anew."""
    asked, document = find_workload(workload), device_document(machine)
    parameters = [each for each in parameters_of(find_device(machine).parameters) if each.value and each.value < 1e30]
    tried = 0
    for each in parameters[:: max(1, len(parameters) // 6)]:
        text = f"{each.value * 2!r}{'' if each.unit == '1' else f' {each.unit}'}"
        try:
            plain = simulate(asked, find_device(machine, [f"{each.path}={text}"]), question)
        except HwsimError:  # a value that the schema refuses: by the fast way too
            with pytest.raises(HwsimError):
                varied(document, each.path, text)
            continue
        fast = seconds(asked, varied(document, each.path, text), question)
        tried += 1
        assert isinstance(fast, Infeasible) if isinstance(plain, Infeasible) else fast == plain.time_s, each.path
    assert tried


@pytest.mark.parametrize(("workload", "machine"), [("gpt2", "l4"), ("mamba2-130m", "h100-sxm"), ("gpt2", "4x-l4")])
def test_constants_that_are_not_read_change_no_time(workload: str, machine: str) -> None:
    """Sensitivities leave out their runs: each of them doubled, and halved, gives the same time."""
    asked, device, document = find_workload(workload), find_device(machine), device_document(machine)
    base = simulate(asked, device)
    assert not isinstance(base, Infeasible)
    assert isinstance(device, ReadsInPart)
    prefixes = device.unread({op.kind for op in base.ops})
    unread = [each for each in parameters_of(device.parameters) if each.path.startswith(prefixes) and each.value]
    assert unread
    for each in unread:
        for factor in (2.0, 0.5):
            text = f"{each.value * factor!r}{'' if each.unit == '1' else f' {each.unit}'}"
            try:
                changed = varied(document, each.path, text)
            except HwsimError:
                continue
            assert seconds(asked, changed) == base.time_s, each.path


def test_graphs_are_kept_and_those_of_huge_models_are_not() -> None:
    """The same pass gives the same object; of a model of more layers than a memory should keep, a new one."""
    asked, one = prepared(find_workload("gpt2")), Pass("decode", 1, 1, 8)
    assert graph_of(asked, one) is graph_of(asked, one)
    deep = replace(asked, model=replace(asked.model, layers=1001))
    assert graph_of(deep, one) is not graph_of(deep, one)
