"""`simulate`: the published rate, phases, whole requests, and accounts that add up."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from fpga_cases import BEAT_BYTES, LARGE_CHIP, LAYERS, answer, chain, cycles_of, machine

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.result import Result, to_json
from hwsim.spec import quantities
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Phase

BEATS, GEMM_CYCLES = 680_861, 423_040 + 204_800
ANSWERS = [
    ("mamba-ar", "vck190", {}),
    ("mamba", "vck190", {}),
    ("mamba", "vck190-spec", {}),
    ("mamba-tree", "vhk158-spec", {}),
    ("mamba-2.8b", "u280", {}),
    ("mamba-ar", "vck190-spec", {"phase": "prefill", "context": 40, "batch": 2}),
    ("mamba", "vck190-spec", {"phase": "inference", "context": 40, "new_tokens": 20}),
    ("mamba2-130m", "vck190", {"batch": 3, "new_tokens": 7}),
]


@pytest.fixture(params=ANSWERS, ids=lambda each: "-".join((each[0], each[1], *map(str, each[2].values()))))
def found(request: pytest.FixtureRequest) -> Result:
    """An answer of each sort."""
    workload, device, asked = request.param
    return answer(workload, machine(device), **asked)


# -- the published rate ------------------------------------------------------------------------------


def test_the_released_board_at_its_clock() -> None:
    """7.21 tokens/s at 400 MHz (LightMamba README), from one fitted bandwidth."""
    found = answer("mamba-ar", machine("vck190"))
    assert found.tokens_per_s == pytest.approx(7.21, rel=1e-3)
    assert found.bound == "memory"
    assert [constant.path for constant in found.fitted if constant.enters == "time"] == ["device.memory.bandwidth"]


@pytest.mark.parametrize("clock_hz", [100e6, 200e6, 300e6, 400e6, 600e6, 1000e6])
def test_another_clock_needs_no_other_fit(clock_hz: float) -> None:
    """Time is the slower of the port at its clock and the memory, over the same beats."""
    found = answer("mamba-ar", machine("vck190", {"clock": clock_hz}))
    port_s = LAYERS * BEATS / clock_hz
    memory_s = LAYERS * BEATS * BEAT_BYTES / 10.05e9
    assert found.step_s == pytest.approx(max(port_s, memory_s), rel=1e-3)


def test_a_slow_clock_on_fast_memory_is_bound_by_the_core() -> None:
    """With ports and memory out of the way, GEMMs and norm barriers are what is left."""
    values = {**LARGE_CHIP, "memory.bandwidth": 1e15, "memory.ports": 64}
    found = answer("mamba-ar", machine("vck190", values))
    assert found.bound == "linear"
    assert LAYERS * GEMM_CYCLES <= found.step_cycles <= LAYERS * (GEMM_CYCLES + 640 + 1280 + 256)


def test_a_machine_without_trees_runs_a_speculative_workload_token_by_token() -> None:
    """And says so; the figures are those of the autoregressive workload."""
    found, plain = answer("mamba", machine("vck190")), answer("mamba-ar", machine("vck190"))
    assert found.step_cycles == plain.step_cycles
    assert found.speculative is None
    assert "vck190 cannot verify several tokens at once: runs autoregressively" in found.notes


def test_the_head_on_the_host_is_said() -> None:
    """Published rates leave the head out; on the device it adds its weights' traffic at least."""
    host = answer("mamba-ar", machine("vck190"))
    device = answer(find_workload("mamba-ar", ["run.lm_head=device"]), machine("vck190"))
    assert any("LM head run on the host" in note for note in host.notes)
    assert not any("LM head" in note for note in device.notes)
    prompt = answer("mamba-ar", machine("vck190"), phase="prefill", context=8)
    assert any("LM head run on the host" in note for note in prompt.notes)
    head_bytes = 50288 * 2560 * (4 + 6 / 128) / 8
    assert device.bytes["dram"] - host.bytes["dram"] == pytest.approx(head_bytes, rel=1e-3)
    assert device.step_s - host.step_s >= head_bytes / 10.05e9


@pytest.mark.parametrize(("asked", "said"), [({"context": 10}, True), ({"new_tokens": 2}, True), ({"batch": 2}, False)])
def test_tokens_asked_of_images_are_said_to_change_nothing(asked: dict[str, int], said: bool) -> None:
    """A vision model runs once over each image, so a context has no meaning there."""
    found = simulate(find_workload("vit"), find_device("l4"), Question(**asked))
    plain = simulate(find_workload("vit"), find_device("l4"), Question(batch=asked.get("batch")))
    assert isinstance(found, Result)
    assert isinstance(plain, Result)
    assert found.time_s == plain.time_s
    assert any("runs once over each input" in note for note in found.notes) is said


