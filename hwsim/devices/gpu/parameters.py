"""What a catalog file of the GPU family holds. Every number is a `Quantity` with its unit, source and kind.

A card's own file holds what its datasheet says. What was fitted stands once for each architecture generation and
software stack, in the file that the card's file extends (``gpu/ampere.yaml`` and so on).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.devices.gpu.stack import Amount, Count, Rate, Seconds, Share, Stack
from hwsim.devices.ranges import CLOCK, COUNT, ENERGY, POWER, STOCK
from hwsim.spec import Positive, Quantity, Refused, Unit

__all__ = [
    "L2",
    "PATHS",
    "Chip",
    "Cluster",
    "GpuParameters",
    "Link",
    "Memory",
    "Power",
]


OpsPerCycle: TypeAlias = Annotated[Quantity, Unit("op/cycle"), COUNT]
Clock: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Bytes: TypeAlias = Annotated[Quantity, Unit("bytes"), STOCK]
Watts: TypeAlias = Annotated[Quantity, Unit("W"), POWER]

PATHS: Final = ("fp16", "fp16_acc16", "bf16", "tf32", "fp8", "fp8_acc16", "int8", "int4", "int1", "fp4")
"""Tensor-core paths that a card may declare; ``_acc16`` accumulates in fp16, the others in fp32 or int32."""


@dataclass(frozen=True, slots=True)
class Chip:
    """The multiprocessors (SMs; compute units on AMD).

    Attributes:
        sms: multiprocessors that are enabled.
        boost_clock: highest clock.
        tensor_clock: clock at which the tensor rates are rated.
        fp32_lanes: fp32 multiply-adds per clock and SM.
        int32_lanes: 32-bit integer operations per clock and SM.
        sfu_lanes: exponentials, roots and reciprocals per clock and SM.
        shared_memory: bytes of shared memory per SM.
        registers: bytes of registers per SM.
        threads: threads that an SM holds at once; None for 2,048.
    """

    sms: Count
    boost_clock: Clock
    tensor_clock: Clock
    fp32_lanes: Count
    int32_lanes: Count
    sfu_lanes: Count
    shared_memory: Bytes
    registers: Bytes
    threads: Count | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Device memory.

    Attributes:
        bandwidth: nominal.
        capacity: bytes.
        carry: share of its nominal bandwidth that streaming kernels reach here, over that of the card which told the
            stacks' shares of bandwidth; None, for 1, on that card and where nobody measured both.
    """

    bandwidth: Rate
    capacity: Bytes
    carry: Amount | None = None


@dataclass(frozen=True, slots=True)
class L2:
    """The cache that all SMs share.

    Attributes:
        capacity: bytes.
        bandwidth: bytes per second with data in the cache.
        partitions: parts that each keep a copy of data which all SMs read, so that its capacity counts once in all.
    """

    capacity: Bytes
    bandwidth: Rate
    partitions: Count


