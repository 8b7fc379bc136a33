"""``sparsity``: weights that are zero and not stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from hwsim.spec import Bound
from hwsim.workload.transform.base import Transform

if TYPE_CHECKING:
    from hwsim.workload.number_formats import Formats

__all__ = ["Sparsity"]


@dataclass(frozen=True, slots=True)
class Sparsity(Transform):
    """Prune the weights of the layers' matrix products; embedding and head stay dense.

    Attributes:
        weights: fraction of them that is zero.
        structure: unstructured, ``N:M`` or ``block:RxC``.
        name: tag of this transform.
    """

    MEANING: ClassVar[str] = "prune the layers' weights: weights=0.5, structure=unstructured|2:4|block:16x16"

    weights: Annotated[float, Bound(low=0, high=1, open_high=True)]
    structure: str = "unstructured"
    name: Literal["sparsity"] = "sparsity"

    def of_formats(self, formats: Formats) -> Formats:
        """The formats with this sparsity; it replaces the one that was there."""
        structure = self.structure if self.weights else "none"
        return replace(formats, weight_sparsity=self.weights, weight_structure=structure)
