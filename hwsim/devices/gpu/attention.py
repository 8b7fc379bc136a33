"""Attention: from a card, its stack and a kernel's form to the closed forms of `hwsim.kernels.gpu_attention`.

Latents (`hwsim.kernels.gpu_latent`) have kernels of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.gpu.estimate import ALONE, Estimate, Setting, l2_bytes, limiter
from hwsim.devices.gpu.paths import TensorPath, rate_of, tensor_path
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import Attention
    from hwsim.kernels.gpu_attention import AttentionPath
    from hwsim.workload.op import Op

__all__ = ["FORMS", "LATENT_FORMS", "Form", "attention_estimate", "attention_path", "form_named"]

_MMA_SYNC: Final = {"wgmma": 0.5, "tcgen05": 0.25}
"""Rate of `mma.sync` over that of the generation's own issue path: both keep Ampere's 2,048 operations per clock and SM
(FlashAttention-2 reaches 339 of 989 TFLOP/s on H100, 440 of 2,250 on GB200, softmax included)."""

_PLAIN_HEAD: Final = 64
"""Heads of so many elements take the kernel of 16-bit caches with an 8-bit one too: its floor, and room for one thread
block more on an SM (H100, TensorRT-LLM: 2,048 and more streams of a group of 2 to 4 heads)."""

_DECODE_WIDTHS: Final = (64, 128, 256)
"""Elements of a head that decode kernels are built for (TensorRT-LLM's XQA)."""

_LIMITS: Final = {"tensor": "tensor", "softmax": "alu", "memory": "memory", "latency": "latency"}


@dataclass(frozen=True, slots=True)
class Form:
    """A published attention kernel: formats of its two products, and the work between them.

    Attributes:
        qk: format of q . k^T; empty for the op's own.
        pv: format of p . v; empty for the op's own.
        pv_acc: accumulator of p . v: auto or fp16.
        fp32_ops: fp32-lane instructions for each score: scale and subtract, running maximum, sum, convert p; integer
            scores add a convert and a dequantising multiply. They and the exponential share the issue slots, one a lane
            and clock. Rescaling the result adds one for each of its elements.
        block_q: queries of a thread block.
        least_q: queries that its tensor instructions cover at least.
        block_kv: key-value positions of a step.
        warp_specialised: whether warps that load feed those that compute (FA3); thread blocks then fill an SM and stay.
        issue: mma or wgmma.
        over_cache: whether it reads keys and values from a paged cache, looking each step's pages up; the heads of a
            group then fill the rows of a block when there is one query (vLLM's FlashAttention-2).
        widths: elements of a head that the kernel is built for; heads between them are padded in its tiles.
        begin_steps: steps that beginning and ending a part of a sequence takes, of latents.
    """

    qk: str = ""
    pv: str = ""
    pv_acc: str = "auto"
    fp32_ops: float = 4.0
    block_q: int = 128
    least_q: int = 128
    block_kv: int = 64
    warp_specialised: bool = False
    issue: str = "mma"
    over_cache: bool = False
    widths: tuple[int, ...] = (32, 64, 96, 128, 192, 256)
    begin_steps: float = 0.0


FORMS: Final[dict[str, Form]] = {
    "fa2": Form(),
    "fa2-paged": Form(block_q=64, least_q=64, block_kv=128, over_cache=True),
    "paged": Form(block_q=64, least_q=16),
    "fa3": Form(least_q=64, block_kv=128, warp_specialised=True, issue="wgmma", widths=(64, 128, 192, 256)),
    "sage1": Form("int8", "fp16", "fp16", fp32_ops=6.0),
    "sage2-8b": Form("int8", "fp8_e4m3", fp32_ops=7.0),
    "sage2-4b": Form("int4", "fp8_e4m3", fp32_ops=7.0),
    "sage2++-8b": Form("int8", "fp8_e4m3", "fp16", fp32_ops=7.5),
    "sage2++-4b": Form("int4", "fp8_e4m3", "fp16", fp32_ops=7.5),
}
"""Kernels by name: FlashAttention 2 and 3 (Dao 2023, Shah et al. 2024), SageAttention 1, 2 and 2++ (Zhang et al. 2024,
2025: tiles of 128 x 64, formats as the papers give them). ``fa2-paged`` is FlashAttention-2's kernel for a cache in
pages (tiles of 64 x 128 for heads of 128). ``paged`` is the prefill over a paged cache in engines of 2023; its tiles of
64 x 64 are inferred from rows. ``eager`` is three kernels: scores, softmax, product."""


LATENT_FORMS: Final[dict[str, Form]] = {
    "flash-mla": Form(block_q=64, least_q=64, issue="wgmma", begin_steps=5.0),
    "triton-mla": Form(block_q=16, least_q=16, block_kv=32, begin_steps=5.0),
}
"""Kernels over latents. ``flash-mla``: deepseek-ai/FlashMLA (64 rows, pages of 64 positions, and its scheduler's
``fixed_overhead_num_blocks``), which engines run on Hopper; cards of data centres after it have others, taken as alike.
``triton-mla``: vLLM's ``_fwd_grouped_kernel_stage1`` (16 heads, 32 positions), on cards without warp groups; that its
parts begin as FlashMLA's is assumed."""


_WARPGROUP_FORMS: Final = {
    "sage2-8b": Form("int8", "fp8_e4m3", fp32_ops=7.0, block_q=64, least_q=64, block_kv=128, issue="wgmma"),
}
"""Kernels that ship a version of their own for cards that issue by warp groups (SageAttention's for sm90)."""


def form_named(p: GpuParameters, name: str) -> Form:
    """The form of a kernel's name; ``auto`` is the stack's own.

    Raises:
        HwsimError: there is none.
    """
    wanted = p.software.attention.kernel if name == "auto" else name
    if wanted not in FORMS:
        raise HwsimError.unknown_name("attention", "kernel", name, ("auto", "eager", *FORMS))
    return _WARPGROUP_FORMS.get(wanted, FORMS[wanted]) if p.issue == "wgmma" else FORMS[wanted]


def latent_form(p: GpuParameters, name: str) -> Form:
    """The form of a kernel over latents; ``auto`` is what the card's engines run.

    Raises:
        HwsimError: there is none.
    """
    if name != "auto" and name not in LATENT_FORMS:
        raise HwsimError.unknown_name("attention over latents", "kernel", name, ("auto", "eager", *LATENT_FORMS))
    own = "flash-mla" if p.issue in _MMA_SYNC else "triton-mla"
    return LATENT_FORMS[own if name == "auto" else name]


def _block_kv(form: Form, head_dim: int, value_dim: int, bits: int) -> int:
    """Key-value positions of a prefill's step: warp-specialised kernels fill their buffers, 64 to 256 positions.

    256 up to heads of 64, 128 up to values of 128, 64 above; twice that for 8 bits, 256 at most. The first step is that
    of TensorRT-LLM's fmha_v2 for Hopper; 128 positions for keys of 192 with values of 128 are FlashAttention-3's
    (tile_size.h); the others are assumed (their figures agree with the rows used for calibration).
    """
    if not form.warp_specialised:
        return form.block_kv if head_dim <= 128 else min(64, form.block_kv)
    step = 256 if head_dim <= 64 else 128 if value_dim <= 128 and head_dim <= 192 else 64
    return min(256, step * (2 if bits <= 8 else 1))


def _products(p: GpuParameters, dtype: str, kv_dtype: str, own: bool) -> str:
    """Format of the two products of a prefill: the op's, or the cache's where the stack quantises q with it."""
    narrower = FORMATS[kv_dtype].bits < FORMATS[dtype].bits
    return kv_dtype if own and narrower and p.software.attention.cache_products.value > 0.0 else dtype


def attention_path(
    p: GpuParameters,
    dtype: str,
    kv_dtype: str,
    form: Form,
    head_dim: int,
    setting: Setting = ALONE,
    prefill: bool = False,
    writes: bool = False,
    value_dim: int = 0,
) -> AttentionPath | Infeasible:
    """Constants of the closed forms for a card, formats and a kernel, or why the card cannot run it.

    ``prefill``: prompts and images, not decode steps. ``writes``: whether the op, as engines run it, also rotates q and
    k and writes the cache. ``value_dim``: elements of a value, 0 for ``head_dim``. What a stack's kernel was found to
    reach holds for kernels that issue alike; `mma.sync` on a card of warp groups runs at its rated share, each product
    waiting for the softmax before it.
    """
    from hwsim.kernels.gpu_attention import AttentionPath  # noqa: PLC0415 - brings in numba

    a = p.software.attention
    stacks_own = FORMS[a.kernel] if a.kernel != "eager" else FORMS["fa2"]
    own = form is stacks_own
    product = _products(p, dtype, kv_dtype, own and prefill)
    qk = tensor_path(p, form.qk or product, form.qk or product)
    pv = tensor_path(p, form.pv or product, form.pv or product, form.pv_acc)
    if isinstance(qk, Infeasible):
        return qk
    if isinstance(pv, Infeasible):
        return pv
    narrow = FORMATS[product].bits <= 8
    alike = form.issue == stacks_own.issue
    share = a.tensor_share.value if alike else 1.0
    share *= _MMA_SYNC.get(p.issue, 1.0) if form.issue == "mma" else 1.0
    share *= a.narrow_share.value if narrow and own else 1.0
    clock, sms, boost = p.chip.tensor_clock.value, p.chip.sms.value, p.chip.boost_clock.value
    lane_s = 1.0 / (p.chip.fp32_lanes.value * clock)
    return AttentionPath(
        sms=sms,
        qk_flop_s=qk.flop_per_clock * clock * share,
        pv_flop_s=pv.flop_per_clock * clock * share,
        peak_qk_flop_s=sms * qk.flop_per_clock * boost,
        peak_pv_flop_s=sms * pv.flop_per_clock * boost,
        softmax_s=max(1.0 / (p.chip.sfu_lanes.value * clock), (form.fp32_ops + 1.0) * lane_s),
        rescale_s=lane_s,
        qk_spare=_spare(p, qk, form),
        pv_spare=_spare(p, pv, form),
        own_step=a.own_step.value if own else 1.0,
        window_step=1.0 if not own else a.narrow_window_step.value if narrow else a.window_step.value,
        page_s=a.page_step.value / clock if form.over_cache else 0.0,
        block_s=a.block.value / clock if alike else 0.0,
        element_s=a.element.value / (form.block_q * clock) if alike else 0.0,
        block_kv=float(_block_kv(form, head_dim, value_dim or head_dim, FORMATS[product].bits)),
        occupancy=1.0 if form.warp_specialised and prefill else 2.0,
        floor_s=a.floor.value + (a.write_floor.value if writes else 0.0),
        **_tiles(form, head_dim, value_dim or head_dim),
        **_decode(a, FORMATS[kv_dtype].bits <= 8, head_dim),
        **_traffic(p, (product, kv_dtype, dtype), setting, prefill, writes),
    )


def _spare(p: GpuParameters, path: TensorPath, form: Form) -> float:
    """Share of a product's time in which other instructions issue: what a board that halves products leaves.

    None at full rate (A100's FlashAttention-2 hides no softmax), half with fp32 sums on GeForce (RTX 4090's hides all).
    Products of warp groups run at full rate.
    """
    wide = max(rate_of(p, name) or 0.0 for name in ("fp16", "bf16", "fp16_acc16"))
    full = {"fp8": "fp8_acc16"}.get(path.name, path.name)
    rate = max(rate_of(p, full) or 0.0, wide if path.name in ("fp16", "bf16") else 0.0, path.flop_per_clock)
    return 1.0 - path.flop_per_clock / rate if form.issue == "mma" else 0.0


def _tiles(form: Form, head_dim: int, value_dim: int) -> dict[str, float]:
    """What a kernel's form alone decides."""
    return {
        "block_q": float(form.block_q),
        "least_q": float(form.least_q),
        "decode_kv": float(form.block_kv if head_dim <= 128 else min(64, form.block_kv)),
        "tile_dim": float(next((wide for wide in form.widths if wide >= head_dim), head_dim)),
        "value_tile": float(next((wide for wide in form.widths if wide >= value_dim), value_dim)),
        "value_share": value_dim / head_dim,
        "begin_steps": form.begin_steps,
        "persistent": float(form.warp_specialised),
        "folds": float(form.over_cache),
    }


def _decode(a: Attention, narrow: bool, head_dim: int) -> dict[str, float]:
    """Constants of decode kernels; ``narrow``: with a cache of 8 bits and less."""
    plain = head_dim <= _PLAIN_HEAD
    resident = a.narrow_resident.value + (plain and a.narrow_resident.value > 1)
    return {
        "decode_floor_s": a.decode_floor.value,
        "shared_floor_s": (a.narrow_floor if narrow and not plain else a.decode_floor).value,
        "shared_resident": float(resident) if narrow else 1.0,
        "shared_rows": a.narrow_elements.value / next((wide for wide in _DECODE_WIDTHS if wide >= head_dim), head_dim),
        "step_s": a.step.value,
        "shared_step_s": a.shared_step.value,
        "shared_row_s": a.shared_row.value / 1024.0,
        "swap_s": a.swap.value,
        "splits_single": a.splits_single.value,
        "combine_s": a.combine.value,
        "shared_combine_s": (a.narrow_combine if narrow else a.combine).value,
        "cta_bytes_s": a.cta_bytes.value,
        "head_bytes_s": a.head_bytes.value,
        "shared_heads": a.shared_heads.value,
    }


def _traffic(
    p: GpuParameters, formats: tuple[str, str, str], setting: Setting, prefill: bool, writes: bool
) -> dict[str, float]:
    """Bandwidths, and bytes of an element by what it is; ``formats`` of q in the products, the cache and the op."""
    v, a = p.software, p.software.attention
    q_bytes, kv_bytes, out_bytes = (FORMATS[each].bits_per_element / 8.0 for each in formats)
    source = max(2.0, out_bytes)
    return {
        "dram_bytes_s": p.stream_bytes_s * (v.dram_share if prefill else v.vector.stream).value,
        "peak_dram_bytes_s": p.memory.bandwidth.value,
        "l2_bytes": l2_bytes(p) if setting.replayed else 1.0,
        "l2_bytes_s": p.l2.bandwidth.value * v.vector.l2_share.value,
        "peak_l2_bytes_s": p.l2.bandwidth.value,
        "q_bytes": q_bytes,
        "out_bytes": out_bytes,
        "kv_bytes": kv_bytes,
        "write_bytes": (source + q_bytes) * a.write_q.value if writes else 0.0,
        "write_kv_bytes": source + kv_bytes if writes else 0.0,
        "write_bytes_s": p.stream_bytes_s * a.write_share.value,
    }


def attention_estimate(p: GpuParameters, op: Op, setting: Setting) -> Estimate | Infeasible:
    """Time of an attention op."""
    from hwsim.kernels.gpu_attention import BOUNDS, decode_times, prefill_times  # noqa: PLC0415 - brings in numba
    from hwsim.kernels.gpu_latent import latent_times  # noqa: PLC0415 - likewise

    name = str(op.attributes.get("kernel", "auto"))
    if name == "eager" or (name == "auto" and p.software.attention.kernel == "eager"):
        return _eager(p, op)
    d, phase = op.dims, str(op.attributes.get("phase", "prefill"))
    dtype, kv_dtype = op.output.format, op.operand("k").format
    latent = bool(op.attributes.get("latent"))
    form = (latent_form if latent else form_named)(p, name)
    window = int(op.attributes.get("window", 0))
    prefill = phase != "decode" and not latent
    writes = name == "auto" and phase == "prefill" and op.operand("k").role == "cache" and not latent
    value = d.get("v_head_dim", d["head_dim"])
    path = attention_path(p, dtype, kv_dtype, form, d["head_dim"], setting, prefill, writes, value)
    if isinstance(path, Infeasible):
        return path
    shape = (d["batch"], d["kv_heads"] * d["group"], d["kv_heads"], d["q_len"], d["kv_len"], d["head_dim"])
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (*shape, window)))
    batch, heads, kv_heads, q, kv, dim, near = (np.ascontiguousarray(each) for each in columns)
    rows = (batch, heads, kv_heads, q, kv, dim, near)
    if prefill:
        times, bounds = prefill_times(*rows, phase == "prefill", path)
    else:
        times, bounds = (latent_times if latent else decode_times)(*rows, path)
    limits = _LIMITS | {"tensor": _multiplier(op)}
    names: Any = np.array([limits[each] for each in BOUNDS], dtype=object)[bounds]
    moved = 1.0 * sum(op.bytes_by_role.values())
    time: Any = times
    if not np.ndim(moved):
        time, names = times[0], names[0]
    return Estimate(time, names, {"dram": moved}, 2.0 * op.macs, 1.0 * op.other_ops, "attention")


