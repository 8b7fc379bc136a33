"""``quantize``: other number formats for weights, activations, keys and values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hwsim.spec import Refused
from hwsim.workload.families import Whole
from hwsim.workload.number_formats import FormatName
from hwsim.workload.transform.base import Transform

if TYPE_CHECKING:
    from hwsim.workload.number_formats import Formats

__all__ = ["Quantize"]


@dataclass(frozen=True, slots=True)
class Quantize(Transform):
    """Change number formats; what is left out stays as it is.

    Attributes:
        weights: format of the weights of the layers' matrix products, experts that have none of their own included.
        experts: format of the weights of experts.
        activations: format in which activations flow. Keys, values and vectors that followed it keep their format.
        kv: format of keys and values.
        state: format of recurrent states.
        group: elements along k that share one weight scale.
        dynamic: whether each product quantises what it reads, so that 16 bits flow between ops.
        name: tag of this transform.
    """

    MEANING: ClassVar[str] = "change number formats: weights=int4, activations=int8, kv=fp8_e4m3, state=bf16, group=128"

    weights: FormatName | None = None
    experts: FormatName | None = None
    activations: FormatName | None = None
    kv: FormatName | None = None
    state: FormatName | None = None
    group: Whole | None = None
    dynamic: bool = False
    name: Literal["quantize"] = "quantize"

    def __post_init__(self) -> None:
        given = (self.weights, self.experts, self.activations, self.kv, self.state, self.group)
        if not self.dynamic and all(each is None for each in given):
            raise Refused(
                "quantize without a format", "one or more of weights, experts, activations, kv, state, group, dynamic"
            )

    def of_formats(self, formats: Formats) -> Formats:
        """The formats with those that are given."""
        changes: dict[str, Any] = {"kv": self.kv or formats.kv_format}
        for role in ("weights", "experts", "activations", "state"):
            if getattr(self, role) is not None:
                changes[role] = getattr(self, role)
        if self.group is not None:
            changes["weight_group"] = self.group
        if self.dynamic:
            changes["quantize"] = "dynamic"
        return replace(formats, **changes)
