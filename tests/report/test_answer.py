"""What `simulate`, `compare`, `diff` and `roofline` say, on plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import result_builder as build

from hwsim.analysis.compare import Entry
from hwsim.analysis.diff import difference
from hwsim.analysis.roofline import roofline
from hwsim.errors import Infeasible
from hwsim.report.answer import (
    answer_blocks,
    decoding_words,
    format_words,
    infeasible_blocks,
    machine_table,
    why_not,
)
from hwsim.report.comparison import comparison_blocks
from hwsim.report.difference import difference_blocks, unit_of
from hwsim.report.roofline_table import roofline_blocks
from hwsim.report.table import plain

Golden = Callable[[str, str], None]


def test_speculative_answer_beside_its_rival(golden: Golden) -> None:
    """The whole text of an answer, with the autoregressive machine beside it."""
    golden("answer_speculative.txt", plain(answer_blocks(build.speculative(), build.result())))


def test_autoregressive_answer(golden: Golden) -> None:
    """The whole text of an answer alone."""
    golden("answer_autoregressive.txt", plain(answer_blocks(build.result())))


def test_infeasible_answer(golden: Golden) -> None:
    """Reason, terms and levers."""
    golden("answer_infeasible.txt", plain(infeasible_blocks("mamba", "board", build.INFEASIBLE)))


def test_reason_in_a_sentence_has_prefixes_and_leaves_out_what_counts_nothing() -> None:
    """Bytes stand with their prefix; of a thing that is missing no "needs 1, has 0" is told."""
    memory = Infeasible("memory", 2.469e10, 2.4e10, "bytes", "too little", {}, ("a batch of 1",))
    assert why_not(memory) == "too little (memory: needs 24.69 GB, has 24 GB). Try: a batch of 1"
    unit = Infeasible("attention unit", 1, 0, "units", "no attention unit", {"attention": 1})
    assert why_not(unit) == "no attention unit"
    told = Infeasible(
        "memory", 24.69e9, 24e9, "bytes", "it holds 24 GB a card, 24.7 GB are needed", {"weights": 24.69e9}
    )
    assert why_not(told) == told.reason
    text = plain(infeasible_blocks("model", "card", told))
    assert "has 24 GB" not in text
    assert "weights" in text
    assert "has 0" not in plain(infeasible_blocks("llama", "board", unit))


def test_comparison(golden: Golden) -> None:
    """Machines that cannot run it stay, with the reason."""
    entries = (
        Entry("board", build.result()),
        Entry("small", build.INFEASIBLE),
        Entry("board-spec", build.speculative()),
    )
    golden("comparison.txt", plain(comparison_blocks("mamba", entries)))


def test_difference(golden: Golden) -> None:
    """Causes first, then outcomes."""
    found = difference(build.result().to_dict(), build.speculative().to_dict())
    golden("difference.txt", plain(difference_blocks("a.json", "b.json", found)))
    same = difference(build.result().to_dict(), build.result().to_dict())
    assert plain(difference_blocks("a.json", "b.json", same)) == "From a.json to b.json\nNothing differs.\n"


def test_roofline_table(golden: Golden) -> None:
    """Roofs, ridges and operators."""
    golden("roofline.txt", plain(roofline_blocks(roofline(build.result()))))


def test_rival_that_cannot_run_is_named() -> None:
    """The answer stands even where the machine to compare with fails."""
    text = plain(answer_blocks(build.speculative(), build.INFEASIBLE))
    assert "The machine to compare with cannot run it: The design does not fit the fabric" in text


def test_decoding_words() -> None:
    """Chain, tree, one at a time, or nothing decoded."""
    tree = {"nodes": 4, "parents": [0, 0, 1], "tokens_per_step": 2.0, "policy": {}}
    assert decoding_words(build.result()) == "autoregressive"
    assert decoding_words(build.speculative()) == "chain of 3"
    assert decoding_words(build.speculative(speculative=tree)) == "tree of 4"
    assert decoding_words(build.result(new_tokens=0)) == ""


def test_format_words_name_departures_only() -> None:
    """A format that is used as asked is not mentioned."""
    assert format_words(build.result()) == ""
    assert format_words(build.speculative()) == "state: bf16 -> int8"


def test_prefill_request_and_images_say_what_a_step_is() -> None:
    """Each phase defines its step; a request tells how long the prompt takes."""
    prefill = build.result(phase="prefill", context=512, new_tokens=0, time_to_first_token_s=0.1)
    assert "A step is the whole prompt of one sequence: 512 tokens." in plain(answer_blocks(prefill))
    images = build.result(
        phase="inference", batch=4, new_tokens=0, images_per_s=40.0, images_per_j=3.0, tokens_per_s=None,
        time_per_token_s=None, tokens_per_j=None,
    )  # fmt: skip
    text = plain(answer_blocks(images))
    assert "A step is one run of the model over a batch of 4 images." in text
    assert "100 ms per batch, 40 images/s, 333.3 mJ per image." in text
    texts = build.result(phase="inference", batch=4, new_tokens=0, tokens_per_step=128.0, step_s=0.01)
    said = " ".join(plain(answer_blocks(texts)).split())
    assert "A step is one run of the model over a batch of 4 inputs of 128 tokens: 400 inputs/s." in said
    request = build.result(phase="inference", context=64, new_tokens=10, time_s=2.0, time_to_first_token_s=1.0)
    said = " ".join(plain(answer_blocks(request)).split())
    assert (
        "These figures are of decoding alone: the first token comes after 1 s, with the prompt of 64 tokens; "
        "the whole request, which yields 10, takes 2 s."
    ) in said
    assert "The whole request: 64 tokens in, 10 out" in said
    assert "energy of the whole request 400 mJ" in said


def test_dropped_speculation_is_said_first() -> None:
    """A reader who asked for drafts learns before the first figure that there are none."""
    said = plain(answer_blocks(build.result(speculation_dropped=True))).split("\n", 1)[1]
    assert " ".join(said.split()).startswith("mamba speculates, but board cannot verify what is drafted at once:")
    assert "speculates" not in plain(answer_blocks(build.result()))


def test_batch_says_whose_tokens_are_counted() -> None:
    """The time is of each sequence, the rate of all: 4 tokens in 0.1 s are 40 a second."""
    many = build.result(batch=4, tokens_per_s=40.0)
    assert "100 ms per token of each sequence, 40 tokens/s over all 4" in plain(answer_blocks(many))
    words = "4 sequences run together: per token is of each sequence, tokens/s and J/token are over all."
    assert words in plain(comparison_blocks("mamba", (Entry("board", many),)))
    alone = plain(comparison_blocks("mamba", (Entry("board", build.result()),)))
    assert "sequence" not in alone + plain(answer_blocks(build.result())).replace("for one sequence", "")


def test_constants_stand_by_what_they_enter() -> None:
    """Time, then energy; those of capacity are counted, with the command that lists them, unless the user set them."""
    lanes = replace(build.ASSUMED, path="device.scan.lanes", enters="time")
    luts = replace(build.ASSUMED, path="device.part.lut", enters="capacity")
    said = plain(answer_blocks(build.result(assumed=(luts, build.ASSUMED, lanes)), None, "my.yaml"))
    assert said.index("device.scan.lanes") < said.index(build.ASSUMED.path)
    assert luts.path not in said
    assert "1 fitted or assumed, which change no time and no energy: hwsim show device my.yaml lists them." in said
    shown = plain(answer_blocks(build.result(set_by_user=(replace(luts, kind="set"),))))
    assert luts.path in shown
    assert "no time and no energy" not in shown


def test_limit_that_is_not_busy_throughout_says_so() -> None:
    """Where no resource is busy most of the time, waiting is part of the reason."""
    said = " ".join(plain(answer_blocks(build.result(bound="linear", utilization={"linear": 0.5}))).split())
    assert "The limit is linear, busy for 50.0 % of a step" in said
    assert "wait for one another" in said


@pytest.mark.parametrize(
    ("bound", "why"),
    [
        ("memory", "bytes arrive more slowly"),
        ("linear", "its arithmetic takes longer"),
        ("latency", "starting, filling and ending kernels"),
        ("host", "what the other units cannot do"),
        ("camera", "pictures follow one another"),
        ("link", "bytes pass between the parts"),
    ],
)
def test_reason_is_that_of_the_resource(bound: str, why: str) -> None:
    """Only arithmetic units wait for arithmetic; links, hosts, cameras and floors of kernels have their own reasons."""
    assert why in " ".join(plain(answer_blocks(build.result(bound=bound, utilization={bound: 1.0}))).split())


def test_speed_up_is_over_the_last_machine() -> None:
    """The rival itself stands at 1x."""
    table = machine_table([build.speculative(), build.result()])
    assert [row[9] for row in table.rows] == ["2.4x", "1x"]


def test_hostile_names_stay_on_their_line() -> None:
    """A workload's name cannot add lines to the report."""
    text = plain(answer_blocks(build.result(workload="evil\nNotes\x1b[2J")))
    assert "\x1b" not in text
    assert text.splitlines()[0] == "evil Notes?[2J on board"


