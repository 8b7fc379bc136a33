"""What an answer says first, in sentences: how fast, what limits it and why, and what a step is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hwsim.analysis.breakdown import busiest, speed_up
from hwsim.report.table import energy_of_one, number, per_cent, ratio
from hwsim.result import Result
from hwsim.units import format_count, format_seconds

__all__ = ["headline", "is_request", "step_sentence"]

_MEMORY_WHY: Final = "bytes arrive more slowly than the arithmetic could use them"
_COMPUTE_WHY: Final = "its arithmetic takes longer than fetching the bytes that feed it"
_LINK_WHY: Final = "bytes pass between the parts more slowly than they are worked on"
_FRAME_WHY: Final = "pictures follow one another no faster"
_WHY: Final = {
    **dict.fromkeys(("memory", "memory_core", "cache", "l2"), _MEMORY_WHY),
    **dict.fromkeys(("link", "link_in", "link_out"), _LINK_WHY),
    **dict.fromkeys(("frames", "camera", "readout", "input_modulator", "kernel_modulator"), _FRAME_WHY),
    "latency": "starting, filling and ending kernels takes that long, whatever their work",
    "waits": "units fill, drain and wait for one another that long",
    "host": "what the other units cannot do runs there",
}
"""Why a resource limits, where it is not arithmetic; memory levels of other names are those of the roofs."""
_WAITING_WHY: Final = "but the parts of a step also wait for one another"
_BUSY_THROUGHOUT: Final = 0.8


def headline(result: Result, rivals: Sequence[Result]) -> str:
    """Time, rate, limiter and reason in a sentence or two; before them what was asked and is not what was done."""
    text = f"{_dropped_words(result)}{_rate_words(result)} {_bound_sentence(result)}{_request_sentence(result)}"
    for rival in rivals:
        gain = speed_up(result, rival)
        if gain is not None:
            text += f" That is {ratio(gain)} the speed of {rival.device} decoding one token at a time."
    return text


def _dropped_words(result: Result) -> str:
    """Why a workload that speculates is decoded one token at a time, where that is so."""
    if not result.speculation_dropped:
        return ""
    return (
        f"{result.workload} speculates, but {result.device} cannot verify what is drafted at once: "
        "it decodes one token at a time. "
    )


def is_request(result: Result) -> bool:
    """Whether a prompt comes before the new tokens."""
    return result.new_tokens > 0 and result.time_to_first_token_s is not None


def _request_sentence(result: Result) -> str:
    """What of a request the figures before it are, where a prompt comes before the new tokens."""
    if not is_request(result) or result.time_to_first_token_s is None:
        return ""
    first = format_seconds(result.time_to_first_token_s)
    return (
        f" These figures are of decoding alone: the first token comes after {first}, with the prompt of "
        f"{format_count(result.context)} tokens; the whole request, which yields "
        f"{format_count(result.new_tokens)}, takes {format_seconds(result.time_s)}."
    )


def _rate_words(result: Result) -> str:
    if result.time_per_token_s is not None and result.tokens_per_s is not None:
        each, all_of_them = ("", "") if result.batch == 1 else (" of each sequence", f" over all {result.batch}")
        per_token = f"{format_seconds(result.time_per_token_s)} per token{each}"
        rate = f"{per_token}, {number(result.tokens_per_s)} tokens/s{all_of_them}"
    elif result.images_per_s is not None:
        unit = "image" if result.batch == 1 else "batch"
        rate = f"{format_seconds(result.step_s)} per {unit}, {number(result.images_per_s)} images/s"
    else:
        rate = f"{format_seconds(result.time_s)} in all"
    for what, per_joule in (("token", result.tokens_per_j), ("image", result.images_per_j)):
        rate += f", {energy_of_one(per_joule)} per {what}" if per_joule else ""
    return f"{rate}."


def _bound_sentence(result: Result) -> str:
    """What limits the step, and why."""
    top = busiest(result)
    is_level = result.bound in result.roofs.bytes_per_s
    why = _WHY.get(result.bound, _MEMORY_WHY if is_level else _COMPUTE_WHY)
    if top is None:
        return f"The limit is {result.bound}: {why}."
    waits = "" if top.share >= _BUSY_THROUGHOUT else f", {_WAITING_WHY}"
    return f"The limit is {result.bound}, busy for {per_cent(top.share)} of a step: {why}{waits}."


def step_sentence(result: Result) -> str:
    """What a step of this answer is."""
    sequences = "one sequence" if result.batch == 1 else f"each of {result.batch} sequences"
    if result.phase == "train":
        return f"A step trains on {sequences} of {format_count(result.context)} tokens: forward, backward, optimizer."
    if result.phase == "prefill":
        return f"A step is the whole prompt of {sequences}: {format_count(result.context)} tokens."
    if result.images_per_s is not None:
        images = "one image" if result.batch == 1 else f"a batch of {result.batch} images"
        return f"A step is one run of the model over {images}."
    if result.phase == "inference" and not result.new_tokens:
        inputs = "one input" if result.batch == 1 else f"a batch of {result.batch} inputs"
        rate = f"{number(result.batch / result.step_s)} inputs/s"
        return f"A step is one run of the model over {inputs} of {number(result.tokens_per_step)} tokens: {rate}."
    if result.speculative is None:
        return f"A step is one run of the whole model, which yields one token for {sequences}."
    nodes, draft = int(result.speculative["nodes"]), result.speculative.get("draft", "a small model")
    return (
        f"A step drafts {nodes - 1} tokens with {draft}, checks them and the last accepted one in a single "
        f"run of the large model, and yields {number(result.tokens_per_step)} tokens on average for {sequences}."
    )
