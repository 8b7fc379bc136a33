"""The transforms that exist, by the name that a user types. A new one is listed here."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from hwsim.spec import Tagged
from hwsim.workload.transform.base import Transform
from hwsim.workload.transform.quantize import Quantize
from hwsim.workload.transform.sparsity import Sparsity

__all__ = ["TRANSFORMS", "AnyTransform"]

AnyTransform: TypeAlias = Annotated[Sparsity | Quantize, Tagged("name")]
"""Any of them, told apart by ``name``."""

TRANSFORMS: Final[dict[str, type[Transform]]] = {"quantize": Quantize, "sparsity": Sparsity}
"""Name -> its class."""
