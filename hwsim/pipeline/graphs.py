"""The graph of one pass of a workload on a machine, without running it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hwsim.pipeline.question import Question
from hwsim.pipeline.simulate import complete
from hwsim.workload.builders import build
from hwsim.workload.model import Pass, VitModel, Workload

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.workload.graph import Graph

__all__ = ["graph_of"]


def graph_of(workload: Workload, device: Device, question: Question | None = None) -> Graph:
    """One pass of the target model in the formats that the machine has: a token a sequence, a prompt, or images.

    A whole request is stood for by its prompt.

    Raises:
        HwsimError: the question makes no sense for the workload.
    """
    asked = complete(workload, question or Question())
    formats, _ = device.formats(workload.formats)
    model = replace(workload, formats=formats).model
    batch, context, head = asked.batch or 1, asked.context or 0, workload.run.lm_head == "device"
    if isinstance(model, VitModel):
        return build(model, formats, Pass("inference", batch, 1, 0, head))
    if asked.phase == "decode":
        return build(model, formats, Pass("decode", batch, 1, context, head))
    return build(model, formats, Pass("prefill", batch, context, 0, head))
