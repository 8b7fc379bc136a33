"""What a catalog file of the GPU family holds. Every number is a `Quantity` with its unit, source and kind.

A card's own file holds what its datasheet says. What was fitted stands once for each architecture generation and
software stack, in the file that the card's file extends (``gpu/ampere.yaml`` and so on).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.devices.ranges import AMOUNT, CLOCK, COUNT, CYCLES, ENERGY, POWER, RATE, SECONDS, SHARE, STOCK
from hwsim.spec import Bound, Positive, Quantity, Refused, Unit

__all__ = [
    "L2",
    "PATHS",
    "Attention",
    "Chip",
    "Cluster",
    "Gemm",
    "GpuParameters",
    "Link",
    "Memory",
    "Power",
    "RowKernel",
    "Scan",
    "Stack",
    "Vector",
]

Count: TypeAlias = Annotated[Quantity, Unit("1"), COUNT]
Amount: TypeAlias = Annotated[Quantity, Unit("1"), AMOUNT]
Share: TypeAlias = Annotated[Quantity, Unit("1"), SHARE]
ShareFrom0: TypeAlias = Annotated[Quantity, Unit("1"), Bound(low=0, high=1)]
Clock: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Rate: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
Bytes: TypeAlias = Annotated[Quantity, Unit("bytes"), STOCK]
Seconds: TypeAlias = Annotated[Quantity, Unit("s"), SECONDS]
Cycles: TypeAlias = Annotated[Quantity, Unit("1"), CYCLES]
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
        data: groups that each hold the whole model and divide the sequences; None for what the others leave.
        cards_per_node: cards that the cards' own link joins; None for all.
        network: the way between nodes.
    """

    cards: Annotated[int, Positive]
    tensor: Annotated[int, Positive] = 1
    pipeline: Annotated[int, Positive] = 1
    sequence: Annotated[int, Positive] = 1
    data: Annotated[int, Positive] | None = None
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
class Gemm:
    """How a library's matrix products run on a generation of cards. Cycles are of the clock of the tensor rates.

    Attributes:
        menu: the tiles that the library ships: a name of `hwsim.devices.gpu.menus`.
        tensor_share: achieved over rated tensor rate.
        narrow_share: the same for formats of 8 bits and less, whose products are issued twice as fast or faster.
        feed: 16-bit operations of the tensor cores, at the rated clock, in the time in which one byte of operands
            comes from L2.
        simt_share: achieved over rated rate of fp32 products on the ALUs.
        simt_feed: fp32 operations of the ALUs in the time in which one byte of operands comes out of shared memory.
        sm_dram: bytes per second that one SM can draw from DRAM: what it has in flight over the latency.
        l2_share: share of L2's rate at which operands stream that it holds.
        floor: cycles of a kernel that does nothing, without host launch.
        fill: cycles of pipeline fill and drain of a thread block.
        store: cycles of the epilogue of a tile of 128 x 128.
        split: cycles of the second pass of a split along k.
        quantize: added by quantising activations within the op: kernels of its own.
        quantize_block: the same for formats with a scale for each few elements: one pass, no maximum over the tensor.
        convert: added by engines that hold weights in another format than they compute in.
        int8: added by products of 8-bit integers, where an engine has kernels of its own for them (SmoothQuant).
    """

    menu: str
    tensor_share: Share
    narrow_share: Share
    feed: Count
    simt_share: Share
    simt_feed: Count
    sm_dram: Rate
    l2_share: Share
    floor: Cycles
    fill: Cycles
    store: Cycles
    split: Cycles
    quantize: Seconds
    quantize_block: Seconds
    convert: Seconds
    int8: Seconds


