"""A photonic tensor core (Lightening-Transformer): products of blocks in light, cycles and energy in closed form.

A core multiplies ``[height, wavelengths] x [wavelengths, width]`` each cycle; both operands are modulated anew, each
shared along a row or column of detectors. Latency: ``ceil(ceil(m/h) ceil(n/w) ceil(k/l) / cores) / clock``, or the
loading of weights where that is longer. Formulas: arXiv 2305.19533 and the released simulator, followed in its counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from hwsim.spec import Bound, Fraction, Positive, Quantity, Unit, load, read

__all__ = ["Core", "Product", "core_named", "product_cycles", "product_energy_pj", "product_seconds"]

Count: TypeAlias = Annotated[Quantity, Unit("1"), Positive]
Milliwatts: TypeAlias = Annotated[Quantity, Unit("mW"), Positive]
PicoJoules: TypeAlias = Annotated[Quantity, Unit("pJ"), Positive]
Hertz: TypeAlias = Annotated[Quantity, Unit("Hz"), Positive]

_TABLES: Final = Path(__file__).resolve().parent / "tables"


@dataclass(frozen=True, slots=True)
class Core:
    """A photonic machine; powers are of one part at its rated bits and rate.

    Attributes:
        name: its name.
        tiles: tiles, which share one broadcast operand.
        cores: cores of a tile, which share converters.
        height: rows of a core.
        width: columns of a core.
        wavelengths: products added in one detector.
        clock: cycles per second.
        accumulated: cycles added up before a conversion.
        dac: a DAC at 8 bits.
        dac_rate: its samples per second.
        adc: an ADC at 8 bits.
        adc_rate: its samples per second.
        modulator: energy of one symbol.
        router: one ring of a multiplexer.
        detector: one photodetector.
        amplifier: one transimpedance amplifier.
        adder: one digital adder.
        sensitivity_dbm: light that a detector needs.
        loss_db: loss from laser to detector, splitting aside.
        wall_plug: light over electrical power of the laser.
        registers: 16 bits of the register file.
        local_buffer: 16 bits of a tile's buffer.
        global_buffer: 16 bits of the shared buffer.
        network: 16 bits over the network on chip.
        dram: 16 bits of DRAM.
        local_bytes: a tile's buffer.
        dram_rate: bytes per second from DRAM.
        buffer_clock: clock in which loads are counted.
    """

    name: str
    tiles: Count
    cores: Count
    height: Count
    width: Count
    wavelengths: Count
    clock: Hertz
    accumulated: Count
    dac: Milliwatts
    dac_rate: Hertz
    adc: Milliwatts
    adc_rate: Hertz
    modulator: PicoJoules
    router: Milliwatts
    detector: Milliwatts
    amplifier: Milliwatts
    adder: Milliwatts
    sensitivity_dbm: Annotated[Quantity, Unit("1"), Bound(low=-100, high=30)]
    loss_db: Count
    wall_plug: Annotated[Quantity, Unit("1"), Fraction]
    registers: PicoJoules
    local_buffer: PicoJoules
    global_buffer: PicoJoules
    network: PicoJoules
    dram: PicoJoules
    local_bytes: Annotated[Quantity, Unit("bytes"), Positive]
    dram_rate: Annotated[Quantity, Unit("bytes/s"), Positive]
    buffer_clock: Hertz


@dataclass(frozen=True, slots=True)
class Product:
    """``[m, k] x [k, n]``, ``count`` times.

    Attributes:
        m: rows of the first operand: weights (output features), or queries.
        n: columns of the second: tokens.
        k: length of the dot products.
        count: times.
        weights: whether the first operand comes from DRAM; if not, both are activations in the buffers.
    """

    m: int
    n: int
    k: int
    count: int = 1
    weights: bool = True


@cache
def core_named(name: str) -> Core:
    """A shipped core by its file's name."""
    return load(read(_TABLES / f"{name}.yaml"), Core)


