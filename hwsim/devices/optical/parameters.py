"""What a catalog file of the optical family holds. Every number is a `Quantity` with its unit, source and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from hwsim.devices.ranges import AMOUNT, CLOCK, ENERGY, LENGTH, POWER, RATE, SECONDS, SHARE, STOCK
from hwsim.spec import Bound, Quantity, Refused, Unit
from hwsim.workload.model import FormatName

__all__ = [
    "Camera",
    "Converters",
    "Detection",
    "Host",
    "KernelModulator",
    "Light",
    "Modulator",
    "OpticalParameters",
    "Plane",
    "Power",
]

Pixels: TypeAlias = Annotated[Quantity, Unit("1"), Bound(low=1, high=1_000_000)]
Bits: TypeAlias = Annotated[Quantity, Unit("1"), Bound(low=1, high=16)]
Seconds: TypeAlias = Annotated[Quantity, Unit("s"), SECONDS]
Hertz: TypeAlias = Annotated[Quantity, Unit("Hz"), CLOCK]
Metres: TypeAlias = Annotated[Quantity, Unit("m"), LENGTH]
Rate: TypeAlias = Annotated[Quantity, Unit("bytes/s"), RATE]
PicoJoules: TypeAlias = Annotated[Quantity, Unit("pJ"), ENERGY]
Watts: TypeAlias = Annotated[Quantity, Unit("W"), POWER]
Share: TypeAlias = Annotated[Quantity, Unit("1"), SHARE]

Detection: TypeAlias = Literal["field", "intensity", "sqrt", "pseudo_negative", "channel_tiled"]
Offloaded: TypeAlias = Literal["conv2d", "gemm", "attention"]


@dataclass(frozen=True, slots=True)
class Plane:
    """The aperture that input, kernel and camera share.

    Attributes:
        rows: pixels along a column.
        columns: pixels along a row.
        superpixel: modulator pixels along the side of one pixel of an image.
        pitch: distance of pixels.
        wavelength: of the light.
        focal_length: of both lenses.
        window: pixels along the side of the Fourier plane that the mask uses; critical sampling is
            ``pitch^2 * window = wavelength * focal_length``.
    """

    rows: Pixels
    columns: Pixels
    superpixel: Annotated[Quantity, Unit("1"), Bound(low=1, high=64)]
    pitch: Metres
    wavelength: Metres
    focal_length: Metres
    window: Pixels


@dataclass(frozen=True, slots=True)
class Modulator:
    """The modulator of the input plane: time to load a picture, time until it stands, levels."""

    load: Seconds
    settle: Seconds
    bits: Bits

    @property
    def picture_s(self) -> float:
        """Time of one picture."""
        return self.load.value + self.settle.value


@dataclass(frozen=True, slots=True)
class KernelModulator:
    """The modulator of the Fourier plane, as `Modulator`, and what it can show there (`hwsim.golden.optics4f`)."""

    load: Seconds
    settle: Seconds
    bits: Bits
    shows: Literal["complex", "amplitude_phase", "amplitude", "phase", "binary"]

    @property
    def picture_s(self) -> float:
        """Time of one picture."""
        return self.load.value + self.settle.value


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera.

    Attributes:
        frame_rate: frames per second at most.
        exposure: light collected for one frame.
        readout: pixels per second.
        bits: levels of a pixel.
        read_noise: standard deviation in electrons.
    """

    frame_rate: Hertz
    exposure: Seconds
    readout: Annotated[Quantity, Unit("pixel/s"), RATE]
    bits: Bits
    read_noise: Annotated[Quantity, Unit("1"), AMOUNT]

    @property
    def frame_s(self) -> float:
        """Time that a frame takes before it is read."""
        return max(1.0 / self.frame_rate.value, self.exposure.value)


@dataclass(frozen=True, slots=True)
class Converters:
    """Energy of one conversion at 8 bits; ADCs go with the bits, DACs with 2^bits / bits."""

    dac: PicoJoules
    adc: PicoJoules


@dataclass(frozen=True, slots=True)
class Light:
    """From photons at the camera back to the socket.

    Attributes:
        quantum_efficiency: electrons per photon of the camera.
        transmission: share of the light that reaches the camera.
        wall_plug: light over electrical power of the laser.
    """

    quantum_efficiency: Share
    transmission: Share
    wall_plug: Share


@dataclass(frozen=True, slots=True)
class Power:
    """Power of the parts while they run, for the form that counts power x time: the camera, and one modulator."""

    camera: Watts
    modulator: Watts


