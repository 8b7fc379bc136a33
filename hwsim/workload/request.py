"""Whole requests: a prompt, then new tokens, as passes of the model.

The decode passes of a request differ in their context only. Costs grow with the context through attention alone: bytes
of keys and values and attended pairs are affine in it (but where a sliding window fills up). The mean of an affine
function over the steps is its value at the mean context, so a few sampled contexts with weights stand for all steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hwsim.errors import HwsimError
from hwsim.workload.model import HybridModel, Model, Pass, TransformerModel

__all__ = ["Request", "WeightedPass", "decode_contexts", "request_passes", "uses_context"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a user sends.

    Attributes:
        prompt: tokens of the prompt.
        new_tokens: tokens to produce; the first comes out of the prefill.
        batch: such requests served together.

    Raises:
        HwsimError: no prompt, no new tokens or no request.
    """

    prompt: int
    new_tokens: int
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("prompt", "new_tokens", "batch"):
            if getattr(self, name) < 1:
                raise HwsimError.at("request", f"{name}={getattr(self, name)}", "at least 1")

    @property
    def decode_steps(self) -> int:
        """Decode passes of an autoregressive request: the prefill has produced the first token."""
        return self.new_tokens - 1


class WeightedPass(NamedTuple):
    """A pass, and how many passes of the request it stands for."""

    work: Pass
    weight: float


class ContextSample(NamedTuple):
    """A context, and how many decode steps it stands for."""

    context: int
    steps: float


def decode_contexts(first: int, steps: int, samples: int = 3) -> tuple[ContextSample, ...]:
    """Contexts that stand for ``steps`` decode steps, the first at context ``first``.

    The steps are cut into up to ``samples`` equal stretches. Each is stood for by its middle context; where the middle
    falls between two integers, by the two, half each. The sum of weight x cost over the samples is then exact for every
    cost that is affine in the context, and of second order for others (a kernel's steps, a filling window).

    Args:
        first: context of the first step.
        steps: number of steps.
        samples: stretches at most.
    """
    stretches = max(1, min(samples, steps))
    chosen: dict[int, float] = {}
    for index in range(stretches if steps > 0 else 0):
        low, high = first + index * steps // stretches, first + (index + 1) * steps // stretches - 1
        for context in ((low + high) // 2, (low + high + 1) // 2):
            chosen[context] = chosen.get(context, 0.0) + (high - low + 1) / 2
    return tuple(ContextSample(context, weight) for context, weight in sorted(chosen.items()))


def uses_context(model: Model) -> bool:
    """Whether a decode pass costs more the longer the context is: whether the model has attention."""
    return isinstance(model, TransformerModel) or (isinstance(model, HybridModel) and "attention" in model.pattern)


def request_passes(model: Model, request: Request, lm_head: bool = True, samples: int = 3) -> tuple[WeightedPass, ...]:
    """The passes of an autoregressive request: one prefill, then decode passes that stand for all steps.

    Time to first token is the prefill's; the sum of weight x time over the rest is the decode time. A model without
    attention needs a single decode pass.
    """
    prefill = Pass("prefill", request.batch, request.prompt, 0, lm_head)
    contexts = decode_contexts(request.prompt, request.decode_steps, samples if uses_context(model) else 1)
    if contexts and not uses_context(model):
        contexts = (ContextSample(contexts[0].context, float(request.decode_steps)),)
    decodes = (WeightedPass(Pass("decode", request.batch, 1, each.context, lm_head), each.steps) for each in contexts)
    return (WeightedPass(prefill, 1.0), *decodes)