def _multiplier(op: Op) -> str:
    """The resource that multiplies: tensor cores, the ALUs for fp32."""
    return "alu" if op.output.format == "fp32" else "tensor"


def _eager(p: GpuParameters, op: Op) -> Estimate | Infeasible:
    """Scores written to memory, softmax over them, the second product: three kernels, and the cache copied whole.

    Each eager step concatenates the new keys and values to the cache (read and write of all of it) and repeats them
    for each query head of a group (Hugging Face's DynamicCache and repeat_kv). Latents have no copies.
    """
    d, v = op.dims, p.software
    heads = d["kv_heads"] * d["group"]
    bits = FORMATS[op.output.format].bits / 8.0
    scores = 1.0 * d["batch"] * heads * d["q_len"] * d["kv_len"]
    widths = d["head_dim"] + d.get("v_head_dim", d["head_dim"])
    cache = 1.0 * d["batch"] * d["kv_heads"] * d["kv_len"] * bits
    if op.attributes.get("latent"):
        copies, read = 2.0 * cache * d["head_dim"], cache * widths
    else:
        copies = 2.0 * cache * widths + (1.0 + d["group"]) * cache * widths * (d["group"] > 1)
        read = d["group"] * cache * widths
    moved = copies + read + scores * (4.0 * bits + 8.0)
    rate = rate_of(p, op.output.format) or rate_of(p, "fp32") or 1.0
    flop = 2.0 * scores * widths
    clock = p.chip.tensor_clock.value
    compute = flop / (p.chip.sms.value * rate * clock * v.gemm.tensor_share.value)
    memory = moved / (p.stream_bytes_s * v.dram_share.value * v.vector.stream.value)
    floors = 7.0 * v.vector.floor.value
    bound = limiter((floors > compute + memory, "latency"), (memory > compute, "memory"), otherwise=_multiplier(op))
    return Estimate(floors + compute + memory, bound, {"dram": moved}, flop, 5.0 * scores, "attention")
