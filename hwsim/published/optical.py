"""Predictors for what is published of optical convolution and photonic tensor cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from hwsim.devices.catalog import find_device
from hwsim.devices.optical import OpticalDevice
from hwsim.devices.optical.buffer import line_loss, relative_laser_power
from hwsim.devices.optical.photonic_core import Product, core_named, product_energy_pj, product_seconds
from hwsim.devices.optical.work import placed
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.published.arguments import Arguments, count, number, refused, text
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass

if TYPE_CHECKING:
    from hwsim.published.runner import Predictor
    from hwsim.result import Result
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["PREDICTORS", "speedup_seconds"]

_CORE: Final = "lightening-transformer"


def _settings(arguments: Arguments) -> tuple[str, ...]:
    return tuple(str(each) for each in cast("tuple[str, ...]", arguments.get("settings", ())))


def _graph(name: str) -> Graph:
    workload = find_workload(name)
    return build(workload.model, workload.formats, Pass("inference", 1))


def _machine(arguments: Arguments) -> OpticalDevice:
    device = find_device(text(arguments, "device"), _settings(arguments))
    if not isinstance(device, OpticalDevice):
        raise refused("device", device.name, "a machine of the optical family")
    return device


def _frames(device: OpticalDevice, name: str, least_kernel: int) -> int:
    """Frames of the convolutions of one image; kernels smaller than ``least_kernel`` are left to the electronics."""
    total = 0
    for op in _graph(name).ops:
        if op.kind == "conv2d" and op.dims["r"] >= least_kernel:
            found = placed(device.parameters, op)
            if isinstance(found, Infeasible):
                raise HwsimError.at(device.name, str(found), f"a machine that runs {name}")
            total += sum(each.counts.frames for each in found)
    return total


def frames_ratio(arguments: Arguments) -> Prediction:
    """Frames of ``baseline`` over those of ``workload`` on the same machine."""
    device = _machine(arguments)
    ours, base = (_frames(device, text(arguments, name), 1) for name in ("workload", "baseline"))
    return Prediction(base / ours, "x", f"{base:,} frames of {text(arguments, 'baseline')} over {ours:,}")


def frames_seconds(arguments: Arguments) -> Prediction:
    """Frames of a network's convolutions over the frame rate; ``least_kernel`` leaves smaller kernels out."""
    device = _machine(arguments)
    frames = _frames(device, text(arguments, "workload"), count(arguments, "least_kernel", 1))
    return Prediction(frames / device.parameters.frame_rate.value, "s", f"{frames:,} frames")


def laser_power(arguments: Arguments) -> Prediction:
    """Relative laser power of ReFOCUS's feedback buffer at the optimal split."""
    loss = line_loss(number(arguments, "loss_db"))
    return Prediction(relative_laser_power(count(arguments, "reuses"), loss), "x")


def power_efficiency(arguments: Arguments) -> Prediction:
    """Operations per second and watt of the frame-power form: work of a frame x frames per second / power (Hu 2022)."""
    work = number(arguments, "image_pixels") * number(arguments, "kernel_pixels")
    rate = work * number(arguments, "tiles") * number(arguments, "kernels") * number(arguments, "frame_hz")
    return Prediction(rate / number(arguments, "power_w") / 1e12, "TOPS/W")


def _products(name: str) -> list[Product]:
    """The products of a vision transformer for one image, by op."""
    return [each for op, count in _graph(name).distinct() for each in _of(op) * count]


def _of(op: Op) -> list[Product]:
    dims = op.dims
    if op.kind == "gemm":
        return [Product(dims["n"], dims["m"], dims["k"])]
    if op.kind == "conv2d":
        return [Product(dims["oc"], dims["batch"] * dims["y"] * dims["x"], dims["ic"] * dims["r"] * dims["s"])]
    if op.kind == "attention":
        heads = dims["kv_heads"] * dims["group"]
        q, kv, d = dims["q_len"], dims["kv_len"], dims["head_dim"]
        return [Product(q, kv, d, heads, False), Product(q, d, kv, heads, False)]
    return []


def photonic_seconds(arguments: Arguments) -> Prediction:
    """Latency of a vision transformer's products on the photonic core."""
    core, bits = core_named(_CORE), count(arguments, "bits")
    products = _products(text(arguments, "workload"))
    return Prediction(1e3 * sum(product_seconds(core, each, bits) for each in products), "ms")


def photonic_energy(arguments: Arguments) -> Prediction:
    """Energy of a vision transformer's products on the photonic core."""
    core, bits = core_named(_CORE), count(arguments, "bits")
    products = _products(text(arguments, "workload"))
    total = sum(sum(product_energy_pj(core, each, bits).values()) for each in products)
    return Prediction(1e-9 * total, "mJ", "products alone: softmax, norms and additions are left out")


def product_latency(arguments: Arguments) -> Prediction:
    """Latency of one operator of a vision transformer, all layers together."""
    core, bits, wanted = core_named(_CORE), count(arguments, "bits"), text(arguments, "operator")
    rows = [(op, count) for op, count in _graph(text(arguments, "workload")).distinct() if op.name == wanted]
    seconds = sum(count * product_seconds(core, each, bits) for op, count in rows for each in _of(op))
    return Prediction(1e6 * seconds, "us")


def _answer(name: str, device: str, batch: int, settings: tuple[str, ...], transform: str) -> Result:
    """A batch of a workload, changed by a transform where one is named (as YAML flow)."""
    changes = (f"transforms=[{transform}]",) if transform else ()
    answer = simulate(find_workload(name, changes), find_device(device, settings), Question(batch=batch))
    if isinstance(answer, Infeasible):
        raise HwsimError.at(device, str(answer), f"a machine that runs {name}")
    return answer


def speedup_seconds(name: str, device: str, batch: int, settings: tuple[str, ...], transform: str) -> float:
    """Time of a batch of a workload, changed by a transform where one is named (as YAML flow)."""
    return _answer(name, device, batch, settings, transform).time_s


def speedup(arguments: Arguments) -> Prediction:
    """A transformed transformer on an optical machine over the plain one on a GPU, at one batch."""
    batch, name = count(arguments, "batch"), text(arguments, "workload")
    ours = _answer(name, text(arguments, "device"), batch, _settings(arguments), text(arguments, "transform"))
    base = _answer(name, text(arguments, "baseline_device"), batch, (), "")
    words = f"{base.time_s * 1e3:.3g} ms on {base.device} over {ours.time_s * 1e3:.3g} ms, batch {batch}"
    leaning = {c.path: c for a in (ours, base) for c in (*a.fitted, *a.assumed) if c.enters == "time"}
    return Prediction(base.time_s / ours.time_s, "x", words, tuple(leaning.values()))


PREDICTORS: Final[dict[str, Predictor]] = {
    "frames_ratio": frames_ratio,
    "frames_seconds": frames_seconds,
    "laser_power": laser_power,
    "optical_speedup": speedup,
    "photonic_energy": photonic_energy,
    "photonic_product": product_latency,
    "photonic_seconds": photonic_seconds,
    "power_efficiency": power_efficiency,
}
