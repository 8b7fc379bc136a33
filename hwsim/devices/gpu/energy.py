"""Dynamic energy of a kernel, for one or for arrays of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from hwsim.formats import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwsim.devices.gpu.parameters import Power

__all__ = ["dynamic_limit_w", "energy_terms", "product_pj"]

Number = TypeVar("Number", "float", "NDArray[np.float64]")

_ON_TENSOR_CORES: Final = frozenset({"gemm", "attention", "conv2d"})


def product_pj(power: Power, name: str) -> float:
    """Picojoules of one operation of a product of a format: of the ALUs for fp32, else of tensor cores by its bits."""
    return power.alu.value if name == "fp32" else power.tensor.value * FORMATS[name].bits / 16.0


def energy_terms(
    power: Power, kind: str, name: str, macs: Number, other_ops: Number, dram: Number, l2: Number
) -> dict[str, Number]:
    """Picojoules by component: device memory, L2, products (`product_pj`), other arithmetic.

    Args:
        power: energies of the card.
        kind: kind of op; those without products on tensor cores run all their arithmetic on ALUs.
        name: format of a.
        macs: multiply-accumulates that are performed.
        other_ops: other scalar operations.
        dram: bytes to and from device memory.
        l2: bytes of operands and results that L2 serves without it.
    """
    energy = {"dram": dram * power.dram.value, "l2": l2 * power.l2.value}
    if kind in _ON_TENSOR_CORES:
        energy["tensor"] = 2.0 * macs * product_pj(power, name)
        energy["alu"] = other_ops * power.alu.value
    else:
        energy["alu"] = (2.0 * macs + other_ops) * power.alu.value
    return energy


def dynamic_limit_w(power: Power) -> float:
    """What a board may draw beyond its idle power."""
    return power.limit.value - power.idle.value
