"""Structured matrices: a weight matrix of n x k as a product of block-diagonal and dense factors, with shuffles.

``n`` are outputs and ``k`` inputs. A factor is ``blocks`` products of rows x depth side by side, each on its own slice.

====================  ==========================================================================  =====================
name                  factors                                                                     parameters
====================  ==========================================================================  =====================
``lowrank:R``         R x k, then n x R                                                           R (n + k)
``blockdiag:B``       B blocks of n/B x k/B                                                       n k / B
``blockdense:BxR``    B blocks of R/B x k/B, then n x R [2406.16450]                              R k / B + n R
``monarch:B``         B blocks of r/B x k/B, shuffle, B blocks of n/B x r/B, r = min(n, k)        (r k + n r) / B
                      [2204.00595; the same as ``blockshuffle:B`` of 2406.16450]
``btt:R``             k2 blocks of n1 R x k1, shuffle, n1 blocks of n2 x k2 R; n = n1 n2,         R n1 k2 (k1 + n2)
                      k = k1 k2, factors near the root [2406.06248]
``blast:BxR``         B blocks of R x k/B, B x B diagonals mixed, B blocks of n/B x R             R (n + k) + R B^2
                      [2410.21262]
====================  ==========================================================================  =====================
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from hwsim.errors import HwsimError

__all__ = ["STRUCTURES", "Factor", "factors_of", "is_structured"]

STRUCTURES: Final = (
    "lowrank:R",
    "blockdiag:B",
    "blockdense:BxR",
    "monarch:B",
    "blockshuffle:B",
    "btt:R",
    "blast:BxR",
)
_FORM: Final = re.compile(r"(lowrank|blockdiag|blockdense|monarch|blockshuffle|btt|blast):([1-9]\d*)(?:x([1-9]\d*))?")
_PAIRS: Final = ("blockdense", "blast")


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor.

    Attributes:
        blocks: products side by side.
        n: outputs of each.
        k: inputs of each.
        shuffled: elements per token that are moved into another order before it; 0 for none.
    """

    blocks: int
    n: int
    k: int
    shuffled: int = 0

    @property
    def parameters(self) -> int:
        """Elements of the factor."""
        return self.blocks * self.n * self.k


def is_structured(structure: str) -> bool:
    """Whether the name is one of these structures, well formed or not."""
    return structure.partition(":")[0] in {name.split(":")[0] for name in STRUCTURES}


def factors_of(where: str, structure: str, n: int, k: int) -> tuple[Factor, ...]:
    """The factors of an n x k matrix, in the order in which they are applied.

    Raises:
        HwsimError: no such structure, or blocks that do not divide the matrix.
    """
    found = _FORM.fullmatch(structure)
    if found is None or (found[3] is not None) != (found[1] in _PAIRS):
        raise HwsimError.at(where, f"structure={structure}", "one of " + ", ".join(STRUCTURES))
    name, first, second = found[1], int(found[2]), int(found[3] or 0)
    if name == "btt":
        return _btt(first, n, k)
    if name == "lowrank":
        return Factor(1, first, k), Factor(1, n, first)
    inner = {"blockdense": second, "blockdiag": n}.get(name, min(n, k))
    if k % first or (name != "blockdense" and n % first) or (name != "blast" and inner % first):
        raise HwsimError.at(where, f"structure={structure} with n={n}, k={k}", "blocks that divide both")
    if name == "blockdiag":
        return (Factor(first, n // first, k // first),)
    if name == "blockdense":
        return Factor(first, second // first, k // first), Factor(1, n, second)
    if name == "blast":
        return Factor(first, second, k // first), Factor(second, first, first), Factor(first, n // first, second)
    return Factor(first, inner // first, k // first), Factor(first, n // first, inner // first, shuffled=inner)


def _near_root(value: int) -> int:
    """The divisor nearest to the square root, from below."""
    return next(each for each in range(math.isqrt(value), 0, -1) if value % each == 0)


def _btt(rank: int, n: int, k: int) -> tuple[Factor, ...]:
    """Two cores: k1 x n1 for each of k2, then k2 x n2 for each of n1."""
    n1, k1 = _near_root(n), _near_root(k)
    n2, k2 = n // n1, k // k1
    return Factor(k2, n1 * rank, k1), Factor(n1, n2, k2 * rank, shuffled=n1 * k2 * rank)
