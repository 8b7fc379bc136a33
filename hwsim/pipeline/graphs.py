"""One pass of a workload on a machine, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.base import PassWork
from hwsim.pipeline.formats import adapted
from hwsim.pipeline.question import Question
from hwsim.pipeline.simulate import complete
from hwsim.workload.model import ONE_PASS_MODELS, Pass, Workload, takes_context
from hwsim.workload.transform import graph_of as transformed
from hwsim.workload.transform import prepared

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.workload.graph import Graph

__all__ = ["graph_of", "pass_of"]


def pass_of(workload: Workload, device: Device, question: Question | None = None) -> tuple[Graph, PassWork]:
    """One pass of the target model in the formats that the machine has: a token a sequence, a prompt, texts or images.

    A whole request is stood for by its prompt.

    Raises:
        HwsimError: the question makes no sense for the workload.
    """
    changed = prepared(workload)
    asked = complete(changed, question or Question())
    ready = adapted(changed, device)[0]
    batch, context, head = asked.batch or 1, asked.context or 0, workload.run.lm_head == "device"
    if isinstance(workload.model, ONE_PASS_MODELS):
        tokens = context if takes_context(workload.model) else 1
        return transformed(ready, Pass("inference", batch, tokens, 0, head)), PassWork("inference", tokens, batch)
    if asked.phase == "decode":
        return transformed(ready, Pass("decode", batch, 1, context, head)), PassWork("decode", 1, batch, context)
    return transformed(ready, Pass("prefill", batch, context, 0, head)), PassWork("prefill", context, batch)


def graph_of(workload: Workload, device: Device, question: Question | None = None) -> Graph:
    """The graph of :func:`pass_of`."""
    return pass_of(workload, device, question)[0]