def test_an_encoder_reads_texts_of_its_context_in_one_pass() -> None:
    """Tokens per second count those of the texts; new tokens change nothing, and no phase but training is another."""
    bert, card = find_workload("bert-base"), find_device("l4")
    found = simulate(bert, card, Question(batch=2, context=64, new_tokens=3))
    plain, short = (simulate(bert, card, Question(batch=2, context=tokens)) for tokens in (64, 16))
    assert isinstance(found, Result)
    assert isinstance(plain, Result)
    assert isinstance(short, Result)
    assert found.time_s == plain.time_s > short.time_s
    assert found.tokens_per_s == pytest.approx(2 * 64 / found.step_s)
    assert found.time_to_first_token_s is None
    assert [note for note in found.notes if "nothing" in note] == [
        "bert-base runs once over each input: --new-tokens changes nothing"
    ]
    assert plain.largest is not None
    assert plain.largest["context"] == 512  # where its positions end
    assert isinstance(simulate(bert, card, Question("train", batch=2, context=64)), Result)


# -- what must be held -------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["decode", "inference"])
def test_the_last_token_asked_must_fit(phase: Phase) -> None:
    """Times are those of the mean context; keys and values of the longest are held."""
    workload, question = find_workload("gpt2"), Question(phase=phase, batch=8, context=64, new_tokens=512)
    found = simulate(workload, find_device("l4"), question)
    assert isinstance(found, Result)
    longest = simulate(workload, find_device("l4"), Question(phase="decode", batch=8, context=64 + 511))
    assert isinstance(longest, Result)
    assert found.memory_bytes == longest.memory_bytes
    held = sum(found.memory_bytes.values())
    assert isinstance(simulate(workload, find_device("l4", [f"memory.capacity={held} bytes"]), question), Result)
    tight = simulate(workload, find_device("l4", [f"memory.capacity={held - 1} bytes"]), question)
    assert isinstance(tight, Infeasible)
    assert tight.levers[0].startswith("--batch 7 at most")
    assert tight.levers[1].startswith("--context 63 at most")


def test_a_request_holds_what_its_prompt_holds_if_that_is_more() -> None:
    """A long prompt's activations outweigh the keys and values of few new tokens."""
    workload = find_workload("gpt2")
    whole = simulate(workload, find_device("l4"), Question(phase="inference", batch=4, context=900, new_tokens=2))
    prompt = simulate(workload, find_device("l4"), Question(phase="prefill", batch=4, context=900))
    assert isinstance(whole, Result)
    assert isinstance(prompt, Result)
    assert whole.memory_bytes == prompt.memory_bytes


class Counted:
    """A machine that counts how often it is asked whether something fits."""

    def __init__(self, device: Any) -> None:
        self.device, self.asked = device, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def fits(self, passes: Any) -> Infeasible | None:
        """The machine's own answer."""
        self.asked += 1
        found: Infeasible | None = self.device.fits(passes)
        return found


@pytest.mark.parametrize(("workload", "times"), [("mamba-ar", 1), ("mamba", 2)])
def test_what_fits_is_asked_once_for_each_plan(workload: str, times: int) -> None:
    """One token at a time has no state plan; speculation is asked before it has one, and after."""
    device = Counted(machine("vck190-spec"))
    assert isinstance(simulate(find_workload(workload), device, Question()), Result)
    assert device.asked == times


# -- phases ------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", ["mamba-ar", "mamba"])
def test_decode_of_many_tokens(workload: str) -> None:
    """Steps times the step; rates do not depend on how many tokens are asked."""
    one = answer(workload, machine("vck190-spec"))
    many = answer(workload, machine("vck190-spec"), new_tokens=50)
    assert many.time_s == pytest.approx(50 / many.tokens_per_step * one.step_s)
    assert many.tokens_per_s == one.tokens_per_s
    assert many.energy_j == pytest.approx(50 * answer(workload, machine("vck190-spec"), new_tokens=1).energy_j)
    assert (many.time_to_first_token_s, many.new_tokens) == (None, 50)


