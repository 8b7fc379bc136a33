"""What a catalog file of the CPU family holds. Every number is a `Quantity` with its unit, source and kind.

A machine's own file holds what is said of that machine; what all machines of a core share (micro-op costs, tile unit)
stands in the file that it extends (``cpu/sapphire-rapids.yaml`` and so on).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.devices.ranges import AMOUNT, CLOCK, COUNT, CYCLES, ENERGY, HOLD_CYCLES, POWER, RATE, SECONDS, SHARE, STOCK
from hwsim.spec import Quantity, Refused, Unit

__all__ = [
    "INSTRUCTIONS",
    "PORTS",
    "Amx",
    "Caches",
    "Clocks",
    "CorePath",
    "CpuParameters",
    "Energy",
    "Memory",
    "MicroOp",
    "Stack",
    "Vector",
]

Count: TypeAlias = Annotated[Quantity, Unit("1"), COUNT]
Amount: TypeAlias = Annotated[Quantity, Unit("1"), AMOUNT]
Share: TypeAlias = Annotated[Quantity, Unit("1"), SHARE]
Clock: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Rate: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
Bytes: TypeAlias = Annotated[Quantity, Unit("bytes"), STOCK]
Seconds: TypeAlias = Annotated[Quantity, Unit("s"), SECONDS]
Cycles: TypeAlias = Annotated[Quantity, Unit("cycles"), CYCLES]
HoldCycles: TypeAlias = Annotated[Quantity, Unit("cycles"), HOLD_CYCLES]
Picojoules: TypeAlias = Annotated[Quantity, Unit("pJ"), ENERGY]
PerByte: TypeAlias = Annotated[Quantity, Unit("pJ/byte"), ENERGY]

INSTRUCTIONS: Final = (
    "expand", "mask", "load", "store", "scalar", "popcount", "align", "add", "convert", "dot", "dot_int8",
    "fma",
)  # fmt: skip
"""Kinds of instruction that a kernel's tile is made of: masked expand-load, move to a mask register, 64-byte load and
store, scalar load or address, vector popcount, lane shift, vector add, widening of a narrow format, bf16 dot product,
int8 dot product, fp32 multiply-add (also any other arithmetic on 16 fp32 lanes)."""

PORTS: Final = ("shuffle", "store", "load", "arithmetic")
"""Execution ports, by what they do; work on different ports overlaps."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks of a core with all cores busy.

    Attributes:
        turbo: vector and memory-bound work, in which cycles are counted.
        amx_light: tiles of at most 32 rows (decode), all cores at work.
        amx_heavy: more rows (prefill), where the tile unit draws most power, all cores at work. Fewer cores draw less:
            their clock lies between this and turbo by the share of cores at work (assumed).
    """

    turbo: Clock
    amx_light: Clock
    amx_heavy: Clock


@dataclass(frozen=True, slots=True)
class Memory:
    """One kind of memory of a socket.

    Attributes:
        bandwidth: nominal.
        share: share of it that all cores together achieve.
        capacity: bytes.
    """

    bandwidth: Rate
    share: Share
    capacity: Bytes


@dataclass(frozen=True, slots=True)
class CorePath:
    """How one core draws from memory.

    Attributes:
        bandwidth: what one core streams within a page.
        restart: time from a stream's first access to a new 4-KiB page until its data flow again; prefetchers stop at
            a page's end.
        window: bytes that may be on the way or waiting while others are worked on (fill buffers, prefetch distance).
    """

    bandwidth: Rate
    restart: Seconds
    window: Annotated[Quantity, Unit("bytes"), COUNT]

    def window_tiles(self, tile_bytes: float) -> int:
        """Tiles on the way, waiting or worked on at most: the one at work and those in the window; at least two."""
        return 1 + max(1, round(self.window.value / tile_bytes))


@dataclass(frozen=True, slots=True)
class Caches:
    """Caches: bytes per core for l1 and l2, of the socket for llc; bytes per cycle and core from l2 and llc."""

    l1: Bytes
    l2: Bytes
    llc: Bytes
    l2_bytes_per_cycle: Count
    llc_bytes_per_cycle: Count


@dataclass(frozen=True, slots=True)
class MicroOp:
    """One kind of instruction.

    Attributes:
        port: the port that limits it.
        cycles: cycles for which it holds that port (reciprocal throughput).
        micro_ops: micro-operations that it issues.
    """

    port: Literal["shuffle", "store", "load", "arithmetic"]
    cycles: HoldCycles
    micro_ops: Count


@dataclass(frozen=True, slots=True)
class Vector:
    """The AVX-512 core.

    Attributes:
        issue: micro-operations per cycle.
        instructions: cost by kind (`INSTRUCTIONS`).
        expand_overhead: cycles for each expanded tile that the ports do not account for (offsets through the stack).
        read_back: cycles that reading an expanded tile back at once adds, where no tile unit does it.
        dot_bf16: multiply-accumulates of one bf16 dot instruction; 0 where there is none.
        dot_int8: the same for int8.
        registers: vector registers.
    """

    issue: Count
    instructions: dict[str, MicroOp]
    expand_overhead: Cycles
    read_back: Cycles
    dot_bf16: Amount
    dot_int8: Amount
    registers: Count

    def __post_init__(self) -> None:
        for name in INSTRUCTIONS:
            if name not in self.instructions:
                raise Refused(f"no cost of {name}", "a cost of each of " + ", ".join(INSTRUCTIONS), at="instructions")
        for name in self.instructions:
            if name not in INSTRUCTIONS:
                raise Refused(f"instruction {name!r}", "one of " + ", ".join(INSTRUCTIONS), at=f"instructions.{name}")


@dataclass(frozen=True, slots=True)
class Amx:
    """The tile unit of a core.

    Attributes:
        dot: cycles of a tile product, whatever its rows.
        load: cycles of a tile load that hits L1.
        store: cycles of a tile store.
        configure: cycles of setting the tiles' shapes.
        forward: cycles that a tile load waits for vector stores of the same bytes.
        bf16_macs: multiply-accumulates of a bf16 tile product with 16 rows.
        int8_macs: the same for int8.
    """

    dot: HoldCycles
    load: Cycles
    store: Cycles
    configure: Cycles
    forward: Cycles
    bf16_macs: Count
    int8_macs: Count


@dataclass(frozen=True, slots=True)
class Energy:
    """Power and energies.

    Attributes:
        static: power of the package whether or not work is done.
        amx_mac: one bf16 multiply-accumulate of the tile unit; int8 takes half.
        vector_op: one vector instruction on 64 bytes.
        cache: one byte between L2 or LLC and a core.
        dram: one byte to or from memory.
    """

    static: Annotated[Quantity, Unit("W"), POWER]
    amx_mac: Picojoules
    vector_op: Picojoules
    cache: PerByte
    dram: PerByte


@dataclass(frozen=True, slots=True)
class Stack:
    """Software.

    Attributes:
        description: which, in one line.
        call: time of one operator outside its loops: dispatch, allocation, conversion of the result.
        region: time to start and join all threads; none where one thread works.
        fused: whether rope, residual additions and gates run within their neighbours.
        dense: kernel of dense products where none is named.
        repeat_kv: whether keys and values are copied to every query head before attention reads them.
        block_call: of software that calls a micro-kernel for each block of 16 x 16 results, each over all of k and not
            blocked for caches: cycles of a call outside its loop. None: blocked as oneDNN is.
    """

    description: str
    call: Seconds
    region: Seconds
    fused: bool
    dense: Literal["auto", "amx", "amx-strided", "avx512"] = "auto"
    repeat_kv: bool = False
    block_call: Cycles | None = None


@dataclass(frozen=True, slots=True)
class CpuParameters:
    """A machine of the CPU family: one socket (or one NUMA node of it) and its software.

    Attributes:
        family: always ``cpu``.
        name: the name the user types.
        description: one line.
        generation: core.
        cores: cores used.
        clock: clocks.
        memories: kinds of memory by name.
        memory: the one in use.
        core_path: how one core draws from it.
        caches: caches.
        vector: AVX-512.
        amx: the tile unit, if there is one.
        energy: energies.
        stacks: software by name.
        stack: the one that applies.
        compare_with: the machine that `simulate` shows beside this one.
    """

    family: Literal["cpu"]
    name: str
    description: str
    generation: Literal["sapphire-rapids", "granite-rapids", "zen4", "local"]
    cores: Count
    clock: Clocks
    memories: dict[str, Memory]
    memory: str
    core_path: CorePath
    caches: Caches
    vector: Vector
    energy: Energy
    stacks: dict[str, Stack]
    stack: str
    amx: Amx | None = None
    compare_with: str | None = None

    def __post_init__(self) -> None:
        for field_name, value, known in (("memory", self.memory, self.memories), ("stack", self.stack, self.stacks)):
            if value not in known:
                raise Refused(f"{field_name} {value!r}", "one of " + ", ".join(sorted(known)), at=field_name)
        if self.cores.value != int(self.cores.value):
            raise Refused(f"{self.cores.value} cores", "a whole number", at="cores.value")

    @property
    def dram(self) -> Memory:
        """The memory in use."""
        return self.memories[self.memory]

    @property
    def software(self) -> Stack:
        """The stack that applies."""
        return self.stacks[self.stack]
