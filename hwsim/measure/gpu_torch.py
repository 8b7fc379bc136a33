"""Timing kernels with PyTorch, which is found at run time and is never a dependency.

Each kernel is captured into a CUDA graph many times over, with five sets of weights used in turn (so that they come
from memory unless L2 holds all five), and replayed between two events: no host launch is in the figure.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from hwsim.errors import HwsimError
from hwsim.measure.gpu_cases import Case

__all__ = ["METHOD", "Timer", "TorchTimer", "torch_timer"]

METHOD: Final = (
    "CUDA graph of 20 calls, five sets of weights in turn, activations in place; 3 replays to warm up, then the median "
    "of the replays between two events, over the calls; launch rows: an empty kernel "
    "in a graph, called after others, and called and waited for"
)
_COPIES: Final = 5
_CALLS: Final = 20
_WHERE: Final = "hwsim measure gpu"


class Timer(Protocol):
    """What times kernels on a card."""

    @property
    def card(self) -> str:
        """The card's name, as its driver says it."""

    @property
    def versions(self) -> dict[str, str]:
        """Software -> version."""

    @property
    def facts(self) -> dict[str, float]:
        """What the driver says of the card: multiprocessors, bytes of memory."""

    def samples_s(self, case: Case, repeats: int) -> list[float] | None:
        """Seconds of a call, once for each repetition; None for what this card or this software lacks."""

    def launch_samples_s(self, how: str, repeats: int) -> list[float]:
        """Seconds of an empty kernel in a ``graph``, one of many ``eager`` calls, or a ``call`` that is waited for."""


def torch_timer() -> TorchTimer:
    """The timer of this machine's first card.

    Raises:
        HwsimError: PyTorch is not installed, or sees no CUDA device.
    """
    if find_spec("torch") is None:
        expected = "PyTorch with CUDA beside hwsim, on a machine with a card (pip install torch)"
        raise HwsimError.at(_WHERE, "no module torch", expected)
    torch = import_module("torch")
    if not torch.cuda.is_available():
        expected = "a CUDA device that torch.cuda.is_available() finds"
        raise HwsimError.at(_WHERE, f"torch {torch.__version__} sees no CUDA device", expected)
    return TorchTimer(torch)