@pytest.mark.parametrize("workload", ["mamba-ar", "mamba"])
def test_a_whole_request_is_its_prompt_and_then_steps(workload: str) -> None:
    """The prompt yields the first token; the others come in steps."""
    device = machine("vck190-spec")
    prompt = answer(workload, device, phase="prefill", context=30)
    step = answer(workload, device)
    whole = answer(workload, device, phase="inference", context=30, new_tokens=11)
    assert whole.time_to_first_token_s == prompt.time_s == prompt.time_to_first_token_s
    assert whole.time_s == pytest.approx(prompt.time_s + 10 / step.tokens_per_step * step.step_s)
    assert whole.step_s == step.step_s
    assert whole.tokens_per_s == step.tokens_per_s
    assert whole.tokens_per_j == pytest.approx(step.tokens_per_j)
    assert whole.energy_j == pytest.approx(prompt.energy_j + 10 / step.tokens_per_step * step_energy_j(step))
    assert next(row.role for row in whole.passes) == "prefill"


def step_energy_j(decode: Result) -> float:
    """Energy of one step of an answer in which nothing but steps was asked."""
    return decode.energy_j * decode.step_s / decode.time_s


def test_dropped_speculation_is_a_field() -> None:
    """True only where drafts were asked and tokens were decoded one at a time."""
    dropped = answer("mamba", machine("vck190"))
    assert dropped.speculation_dropped
    assert not any("acceptance" in each.path for each in dropped.assumed)
    assert any("acceptance" in each.path for each in answer("mamba", machine("vck190-spec")).assumed)
    assert not answer("mamba", machine("vck190-spec")).speculation_dropped
    assert not answer("mamba-ar", machine("vck190")).speculation_dropped
    assert not answer("mamba", machine("vck190"), phase="prefill", context=3).speculation_dropped


def test_draft_passes_name_their_level() -> None:
    """One draft pass for each level of the tree; the verification has none."""
    rows = answer("mamba", machine("vck190-spec")).passes
    assert [(row.role, row.level) for row in rows] == [("draft", 1), ("draft", 2), ("draft", 3), ("verify", 0)]


def test_a_request_of_one_token_is_its_prompt() -> None:
    """Nothing is left to decode."""
    device = machine("vck190")
    whole = answer("mamba-ar", device, phase="inference", context=5, new_tokens=1)
    assert whole.time_s == whole.time_to_first_token_s == answer("mamba-ar", device, phase="prefill", context=5).time_s


def test_batch_shares_the_weights() -> None:
    """Thirteen sequences in thirteen slots: users' rate falls, the whole's rises."""
    device = machine("vck190-spec", LARGE_CHIP)
    one, many = answer("mamba-ar", device), answer("mamba-ar", device, batch=13)
    assert one.tokens_per_s is not None
    assert many.tokens_per_s is not None
    assert many.tokens_per_s_per_user == pytest.approx(many.tokens_per_s / 13)
    assert one.tokens_per_s < many.tokens_per_s <= 13 * one.tokens_per_s
    assert many.macs == 13 * one.macs
    assert many.memory_bytes["weights"] == one.memory_bytes["weights"]
    assert many.memory_bytes["state"] == 13 * one.memory_bytes["state"]


@pytest.mark.parametrize(
    ("workload", "asked", "fault"),
    [
        ("vit", {"phase": "decode"}, "--phase: phase decode for vit, a model of images; expected inference"),
        (
            "bert-base",
            {"phase": "prefill"},
            "--phase: phase prefill for bert-base, an encoder of texts; expected inference or train",
        ),
        ("bert-base", {"context": 0}, "--context: a text of 0 tokens; expected the tokens of the text, 1 or more"),
        ("mamba-ar", {"batch": 0}, "--batch: 0; expected a whole number from 1 to 10^9"),
        ("mamba-ar", {"context": -1}, "--context: -1; expected a whole number from 0 to 10^9"),
        ("mamba-ar", {"new_tokens": 10**10}, "--new-tokens: 10000000000; expected a whole number from 1 to 10^9"),
        ("mamba-ar", {"phase": "prefill", "context": 0}, "--context: a prompt of 0 tokens; expected the tokens of"),
    ],
)
def test_questions_without_sense(workload: str, asked: dict[str, object], fault: str) -> None:
    """The option at fault, what was asked and what may be."""
    with pytest.raises(HwsimError) as caught:
        simulate(find_workload(workload), machine(), Question(**asked))
    assert str(caught.value).startswith(fault)


def test_a_file_whose_work_overflows_is_refused() -> None:
    """The slowest memory and the fastest clock: cycles beyond 64 bits are a fault, not a crash."""
    slow = find_device("vck190", ["memory.bandwidth=1", "memory.efficiency=0.001", "clock=1e12"])
    with pytest.raises(HwsimError, match="64 bits"):
        simulate(find_workload("mamba-ar"), slow)