def _blocks(core: Core, product: Product) -> tuple[int, int, int]:
    rows, columns = int(core.height.value), int(core.width.value)
    return -(-product.m // rows), -(-product.n // columns), -(-product.k // int(core.wavelengths.value))


def product_cycles(core: Core, product: Product) -> int:
    """Cycles of a product, all times: its blocks are spread over all cores, those of heads that run together too."""
    i, j, deep = _blocks(core, product)
    heads = 1 if product.weights else product.count
    cycles = -(-i * j * deep * heads // int(core.tiles.value * core.cores.value))
    return cycles * (product.count if product.weights else 1)


def product_seconds(core: Core, product: Product, bits: int) -> float:
    """Time of a product: its cycles, or loading weights strip by strip into the tiles where that takes longer."""
    compute = product_cycles(core, product) / core.clock.value
    if not product.weights:
        return compute
    strip_bits = core.height.value * product.k * bits
    seconds = strip_bits / (8.0 * core.dram_rate.value / core.tiles.value)
    strips = math.ceil(product.m / (core.tiles.value * core.height.value))
    loading = strips * math.ceil(seconds * core.buffer_clock.value) / core.buffer_clock.value
    return max(compute, product.count * loading)


def product_energy_pj(core: Core, product: Product, bits: int) -> Mapping[str, float]:
    """Energy of a product by component, with operands of ``bits`` bits."""
    i, j, deep = _blocks(core, product)
    m, n, k, tiles = product.m, product.n, product.k, core.tiles.value
    per_cycle = 1e9 / core.clock.value
    modulated = m * k * j + i * n * k / tiles
    added = min(core.accumulated.value, math.ceil(k / (core.cores.value * core.wavelengths.value)))
    sums = m * n * math.ceil(math.ceil(deep / added) / core.cores.value)
    dac = core.dac.value * (2.0**bits / bits) / 32.0 / core.dac_rate.value * 1e9
    adc = core.adc.value * bits / 8.0 / core.adc_rate.value * 1e9
    symbol = core.modulator.value + 2 * core.router.value * per_cycle
    energy = {
        "laser": _laser_mw(core, bits) * per_cycle * i * j * deep,
        "dac": dac * modulated,
        "modulator": symbol * modulated,
        "adc": adc * sums,
        "detector": 2 * core.detector.value * per_cycle * m * n * deep + core.amplifier.value * per_cycle * sums,
        "adder": core.adder.value * per_cycle * sums,
        **_movement(core, product, bits, sums),
    }
    return {name: amount * product.count for name, amount in energy.items()}


def _laser_mw(core: Core, bits: int) -> float:
    """Laser of a core: sensitivity, losses and splitting in decibels; levels; wall plug."""
    split = 10.0 * math.log10(core.height.value * core.width.value)
    dbm = core.sensitivity_dbm.value + core.loss_db.value + split
    return float(10.0 ** (dbm / 10.0) / core.wall_plug.value * 2.0**bits)


def _movement(core: Core, product: Product, bits: int, sums: float) -> dict[str, float]:
    """Registers, buffers and DRAM.

    For products of activations, reading operands from the shared buffer is left out, as in the released simulator,
    where a factor makes that term vanish.
    """
    i, j, _ = _blocks(core, product)
    m, n, k, tiles = product.m, product.n, product.k, core.tiles.value
    share = bits / 16.0
    shared = n * k * i / tiles
    trips = max(core.height.value * k * bits / 8.0 / core.local_bytes.value, 1.0)
    trips = math.ceil(trips) if product.weights else trips
    results = m * n * (2 * trips - 1)
    kept = results + (2 * m * k + shared if product.weights else 0.0)
    return {
        "registers": share * (core.registers.value * 2 * (m * k * j + shared + sums) + core.network.value * sums),
        "local_buffer": share * core.local_buffer.value * (m * k * j + shared + m * k + shared + results),
        "global_buffer": share * core.global_buffer.value * kept,
        "dram": share * core.dram.value * m * k if product.weights else 0.0,
    }