class TorchTimer:
    """Times kernels with a loaded torch.

    Args:
        torch: the module.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._formats = {
            "bf16": torch.bfloat16,
            "fp16": torch.float16,
            "fp32": torch.float32,
            "fp8_e4m3": getattr(torch, "float8_e4m3fn", None),
            "int8": torch.int8,
        }
        torch.backends.cuda.matmul.allow_tf32 = False

    @property
    def card(self) -> str:
        """The card's name."""
        return str(self._torch.cuda.get_device_name(0))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of torch, CUDA and cuDNN."""
        torch = self._torch
        return {
            "torch": str(torch.__version__),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }

    @property
    def facts(self) -> dict[str, float]:
        """Multiprocessors and bytes of memory."""
        found = self._torch.cuda.get_device_properties(0)
        return {"sms": float(found.multi_processor_count), "memory_bytes": float(found.total_memory)}

    def samples_s(self, case: Case, repeats: int) -> list[float] | None:
        """See `Timer`; kernels that torch, or a library that it needs, refuses are left out."""
        build = _BUILDERS.get(case.kind)
        try:
            call = build(self, case.named) if build else None
            return None if call is None else self._replays(call, repeats)
        except (RuntimeError, TypeError, ValueError, ImportError, AttributeError):  # of old releases too
            self._torch.cuda.synchronize()
            return None

    def launch_samples_s(self, how: str, repeats: int) -> list[float]:
        """See `Timer`."""
        torch = self._torch
        one = torch.zeros(1, device="cuda")
        if how == "graph":
            return self._replays(lambda _: one.add_(1), repeats)
        from time import perf_counter  # noqa: PLC0415

        samples = []
        for _ in range(repeats + 3):
            torch.cuda.synchronize()
            start = perf_counter()
            for _ in range(1000):
                one.add_(1)
                if how == "call":
                    torch.cuda.synchronize()
            torch.cuda.synchronize()
            samples.append((perf_counter() - start) / 1000)
        return samples[3:]

    def _replays(self, call: Callable[[int], Any], repeats: int) -> list[float]:
        """Seconds of a call in each replay of a graph of many."""
        torch = self._torch
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())  # the inputs are made there
        with torch.cuda.stream(stream):
            for number in range(_COPIES):
                call(number)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for number in range(_CALLS):
                call(number % _COPIES)
        samples = []
        for _ in range(repeats + 3):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            samples.append(start.elapsed_time(end) * 1e-3 / _CALLS)
        return samples[3:]

    def _random(self, dtype: str, *shape: int) -> Any:
        """A tensor on the card in a format."""
        torch, kind = self._torch, self._formats[dtype]
        if kind is None:
            raise ValueError(dtype)
        if dtype == "int8":
            return torch.randint(-8, 8, shape, device="cuda", dtype=torch.int8)
        return torch.randn(shape, device="cuda", dtype=torch.float32).to(kind)

    def _gemm(self, a: dict[str, Any]) -> Callable[[int], Any]:
        torch, dtype = self._torch, str(a["dtype"])
        x = self._random(dtype, a["m"], a["k"])
        weights = [self._random(dtype, a["n"], a["k"]).t() for _ in range(_COPIES)]
        if dtype == "int8":
            return lambda number: torch._int_mm(x, weights[number])
        if dtype == "fp8_e4m3":
            one = torch.ones((), device="cuda")
            return lambda number: torch._scaled_mm(
                x, weights[number], scale_a=one, scale_b=one, out_dtype=torch.bfloat16
            )
        return lambda number: torch.mm(x, weights[number])

    def _rows(self, a: dict[str, Any]) -> Callable[[int], Any] | None:
        torch, width = self._torch, int(a["width"])
        x, y = (self._random(str(a["dtype"]), a["tokens"], width) for _ in range(2))
        gain = self._random(str(a["dtype"]), width)
        out, functional = torch.empty_like(x), torch.nn.functional
        calls: dict[str, Callable[[int], Any]] = {
            "rmsnorm": lambda _: functional.rms_norm(x, (width,), gain, 1e-5),
            "layernorm": lambda _: functional.layer_norm(x, (width,), gain, gain),
            "softmax": lambda _: torch.softmax(x, -1),
            "add": lambda _: torch.add(x, y, out=out),
            "gelu": lambda _: functional.gelu(x),
            "copy": lambda _: out.copy_(x),
        }
        return calls.get(str(a["op"]))

    def _attention(self, a: dict[str, Any]) -> Callable[[int], Any]:
        attend, dtype = self._torch.nn.functional.scaled_dot_product_attention, str(a["dtype"])
        q = self._random(dtype, a["batch"], a["heads"], a["q_len"], a["head_dim"])
        caches = [
            [self._random(dtype, a["batch"], a["kv_heads"], a["kv_len"], a["head_dim"]) for _ in range(2)]
            for _ in range(_COPIES)
        ]
        causal, grouped = a["phase"] == "prefill", a["heads"] != a["kv_heads"]
        return lambda number: attend(q, *caches[number], is_causal=causal, enable_gqa=grouped)

    def _conv1d(self, a: dict[str, Any]) -> Callable[[int], Any]:
        convolve = import_module("causal_conv1d").causal_conv1d_fn
        x = self._random(str(a["dtype"]), a["batch"], a["channels"], a["seq_len"])
        weight = self._random(str(a["dtype"]), a["channels"], a["d_conv"])
        return lambda _: convolve(x, weight)

    def _scan(self, a: dict[str, Any]) -> Callable[[int], Any]:
        scan = import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
        dtype, heads, states = str(a["dtype"]), a["heads"], a["d_state"]
        x = self._random(dtype, a["batch"], a["seq_len"], heads, a["head_dim"])
        dt = self._random(dtype, a["batch"], a["seq_len"], heads)
        b, c = (self._random(dtype, a["batch"], a["seq_len"], 1, states) for _ in range(2))
        decay = -self._random("fp32", heads).abs()
        return lambda _: scan(x, dt, decay, b, c, chunk_size=a["chunk"])


_BUILDERS: Final[dict[str, Callable[[TorchTimer, dict[str, Any]], Callable[[int], Any] | None]]] = {
    "gemm": TorchTimer._gemm,
    "norm": TorchTimer._rows,
    "softmax": TorchTimer._rows,
    "elementwise": TorchTimer._rows,
    "attention": TorchTimer._attention,
    "conv1d": TorchTimer._conv1d,
    "scan": TorchTimer._scan,
}