# -- accounts ------------------------------------------------------------------------------


def test_energy_adds_up(found: Result) -> None:
    """Components, none of them negative, the static share being power times time."""
    assert sum(found.energy_j_by.values()) == pytest.approx(found.energy_j)
    assert set(found.energy_j_by) == {"linear", "scan", "on_chip", "dram", "static"}
    assert all(joules > 0 for joules in found.energy_j_by.values())
    static = machine(found.device).parameters.energy.static_power.value
    assert found.energy_j_by["static"] == pytest.approx(static * found.time_s)
    dram = machine(found.device).parameters.energy.dram.value
    assert found.energy_j_by["dram"] == pytest.approx(found.bytes["dram"] * dram * 1e-12)


def test_operators_add_up_to_the_step(found: Result) -> None:
    """Shares to one, times and cycles to the step, and busy times to each resource's use."""
    assert sum(row.share for row in found.ops) == pytest.approx(1)
    assert sum(row.time_s for row in found.ops) == pytest.approx(found.step_s)
    assert sum(row.cycles for row in found.ops) == pytest.approx(found.step_cycles)
    assert all(row.share == pytest.approx(row.cycles / found.step_cycles) for row in found.ops)
    assert all((row.bound == "hidden") == (row.cycles == 0) for row in found.ops)
    assert [row.time_s for row in found.ops] == sorted((row.time_s for row in found.ops), reverse=True)


def test_operators_bytes_and_macs_are_the_steps(found: Result) -> None:
    """What the rows move is what all the work moves, over its steps (or its prompt and steps)."""
    if found.phase == "inference":
        prompt = answer(found.workload, machine(found.device), phase="prefill", context=found.context)
        step = answer(found.workload, machine(found.device), new_tokens=1)
        steps = (found.new_tokens - 1) / found.tokens_per_step
        assert found.bytes["dram"] == pytest.approx(
            prompt.bytes["dram"] + steps * step.tokens_per_step * step.bytes["dram"]
        )
        return
    steps = found.time_s / found.step_s
    assert sum(row.bytes for row in found.ops) * steps == pytest.approx(found.bytes["dram"])
    assert sum(row.macs for row in found.ops) * steps == pytest.approx(found.macs)


def test_times_and_rates_agree(found: Result) -> None:
    """Cycles are seconds at the clock; tokens/s, its inverse per user, and tokens/J follow."""
    assert found.cycles == round(found.time_s * found.clock_hz)
    assert found.step_cycles == round(found.step_s * found.clock_hz)
    assert sum(row.cycles for row in found.passes if row.role != "prefill" or found.phase == "prefill") == (
        found.step_cycles
    )
    assert found.time_per_token_s == pytest.approx(found.step_s / found.tokens_per_step)
    assert found.tokens_per_s == pytest.approx(found.batch / found.time_per_token_s)
    assert found.tokens_per_s_per_user == pytest.approx(1 / found.time_per_token_s)
    if found.phase != "inference":
        tokens = found.context if found.phase == "prefill" else found.new_tokens
        assert found.tokens_per_j == pytest.approx(found.batch * tokens / found.energy_j)
    assert found.images_per_s is None


def test_json_is_plain_complete_and_stable(found: Result) -> None:
    """No NaN or infinity anywhere, and the same text each time."""
    text = to_json(found.to_dict())
    assert json.loads(text) == found.to_dict()
    again = answer(find_workload(found.workload), machine(found.device), **asked_again(found))
    assert to_json(again.to_dict()) == text


def asked_again(found: Result) -> dict[str, object]:
    asked = {"phase": found.phase, "batch": found.batch, "context": found.context}
    return {**asked, "new_tokens": found.new_tokens or None}


def test_constants_are_those_of_the_files(found: Result) -> None:
    """Every fitted and assumed value of machine and workload is listed once, but for those of drafts not run."""
    listed = {constant.path: constant for constant in (*found.fitted, *found.assumed, *found.set_by_user)}
    assert len(listed) == len(found.fitted) + len(found.assumed) + len(found.set_by_user)
    for kind, constants in (("fitted", found.fitted), ("assumed", found.assumed), ("set", found.set_by_user)):
        wanted = {
            path: each.value
            for path, each in (
                *quantities(machine(found.device).parameters, "device"),
                *quantities(find_workload(found.workload), "workload"),
            )
            if each.kind == kind and (found.speculative or not path.startswith("workload.decoding"))
        }
        assert {each.path: each.value for each in constants} == wanted
        assert all(each.kind == kind for each in constants)