@dataclass(frozen=True, slots=True)
class Attention:
    """How a stack's attention kernels run.

    Attributes:
        kernel: the kernel where none is named: fa2, fa3 or paged for a prefill; eager for all, decoding included.
        tensor_share: achieved over rated tensor rate of the two products.
        overlap: 1 where softmax hides behind the products of another warp group, 0 where each waits for the other.
        own_step: time of a causal step over the prompt's own positions, over that of one over cached positions: above 1
            in kernels that mask all of the prompt and not just the diagonal.
        floor: prefill that does nothing, further kernels of the op (cache writes) included.
        block: time of a thread block before and after its loop.
        decode_floor: decode that does nothing.
        step: latency of one dependent key-value block of a decode step, in kernels that serve one query head.
        shared_step: the same in kernels that serve all query heads of a key-value head, for each 128 elements of it.
        narrow_step: share of that latency with caches of 8 bits and less, whose tiles take fewer stages.
        splits_single: 1 where streams of one query head are split over positions when the grid is small, 0 where never.
        combine: second pass of a split over key-value positions.
        cta_bytes: bytes per second of a 16-bit cache that one decode thread block can stream.
        shared_heads: query heads of one key-value head that a decode thread block can serve together; larger groups
            run head by head.
    """

    kernel: Literal["fa2", "fa3", "paged", "eager"]
    tensor_share: Share
    overlap: Annotated[Quantity, Unit("1"), Bound(low=0, high=1)]
    own_step: Amount
    floor: Seconds
    block: Seconds
    decode_floor: Seconds
    step: Seconds
    shared_step: Seconds
    narrow_step: Share
    splits_single: Amount
    combine: Seconds
    cta_bytes: Rate
    shared_heads: Count


@dataclass(frozen=True, slots=True)
class RowKernel:
    """A kernel that gives each token a thread block and each thread one element at a time. In clocks of an SM.

    Attributes:
        step: from one element of a thread to its next: loads, arithmetic, store.
        hot: an SM's time for one step of one warp while its bytes come from L2.
        cold: the same while they come from memory.
    """

    step: Amount
    hot: Amount
    cold: Amount


@dataclass(frozen=True, slots=True)
class Vector:
    """Bandwidth-bound kernels.

    Attributes:
        floor: time of a kernel that does nothing.
        stream: share of the memory's rate that a plain streaming kernel reaches (add).
        gather: the same for kernels with index arithmetic (top-k, the largest magnitude of a tensor).
        rowwise: the same for PyTorch's kernels that reduce a row (layer norm, softmax).
        l2_share: share of L2's rate that hot bytes get.
        rereads: 1 where kernels that reduce a row read it again from memory once the rows at work outgrow L2, 0 where
            a row stays in registers.
        norm: the engine's root-mean-square norm, beside the limits of a plain streaming kernel.
        rotary: the same of rotary embedding.
        gated: the same of two-input activations.
    """

    floor: Seconds
    stream: Share
    gather: Share
    rowwise: Share
    l2_share: Share
    rereads: Amount
    norm: RowKernel
    rotary: RowKernel
    gated: RowKernel


@dataclass(frozen=True, slots=True)
class Scan:
    """Recurrent mixers.

    Attributes:
        floor: one kernel of a chunked scan.
        chunk_share: share of the tensor rate that the chunks' products reach.
        chunk_stream: share of memory bandwidth of their operands and states, L2's alike.
        step: time of one chunk in the pass that carries the state from chunk to chunk.
        state_floor: one decode step of a recurrent state that does nothing.
        state_stream: share of memory bandwidth of such a step.
        state_l2: share of L2's rate of such a step.
        stream: share of memory bandwidth of Mamba-1's scan and of updates of the convolution's window.
        update_floor: one update of the convolution's window that does nothing.
        conv_cached: 1 where the convolution's windows stay in L2 from step to step, 0 where they lie in a pool of slots
            that is read as if from memory.
        conv_floor: a causal convolution that does nothing.
        conv_block: time of one SM for each sequence and channel, where a thread block serves just one (Dao's kernel).
        conv_stream: share of memory bandwidth of a convolution.
    """

    floor: Seconds
    chunk_share: Share
    chunk_stream: Share
    step: Seconds
    state_floor: Seconds
    state_stream: Share
    state_l2: Share
    stream: Share
    update_floor: Seconds
    conv_cached: ShareFrom0
    conv_floor: Seconds
    conv_block: Seconds
    conv_stream: Share


@dataclass(frozen=True, slots=True)
class Stack:
    """A generation of software on a generation of cards: what was fitted, and the kernels that it ships.

    Attributes:
        description: which libraries, one line.
        dram_share: achieved over nominal DRAM bandwidth.
    """

    description: str
    dram_share: Share
    gemm: Gemm
    attention: Attention
    vector: Vector
    scan: Scan


@dataclass(frozen=True, slots=True)
class Launch:
    """Host time of one kernel.

    Attributes:
        graph: gap before it in a replayed graph.
        eager: length of a call while the host runs ahead of the card, in a model.
        call: added to one call on an idle card, as single kernels are timed from the host.
    """

    graph: Seconds
    eager: Seconds
    call: Seconds


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
    tensor: dict[str, Count]
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
