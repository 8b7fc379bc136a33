"""What a software stack holds in a catalog file of the GPU family: how its kernels run on a generation of cards.

What was fitted stands here, once for each generation and stack; a card's own values are in `gpu.parameters`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from hwsim.devices.ranges import AMOUNT, COUNT, CYCLES, RATE, SECONDS, SHARE
from hwsim.spec import Bound, Quantity, Unit

__all__ = [
    "Amount",
    "Attention",
    "BlockRow",
    "BlockScaled",
    "Count",
    "Cycles",
    "Gemm",
    "Rate",
    "RowKernel",
    "Scan",
    "Seconds",
    "Share",
    "ShareFrom0",
    "Stack",
    "Vector",
]

Count: TypeAlias = Annotated[Quantity, Unit("1"), COUNT]
Amount: TypeAlias = Annotated[Quantity, Unit("1"), AMOUNT]
Share: TypeAlias = Annotated[Quantity, Unit("1"), SHARE]
ShareFrom0: TypeAlias = Annotated[Quantity, Unit("1"), Bound(low=0, high=1)]
Rate: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
Seconds: TypeAlias = Annotated[Quantity, Unit("s"), SECONDS]
Cycles: TypeAlias = Annotated[Quantity, Unit("cycles"), CYCLES]


@dataclass(frozen=True, slots=True)
class BlockScaled:
    """A stack's kernel for products of 8-bit operands with block scales (`hwsim.devices.gpu.block_scaled`).

    Attributes:
        kernel: how it divides a product: ``waves`` (DeepGEMM) or ``fixed``.
        feed: operand bytes per second that all SMs together take from L2; above its rate where neighbours ask for the
            same lines at once.
        step: cycles of a step along k that waits for nothing but its own chain.
        beyond: time to load a row past the end of an operand, over that of one of its rows.
        quantize_step: cycles from one group of elements that a warp quantises to its next.
    """

    kernel: Literal["waves", "fixed"]
    feed: Rate
    step: Cycles
    beyond: Amount
    quantize_step: Cycles


@dataclass(frozen=True, slots=True)
class NarrowWeights:
    """An engine's own kernels for weights of 8 and 4 bits (`hwsim.devices.gpu.narrow_weights`). In clocks of an SM.

    Attributes:
        stream: achieved over nominal DRAM bandwidth.
        step: a step of 64 along k at least, in a thread block that unpacks its weights.
        unpack: instructions of an ALU lane for a 4-bit weight that stand between products; none show for 8 bits.
        turn: each further thread block of a split along k, which waits for those before it.
        load: a load from memory on which the next one waits, in kernels on the ALUs.
    """

    stream: Share
    step: Cycles
    unpack: Amount
    turn: Cycles
    load: Cycles


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
        part: elements of k that each part of a split has at least; None for four steps of a tile.
        simt_part: the same of fp32 products on the ALUs.
        quantize: added by quantising activations within the op: kernels of its own.
        quantize_block: the same for formats with a scale for each few elements: one pass, no maximum over the tensor.
        reorder: kernels after it that put the scales in the order in which products read them; None for none.
        turn: an SM's time for 256 elements of a pass that transposes and quantises with block scales, where not the
            memory's; None for memory.
        int8_splits: most splits along k of products of 8-bit integers; 1 where an engine has kernels of its own
            (SmoothQuant).
        block: the kernel of products of 8 bits with block scales; None where no row tells of one: then as others of 8
            bits, without splits.
        narrow: the kernels of products with weights of 8 and 4 bits; None where no row tells of them: then as others.
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
    int8_splits: Count
    reorder: Count | None = None
    turn: Cycles | None = None
    part: Count | None = None
    simt_part: Count | None = None
    block: BlockScaled | None = None
    narrow: NarrowWeights | None = None


@dataclass(frozen=True, slots=True)
class Attention:
    """How a stack's attention kernels run.

    Attributes:
        kernel: the kernel where none is named: fa2, fa2-paged, fa3 or paged for a prefill; eager for all, decoding
            included.
        tensor_share: achieved over rated tensor rate of the two products.
        narrow_share: that of products of 8 bits and less over that of wider ones.
        own_step: time of a causal step over the prompt's own positions, over that of one over cached positions: above 1
            in kernels that mask all of the prompt and not just the diagonal.
        window_step: time of a step of a sliding window over that of one without, products of 16 bits.
        narrow_window_step: the same with products of 8 bits.
        page_step: clocks of a prefill's step that looks up where its positions lie in a paged cache.
        cache_products: 1 where the products of a prefill run in the cache's format, 0 where in that of q.
        floor: prefill that does nothing.
        block: clocks of a thread block before and after its loop.
        element: clocks for each element of a query that a block loads and of a result that it writes.
        write_floor: kernel before a prefill that writes the cache, when it does nothing.
        write_share: share of the memory bandwidth that it reaches.
        write_q: 1 where it also turns q (rope), 0 where it moves k and v only.
        decode_floor: decode that does nothing.
        step: latency of one dependent key-value block of a decode step, in kernels that serve one query head.
        shared_step: the same in kernels that serve all query heads of a key-value head.
        shared_row: added to that for every 1,024 elements of their query rows, in eights of rows.
        narrow_floor: decode_floor in kernels that serve all query heads of a key-value head, with a cache of 8 bits and
            less and heads of more than 64 elements.
        narrow_resident: such thread blocks that an SM holds together at most; those of a 16-bit cache fill it.
        narrow_elements: elements of query rows that they hold together there; more leave room for fewer.
        swap: two copies that put the heads of a group next to each other and back, in kernels over a paged cache.
        splits_single: 1 where streams of one query head are split over positions when the grid is small, 0 where never.
        combine: second pass of a split over key-value positions.
        narrow_combine: the same in kernels that serve all query heads, with a cache of 8 bits and less.
        cta_bytes: bytes per second that a decode thread block can stream which serves all query heads of a group.
        head_bytes: the same of a 16-bit cache in kernels that serve one query head.
        shared_heads: query heads of one key-value head that a decode thread block can serve together; larger groups
            run head by head.
    """

    kernel: Literal["fa2", "fa2-paged", "fa3", "paged", "eager"]
    tensor_share: Share
    narrow_share: Share
    own_step: Amount
    window_step: Amount
    narrow_window_step: Amount
    page_step: Cycles
    cache_products: Amount
    floor: Seconds
    block: Cycles
    element: Cycles
    write_floor: Seconds
    write_share: Share
    write_q: Amount
    decode_floor: Seconds
    step: Seconds
    shared_step: Seconds
    shared_row: Seconds
    narrow_floor: Seconds
    narrow_resident: Count
    narrow_elements: Amount
    swap: Seconds
    splits_single: Amount
    combine: Seconds
    narrow_combine: Seconds
    cta_bytes: Rate
    head_bytes: Rate
    shared_heads: Count


@dataclass(frozen=True, slots=True)
class RowKernel:
    """A kernel that gives each token a thread block and each thread one element at a time. In clocks of an SM.

    Attributes:
        step: from one element of a thread to its next: loads, arithmetic, store.
        hot: an SM's time for one step of one warp while its bytes come from L2.
        cold: the same while they come from memory.
    """

    step: Cycles
    hot: Cycles
    cold: Cycles


@dataclass(frozen=True, slots=True)
class BlockRow:
    """PyTorch's softmax beside the memory's limits. In clocks of an SM.

    Attributes:
        element: an SM's time for the arithmetic of one element in all passes: compare, subtract, exponential, sum.
        step: from one step of a thread block along its row to the next, on an SM that is full.
        alone: the same where nothing else runs: the latency of memory.
    """

    element: Cycles
    step: Cycles
    alone: Cycles


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
        softmax: PyTorch's softmax; None where the stack's softmax is bound by memory.
        paired: share of the memory's rate of elementwise kernels that read two operands, over that of one: three
            streams meet in the memory's banks, and fewer bytes are written; None for 1.
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
    softmax: BlockRow | None = None
    paired: Amount | None = None


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