def test_what_the_user_set_is_listed_apart() -> None:
    """The kind ``set``, in device and workload; it leaves the list that it stood in."""
    device = find_device("vck190-spec", ["memory.bandwidth=20 GB/s", "scan.lanes=64"])
    workload = find_workload("mamba", ["decoding.acceptance.accepted_ratio=0.5"])
    found = answer(workload, device)
    assert {each.path: each.value for each in found.set_by_user} == {
        "device.memory.bandwidth": 20e9,
        "device.scan.lanes": 64,
        "workload.decoding.acceptance.accepted_ratio": 0.5,
    }
    assert not {each.path for each in (*found.fitted, *found.assumed)} & {each.path for each in found.set_by_user}


def test_ideal_memory_still_makes_valid_json() -> None:
    """``.inf`` is an ideal part: the port is the limit, and JSON holds the text."""
    found = answer("mamba-ar", find_device("vck190", ["memory.bandwidth=.inf", "part.lut=.inf"]))
    assert found.step_s == pytest.approx(LAYERS * BEATS / 400e6, rel=1e-3)
    plain = json.loads(to_json(found.to_dict()))
    assert {each["path"]: each["value"] for each in plain["constants"]["set"]} == {
        "device.memory.bandwidth": ".inf",
        "device.part.lut": ".inf",
    }


def test_formats_asked_and_used_are_both_told() -> None:
    """A bf16 workload runs in the design's four bits, and the notes say so."""
    found = answer("mamba2-2.7b", machine("vck190"))
    assert found.formats["asked"]["weights"] == "bf16"
    assert found.formats["used"]["weights"] == "int4"
    assert "weights: asked bf16, runs int4" in found.notes


def test_macs_are_the_models() -> None:
    """Linear MACs of the body per token, from the facts' table, plus conv and state updates."""
    found = answer("mamba-ar", machine("vck190"))
    assert sum(row.macs for row in found.ops if row.kind == "gemm") == 2_571_632_640
    assert next(row for row in found.ops if row.name == "in_proj").macs == 64 * 2560 * 10576
    assert next(row for row in found.ops if row.name == "scan").count == 64
    assert found.macs == sum(row.macs for row in found.ops)


# -- speculation ------------------------------------------------------------------------------


def test_a_step_drafts_level_by_level_and_then_verifies() -> None:
    """One draft pass for each level, one verification of all nodes, one after the other."""
    found = answer("mamba-tree", machine("vck190-spec"))
    assert [row.role for row in found.passes] == ["draft"] * 4 + ["verify"]
    assert [row.tokens for row in found.passes] == [1, 3, 3, 3, 13]
    assert {row.model for row in found.passes} == {"mamba2-130m", "mamba-tree"}
    assert found.speculative is not None
    assert found.speculative["nodes"] == 13
    drafts = cycles_of(found, "draft") / found.clock_hz
    assert found.speculative["draft_s"] == pytest.approx(drafts)
    assert found.speculative["draft_s"] + found.speculative["verify_s"] == pytest.approx(found.step_s)
    assert found.tokens_per_s == pytest.approx(found.tokens_per_step / found.step_s)


def test_tokens_per_step_of_the_chain() -> None:
    """1 + 3 x 0.6825: what the acceptance says, nothing tuned."""
    found = answer("mamba", machine("vck190-spec"))
    assert found.tokens_per_step == pytest.approx(1 + 3 * 0.6825)
    assert any(each.path == "workload.decoding.acceptance.accepted_ratio" for each in found.assumed)


def test_speculation_speeds_up_a_memory_bound_board() -> None:
    """Each verification reads the weights once, so that speed-up is near tokens per step over traffic."""
    found, plain = answer("mamba", machine("vck190-spec")), answer("mamba-ar", machine("vck190"))
    assert found.tokens_per_s is not None
    assert plain.tokens_per_s is not None
    speed_up = found.tokens_per_s / plain.tokens_per_s
    traffic = found.bytes["dram"] * found.tokens_per_step / plain.bytes["dram"]
    assert speed_up == pytest.approx(found.tokens_per_step / traffic, rel=0.01)


def test_longer_chains_cost_more_time_per_step() -> None:
    """Nodes add draft passes and traffic, never take any away."""
    steps = [answer(chain(nodes), machine("vck190-spec", LARGE_CHIP)).step_cycles for nodes in (2, 3, 5, 9, 13)]
    assert steps == sorted(steps)
    assert not math.isclose(steps[0], steps[-1], rel_tol=0.1)
