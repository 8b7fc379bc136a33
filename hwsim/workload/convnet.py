"""Convolution networks: a list of layers, each after the one before it or after one that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hwsim.spec import Refused
from hwsim.workload.ranges import Count, Whole

__all__ = ["ConvLayer", "ConvNetModel", "Extent"]

LayerKind: TypeAlias = Literal["conv", "pool", "upsample", "add", "concat", "linear"]


@dataclass(frozen=True, slots=True)
class Extent:
    """Channels, rows and columns of an image."""

    channels: int
    rows: int
    columns: int

    @property
    def elements(self) -> int:
        """Elements of one image."""
        return self.channels * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class ConvLayer:
    """One layer.

    Attributes:
        kind: ``conv``; ``pool`` (to ``to`` rows, by the maximum or mean of windows); ``upsample`` (to ``to`` rows, by
            repeating pixels); ``add`` or ``concat`` (with the layer ``other``); ``linear`` (over all of an image).
        name: its name; default its kind with a number.
        channels: channels (features) of the result of conv and linear.
        kernel: rows and columns of a convolution's kernel.
        stride: step of a convolution.
        dilation: distance of neighbouring taps of a convolution's kernel.
        padding: ``same`` (the result has ceil(rows / stride) rows) or ``valid`` (only where the kernel fits).
        groups: independent groups of channels of a convolution.
        to: rows and columns of the result of pool and upsample.
        after: name of the layer that it follows; default the one before it, or the image.
        other: name of the second input of add and concat.
        relu: whether max(x, 0) follows a conv, add or linear.
    """

    kind: LayerKind
    name: str = ""
    channels: Whole = 0
    kernel: Count = 3
    stride: Count = 1
    padding: Literal["same", "valid"] = "same"
    groups: Count = 1
    dilation: Count = 1
    to: Whole = 0
    after: str = ""
    other: str = ""
    relu: bool = True

    def __post_init__(self) -> None:
        if (self.kind in ("conv", "linear")) != (self.channels > 0):
            raise Refused("", "1 or more in a conv or linear layer, else none", at="channels")
        if (self.kind in ("pool", "upsample")) != (self.to > 0):
            raise Refused("", "the rows of the result in a pool or upsample layer, else none", at="to")
        if (self.kind in ("add", "concat")) != bool(self.other):
            raise Refused("", "the name of a layer in an add or concat layer, else none", at="other")


@dataclass(frozen=True, slots=True)
class ConvNetModel:
    """A convolution network; batch norms are folded into the convolutions.

    Attributes:
        body: the layers, in order.
        channels: channels of the image.
        image: rows and columns of the image.
        family: tag of this family.
    """

    body: tuple[ConvLayer, ...]
    channels: Count = 3
    image: Count = 224
    family: Literal["convnet"] = "convnet"

    def __post_init__(self) -> None:
        if not self.body:
            raise Refused("no layers", "one or more", at="body")
        known: dict[str, Extent] = {"": Extent(self.channels, self.image, self.image)}
        for place, (name, layer) in enumerate(self.named):
            if name in known:
                raise Refused(f"a second layer {name!r}", "a name for each", at=f"body[{place}].name")
            known[name] = self._result(layer, known, f"body[{place}]")
            known[""] = known[name]

    @property
    def named(self) -> tuple[tuple[str, ConvLayer], ...]:
        """The layers with their names."""
        numbers: dict[str, int] = {}
        found = []
        for layer in self.body:
            numbers[layer.kind] = numbers.get(layer.kind, 0) + 1
            found.append((layer.name or f"{layer.kind}{numbers[layer.kind]}", layer))
        return tuple(found)

    @property
    def layers(self) -> int:
        """Layers with weights."""
        return sum(layer.kind in ("conv", "linear") for layer in self.body)

    @property
    def extents(self) -> dict[str, Extent]:
        """Name of a layer -> what it gives; the image under ``image``."""
        image = Extent(self.channels, self.image, self.image)
        known = {"": image, "image": image}
        for name, layer in self.named:
            known[name] = known[""] = self._result(layer, known, name)
        del known[""]
        return known

    def _result(self, layer: ConvLayer, known: dict[str, Extent], at: str) -> Extent:
        """What a layer gives.

        Raises:
            Refused: it follows a layer that is not before it, or what it takes does not fit.
        """
        for field, name in (("after", layer.after), ("other", layer.other)):
            if name and name not in known:
                raise Refused(f"layer {name!r}", "a layer before this one", at=f"{at}.{field}")
        given = known[layer.after]
        if layer.kind == "linear":
            return Extent(layer.channels, 1, 1)
        if layer.kind in ("pool", "upsample"):
            fits = layer.to <= given.rows if layer.kind == "pool" else layer.to % given.rows == 0
            if not fits:
                raise Refused(
                    f"{layer.to} rows from {given.rows}", "fewer in a pool, a multiple in upsample", at=f"{at}.to"
                )
            return Extent(given.channels, layer.to, layer.to)
        return self._joined(layer, given, known, at) if layer.other else _convolved(layer, given, at)

    def _joined(self, layer: ConvLayer, given: Extent, known: dict[str, Extent], at: str) -> Extent:
        second = known[layer.other]
        same = (second.rows, second.columns) == (given.rows, given.columns)
        if not same or (layer.kind == "add" and second.channels != given.channels):
            raise Refused(f"{second} beside {given}", "the same extents", at=f"{at}.other")
        channels = given.channels + (second.channels if layer.kind == "concat" else 0)
        return Extent(channels, given.rows, given.columns)


def _convolved(layer: ConvLayer, given: Extent, at: str) -> Extent:
    if given.channels % layer.groups or layer.channels % layer.groups:
        raise Refused(
            f"{layer.groups} groups", f"a divisor of {given.channels} and {layer.channels}", at=f"{at}.groups"
        )
    if layer.padding == "same":
        return Extent(layer.channels, -(-given.rows // layer.stride), -(-given.columns // layer.stride))
    reach = layer.dilation * (layer.kernel - 1) + 1
    if reach > given.rows:
        raise Refused(f"{reach} rows", f"at most the {given.rows} of the image", at=f"{at}.kernel")
    rows = (given.rows - reach) // layer.stride + 1
    return Extent(layer.channels, rows, (given.columns - reach) // layer.stride + 1)
