"""What ``hwsim list workloads`` and ``hwsim show workload`` print: parameters, work and bytes of a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.workload.graph import Totals
from hwsim.workload.model import ONE_PASS_MODELS, Pass, Workload, takes_context
from hwsim.workload.transform import graph_of, prepared

__all__ = ["WorkloadSummary", "summary", "token_pass"]


@dataclass(frozen=True, slots=True)
class WorkloadSummary:
    """A workload in numbers, for one token of one sequence (one text of an encoder, one image of a ViT).

    Attributes:
        name: the workload's name.
        description: its description.
        source: where its shapes come from.
        family: its model family.
        layers: layers.
        parameters: trained parameters, embedding and head included.
        weight_bytes: bytes that they occupy in memory.
        macs: MACs of a token at the run's context, head included.
        linear_macs_body: MACs of the matrix products in the layers, per token.
        head_macs: MACs of the head.
        scan_state_elements: elements of the scans' state, all layers, one sequence.
        conv_state_elements: elements of the convolutions' windows, likewise.
        state_bytes: bytes of both.
        cache_bytes_per_token: bytes of keys and values that one token adds.
        blocks: sums by layer kind.
    """

    name: str
    description: str
    source: str
    family: str
    layers: int
    parameters: int
    weight_bytes: int
    macs: int
    linear_macs_body: int
    head_macs: int
    scan_state_elements: int
    conv_state_elements: int
    state_bytes: int
    cache_bytes_per_token: int
    blocks: Mapping[str, Totals]


def token_pass(workload: Workload) -> Pass:
    """One token of one sequence at the run's context; one text of an encoder, one image of a ViT."""
    if isinstance(workload.model, ONE_PASS_MODELS):
        return Pass("inference", 1, (workload.run.context or 1) if takes_context(workload.model) else 1)
    return Pass("decode", 1, 1, workload.run.context)


def summary(workload: Workload) -> WorkloadSummary:
    """The workload in numbers. Embedding and head are counted wherever they run."""
    graph = graph_of(prepared(workload), token_pass(workload))
    totals = graph.totals
    states = {kind: 0 for kind in ("scan", "conv1d")}
    linear = head = state_bytes = cache = 0
    for op, count in graph.distinct():
        if op.kind in states:
            states[op.kind] += count * op.state_elements
            state_bytes += count * op.bytes_by_role["state"] // 2
        if op.kind == "attention" and op.attributes["phase"] != "bidirectional":
            cache += count * op.bytes_by_role["cache"] // op.dims["kv_len"]
        if op.kind == "gemm":
            linear += count * op.macs if op.layer is not None else 0
            head += count * op.macs if op.layer is None else 0
    return WorkloadSummary(
        name=workload.name,
        description=workload.description,
        source=workload.source,
        family=workload.model.family,
        layers=workload.model.layers,
        parameters=totals.parameters,
        weight_bytes=totals.weight_bytes,
        macs=totals.macs,
        linear_macs_body=linear,
        head_macs=head,
        scan_state_elements=states["scan"],
        conv_state_elements=states["conv1d"],
        state_bytes=state_bytes,
        cache_bytes_per_token=cache,
        blocks=graph.totals_by_block(),
    )