@dataclass(frozen=True, slots=True)
class Host:
    """The electronics that run what light cannot, and the way to it.

    Attributes:
        macs: multiply-accumulates per second.
        ops: other operations per second.
        bandwidth: its memory.
        capacity: bytes that it holds.
        link: bytes per second to and from the modulators and the camera, each way.
        mac: energy of a multiply-accumulate.
        op: energy of another operation.
        dram: energy of a byte of its memory.
        idle: power drawn whether or not work is done.
    """

    macs: Annotated[Quantity, Unit("mac/s"), RATE]
    ops: Annotated[Quantity, Unit("op/s"), RATE]
    bandwidth: Rate
    capacity: Annotated[Quantity, Unit("bytes"), STOCK]
    link: Rate
    mac: PicoJoules
    op: PicoJoules
    dram: Annotated[Quantity, Unit("pJ/byte"), ENERGY]
    idle: Watts


@dataclass(frozen=True, slots=True)
class OpticalParameters:
    """A machine of the optical family.

    Attributes:
        family: always ``optical``.
        name: the name the user types.
        description: one line.
        timing: ``paper`` (frames over the frame rate, all else free) or ``device_limited`` (what modulators, camera,
            link and host really take).
        energy: ``converters`` (per conversion and photon) or ``frame_power`` (power x time).
        offload: kinds of op that run in light; all others run on the host.
        detection: how signs get through; ``field`` takes them for granted, as counts of frames in papers do.
        kernels: ``signed``, as networks are trained, or ``non_negative``: the network was trained for this machine.
        guard: guard band of a tile: ``full`` (image + kernel - 1) or ``least`` (image + padding).
        tiling: which tiles a frame may hold: ``best`` of all, ``images``, ``channels`` (with kernels) or ``none``.
        format: number format of activations and weights.
        frame_rate: frames per second in the ``paper`` mode.
        plane: the aperture.
        input: modulator of the input plane.
        kernel: modulator of the Fourier plane.
        camera: the camera.
        converters: energies of conversions.
        light: losses.
        power: power of the parts.
        host: the electronics.
        compare_with: the machine that `simulate` shows beside this one.
        inputs: ``non_negative``, as after a relu, or ``signed``: `pseudo_negative` shows their parts one by one.
    """

    family: Literal["optical"]
    name: str
    description: str
    timing: Literal["paper", "device_limited"]
    energy: Literal["converters", "frame_power"]
    offload: tuple[Offloaded, ...]
    detection: Detection
    kernels: Literal["signed", "non_negative"]
    guard: Literal["full", "least"]
    tiling: Literal["best", "images", "channels", "none"]
    format: FormatName
    frame_rate: Hertz
    plane: Plane
    input: Modulator
    kernel: KernelModulator
    camera: Camera
    converters: Converters
    light: Light
    power: Power
    host: Host
    compare_with: str | None = None
    inputs: Literal["non_negative", "signed"] = "non_negative"

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "superpixel", "window"):
            if not getattr(self.plane, name).value.is_integer():
                raise Refused(f"{getattr(self.plane, name).value} for {name}", "a whole number", at=f"plane.{name}")
        for part in ("input", "kernel", "camera"):
            if not getattr(self, part).bits.value.is_integer():
                raise Refused(f"{getattr(self, part).bits.value} for bits", "a whole number", at=f"{part}.bits")
        if self.timing == "device_limited" and not self.input.picture_s > 0 < self.kernel.picture_s:
            raise Refused("modulators without a time", "load or settle above 0, or timing: paper", at="timing")
        least = min(self.plane.rows.value, self.plane.columns.value)
        if self.plane.superpixel.value > least:
            raise Refused(f"{self.plane.superpixel.value} for superpixel", f"at most {least:g}", at="plane.superpixel")

    @property
    def image_rows(self) -> int:
        """Pixels of an image that the aperture holds along a column."""
        return int(self.plane.rows.value // self.plane.superpixel.value)

    @property
    def image_columns(self) -> int:
        """Pixels of an image that the aperture holds along a row."""
        return int(self.plane.columns.value // self.plane.superpixel.value)

    @property
    def signs(self) -> int:
        """Frames that one convolution takes because a camera sees no sign."""
        return 2 if self.detection == "pseudo_negative" and self.kernels == "signed" else 1

    @property
    def pictures(self) -> int:
        """Pictures that an image takes: two where its positive and negative part are shown apart."""
        return 2 if self.detection == "pseudo_negative" and self.inputs == "signed" else 1