def test_difference_prints_values_as_other_tables_do() -> None:
    """A rate with its prefix and unit, a time in its unit, and all digits where four would tell no difference."""
    rate = build.Constant("device.memory.bandwidth", 1.005e10, "bytes/s", "fitted", "a row")
    before = build.result(fitted=(rate,))
    after = build.result(fitted=(), set_by_user=(replace(rate, value=1.28e10, kind="set"),), time_s=0.05)
    text = plain(difference_blocks("a.json", "b.json", difference(before.to_dict(), after.to_dict())))
    assert "constants.fitted.device.memory.bandwidth  10.05 GB/s" in text
    assert "12.8 GB/s" in text
    assert [line.split() for line in text.splitlines() if line.startswith("  time_s ")] == [
        ["time_s", "100", "ms", "50", "ms", "0.5"]
    ]
    nearly = difference(before.to_dict(), build.result(fitted=(rate,), time_s=0.1000001).to_dict())
    assert "0.1000001" in plain(difference_blocks("a.json", "b.json", nearly))


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("time_s", "s"),
        ("tokens_per_s", ""),
        ("time_per_token_s", "s"),
        ("energy_j_by.memory", "J"),
        ("ops.in_proj.bytes_by.dram", "bytes"),
        ("memory_bytes.weights", "bytes"),
        ("ops.gate_s.cycles", ""),
        ("clock_hz", "Hz"),
        ("tokens_per_j", ""),
    ],
)
def test_units_of_fields(path: str, unit: str) -> None:
    """A field's name, or that of the table around it, tells its unit; the name of an operator does not."""
    assert unit_of(path) == unit


def test_format_of_a_state_stands_only_where_there_is_one() -> None:
    """A model without a recurrence has no state whose format could matter."""
    with_scan = plain(answer_blocks(build.result()))
    without = plain(answer_blocks(build.result(ops=tuple(op for op in build.OPS if op.kind != "scan"))))
    assert "\n  state " in with_scan
    assert "\n  state " not in without