@dataclass(frozen=True, slots=True)
class Link:
    """The way to other cards.

    Attributes:
        name: ``nvlink``, ``pcie``, ``infinity_fabric`` or ``infiniband``.
        bandwidth: bytes per second and direction of one card.
        share: share of it that collectives of several cards reach, which also add what arrives.
        latency: time of one step of a ring or tree.
        floor: time of a collective that moves nothing.
        message_share: share of the bandwidth that one message from card to card reaches.
        message_floor: time of a message that moves nothing.
        small_floor: time of an all-reduce that moves nothing under the library's protocol for small tensors (NCCL's
            LL: a flag beside each word, so that no step waits for a fence); None where no row tells of one.
        small_latency: time of a step under it.
        small_share: share of the bandwidth that it reaches.
    """

    name: Literal["nvlink", "pcie", "infinity_fabric", "infiniband"]
    bandwidth: Rate
    share: Share
    latency: Seconds
    floor: Seconds
    message_share: Share
    message_floor: Seconds
    small_floor: Seconds | None = None
    small_latency: Seconds | None = None
    small_share: Share | None = None

    def __post_init__(self) -> None:
        given = [each for each in ("small_floor", "small_latency", "small_share") if getattr(self, each) is not None]
        if len(given) in (1, 2):
            raise Refused(" and ".join(given) + " alone", "small_floor, small_latency and small_share together")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Several cards that work together. The degrees multiply to the cards.

    Attributes:
        cards: cards in all.
        tensor: cards that divide each layer's products and heads.
        pipeline: stages that divide the layers.
        sequence: cards that divide the tokens of a prompt, or the positions of a cache.
        experts: whether the cards of ``tensor`` have a slice of each expert (divided), or some experts whole (spread).
        data: groups that each hold the whole model and divide the sequences; None for what the others leave.
        states: how cards that divide a sequence exchange a recurrence's states: all at once (gather; LASP-2, Sun et al.
            2025), or from card to card, each of which adds its own (ring; LASP, Sun et al. 2024).
        keys: how they exchange keys and values of attention: all at once (gather), or in rounds beside the products of
            those at hand (ring; Ring Attention, Liu et al. 2023).
        cards_per_node: cards that the cards' own link joins; None for all.
        network: the way between nodes.
    """

    cards: Annotated[int, Positive]
    tensor: Annotated[int, Positive] = 1
    pipeline: Annotated[int, Positive] = 1
    sequence: Annotated[int, Positive] = 1
    experts: Literal["divided", "spread"] = "divided"
    data: Annotated[int, Positive] | None = None
    states: Literal["gather", "ring"] = "gather"
    keys: Literal["gather", "ring"] = "gather"
    cards_per_node: Annotated[int, Positive] | None = None
    network: Link | None = None

    def __post_init__(self) -> None:
        inner = self.tensor * self.pipeline * self.sequence
        if self.cards % inner or (self.data is not None and inner * self.data != self.cards):
            found = f"tensor {self.tensor} x pipeline {self.pipeline} x sequence {self.sequence}"
            raise Refused(
                found + (f" x data {self.data}" if self.data is not None else ""),
                f"degrees that multiply to the {self.cards} cards",
            )
        if self.cards_per_node is not None and self.cards > self.cards_per_node and self.network is None:
            raise Refused(f"{self.cards} cards in nodes of {self.cards_per_node}", "a network between them")

    @property
    def replicas(self) -> int:
        """Groups that each hold the whole model."""
        return self.cards // (self.tensor * self.pipeline * self.sequence)


@dataclass(frozen=True, slots=True)
class Power:
    """Board power and energies.

    Attributes:
        limit: board power limit.
        idle: power drawn whether or not work is done.
        tensor: one 16-bit floating-point operation of the tensor cores with its operand traffic; other formats in
            proportion to their bits, fp32 on the ALUs.
        alu: one fp32 operation of the ALUs with its registers; products of fp32 run there.
        dram: one byte to or from device memory.
        l2: one byte from L2.
        settle: length of a kernel (repeated) at which the power limit is half in force.
    """

    limit: Watts
    idle: Watts
    tensor: Annotated[Quantity, Unit("pJ"), ENERGY]
    alu: Annotated[Quantity, Unit("pJ"), ENERGY]
    dram: Annotated[Quantity, Unit("pJ/byte"), ENERGY]
    l2: Annotated[Quantity, Unit("pJ/byte"), ENERGY]
    settle: Seconds

    def __post_init__(self) -> None:
        if self.limit.value <= self.idle.value:
            raise Refused(f"a limit of {self.limit.value:g} W", f"more than the idle {self.idle.value:g} W", at="limit")


@dataclass(frozen=True, slots=True)
class Launch:
    """Host time of one kernel.

    Attributes:
        graph: gap before it in a replayed graph.
        eager: length of a call while the host runs ahead of the card, in a model.
        call: added to one call on an idle card, as single kernels are timed from the host.
        linear: what a product by weights adds to that: PyTorch's linear layer asks the library for a kernel anew.
        events: what two events of the card add to a kernel that an engine profiles between them (weight-only,
            SmoothQuant): in the time of that kernel alone, as benchmarks tell it, and in no model; None where no row
            was timed so.
    """

    graph: Seconds
    eager: Seconds
    call: Seconds
    linear: Seconds
    events: Seconds | None = None


@dataclass(frozen=True, slots=True)
class GpuParameters:
    """A machine of the GPU family.

    Attributes:
        family: always ``gpu``.
        name: the name the user types.
        description: one line.
        generation: architecture.
        issue: how tensor-core work is issued.
        tensor: floating-point (or integer) operations per clock and SM by path (`PATHS`), dense.
        stack: the software stack that applies, one of ``stacks``.
        stacks: stacks by name.
        launch: none (kernel times only), graph or eager: the host's part in simulated times.
        fusion: fused (norms, rope and activations as engines fuse them) or eager (one kernel for each operator).
        compare_with: the machine that `simulate` shows beside this one.
        cluster: how several of this card work together; None for one card.
    """

    family: Literal["gpu"]
    name: str
    description: str
    generation: Literal["pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell", "cdna2"]
    issue: Literal["simt", "mma", "wgmma", "tcgen05", "mfma"]
    chip: Chip
    tensor: dict[str, OpsPerCycle]
    memory: Memory
    l2: L2
    link: Link
    power: Power
    launches: Launch
    stacks: dict[str, Stack]
    stack: str
    launch: Literal["none", "graph", "eager"] = "none"
    fusion: Literal["fused", "eager"] = "fused"
    compare_with: str | None = None
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        for path in self.tensor:
            if path not in PATHS:
                raise Refused(f"path {path!r}", "one of " + ", ".join(PATHS), at=f"tensor.{path}")
        if self.stack not in self.stacks:
            raise Refused(f"stack {self.stack!r}", "one of " + ", ".join(sorted(self.stacks)), at="stack")

    @property
    def stream_bytes_s(self) -> float:
        """Device memory's bandwidth as the stacks' achieved shares count it: nominal, carried to this card's memory."""
        return self.memory.bandwidth.value * (self.memory.carry.value if self.memory.carry else 1.0)

    @property
    def software(self) -> Stack:
        """The stack that applies."""
        return self.stacks[self.stack]
