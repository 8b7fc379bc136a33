"""Recurrent mixers and their causal convolution: chunked scans as several kernels, one-token updates as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.devices.gpu.estimate import Estimate, Setting, l2_bytes, limiter
from hwsim.devices.gpu.paths import rate_of

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["chunk_flop", "conv_estimate", "conv_time_s", "scan_estimate"]

_KERNELS: Final = {"mamba2": 5, "gla": 5, "gdn": 6, "linear": 3, "mamba1": 1}
"""Kernels of a chunked prefill: cumulative decay, chunk states, state passing, scores, output (mamba_ssm ssd_combined,
also in TensorRT-LLM, SGLang and vLLM); GLA: decay, states, scores between and within sub-chunks, output; gated delta
rule: also the triangular inverse and its products (flash-linear-attention)."""

_PASSES: Final = {"gla": 2.0, "gdn": 4.0, "linear": 2.0}
"""Times that inputs and outputs move between memory and the kernels; the delta rule stores its transformed keys and
values, and reads them twice."""

_FP32_STATE: Final = frozenset({"gla", "gdn", "linear"})

_CHUNK: Final = {"gla": 64, "gdn": 64, "linear": 64, "mamba2": 128, "mamba1": 0}
"""Chunk lengths of the libraries where the op names none."""

_ROWS: Final = 64
"""Rows of a chunk that a thread block takes: blocks of rows skip what lies after them (Triton tiles of 64 by 64)."""

_SUB_CHUNK: Final = 16
"""Positions within which GLA's scores take an exponential for each pair and element, on SFUs and ALUs; the others go
through tensor cores (Yang et al. 2024, section 4.3: secondary chunks)."""


_SELECTIVE_OPS: Final = 9.0
"""fp32 instructions of Mamba-1's scan beside the exponential, counted from selective_scan_fwd_kernel: convert b and c
(2), dt*A, dt*u*b (2), the block scan up and down (2 each: decays and sums), y += h*c (1)."""


@dataclass(frozen=True, slots=True)
class _Chunks:
    """What the kernels of a chunked scan do.

    Attributes:
        flop: operations of the tensor cores.
        exponentials: exponentials on the SFUs.
        fp32_ops: fp32 operations beside them.
        bytes: moved, all kernels together.
        chain_s: the pass that carries the state from chunk to chunk.
        apart_s: kernels whose time adds to that of the others.
        blocks: thread blocks of the kernel of the products.
    """

    flop: float
    exponentials: float
    fp32_ops: float
    bytes: float
    chain_s: float
    apart_s: float
    blocks: float


def chunk_flop(mixer: str, tokens: float, heads: float, chunk: float, d_state: float, head_dim: float) -> float:
    """Tensor-core operations of a chunked scan: scores, output within chunks, states and output across chunks.

    Per token and head: 2*C*d_state + 2*C*head_dim + 4*d_state*head_dim (Yang et al. 2024, section 4); the delta rule
    adds the key products and the triangular solve of the WY form, 2*C*d_state + 2*C*(d_state + head_dim).
    """
    per_token = 2.0 * chunk * (d_state + head_dim) + 4.0 * d_state * head_dim
    if mixer == "gdn":
        per_token += 2.0 * chunk * (2.0 * d_state + head_dim)
    return tokens * heads * per_token


def conv_time_s(p: GpuParameters, phase: str, batch: float, channels: float, moved_bytes: float) -> Any:
    """Time of a causal depthwise convolution.

    Dao's kernel starts a thread block for each sequence and channel, whose start and end fill the card long before
    bandwidth does; kernels that give many channels to a block are bound by bandwidth alone.
    """
    s = p.software.scan
    hot = np.minimum(moved_bytes, l2_bytes(p)) * s.conv_cached.value
    if phase == "decode":
        stream = (moved_bytes - hot) / (p.stream_bytes_s * s.stream.value) + hot / p.l2.bandwidth.value
        return s.update_floor.value + stream
    rate = p.stream_bytes_s * s.conv_stream.value
    stream = (moved_bytes - hot) / rate + hot / (p.l2.bandwidth.value * s.conv_stream.value)
    blocks = batch * channels * s.conv_block.value / p.chip.sms.value
    return s.conv_floor.value + np.hypot(stream, blocks)


def conv_estimate(p: GpuParameters, op: Op) -> Estimate:
    """Time of a conv1d op."""
    moved = 1.0 * sum(op.bytes_by_role.values())
    phase, d = str(op.attributes.get("phase", "prefill")), op.dims
    time = np.maximum(conv_time_s(p, phase, d["batch"], d["channels"], moved), moved / p.l2.bandwidth.value)
    floor = p.software.scan.update_floor.value if phase == "decode" else p.software.scan.conv_floor.value
    bound = limiter((floor > 0.5 * time, "latency"), otherwise="memory")
    return Estimate(time, bound, {"dram": np.maximum(0.0, moved - l2_bytes(p))}, alu_ops=2.0 * op.macs + op.other_ops)


def scan_estimate(p: GpuParameters, op: Op, setting: Setting) -> Estimate:
    """Time of a scan op: chunked on the tensor cores, token by token (Mamba-1), or one step of decoding."""
    if op.attributes["phase"] == "decode":
        return _update(p, op, setting)
    moved = 1.0 * sum(op.bytes_by_role.values())
    return _selective(p, op, moved) if op.attributes["mixer"] == "mamba1" else _chunked(p, op, moved)


def _split(p: GpuParameters, moved: float, share: float, l2_share: float) -> tuple[Any, Any]:
    """(seconds, bytes that miss L2) of traffic: what exceeds L2 goes at the memory's rate."""
    hot = np.minimum(moved, l2_bytes(p))
    cold = moved - hot
    return cold / (p.stream_bytes_s * share) + hot / (p.l2.bandwidth.value * l2_share), cold


def _update(p: GpuParameters, op: Op, setting: Setting) -> Estimate:
    """One step of decoding, a Triton kernel: state read and written once; linear attention holds it in fp32.

    In a model the other layers' weights have passed through L2 since the last step: the state comes from memory.
    """
    s, mixer = p.software.scan, str(op.attributes["mixer"])
    moved: Any = 1.0 * sum(op.bytes_by_role.values())
    stream: Any
    cold: Any
    if mixer in _FP32_STATE:
        moved += 2.0 * (4.0 * op.state_elements) - op.bytes_by_role["state"]
    stream, cold = moved / (p.stream_bytes_s * s.state_stream.value), moved
    if setting.replayed:
        stream, cold = _split(p, moved, s.state_stream.value, s.state_l2.value)
    floor = s.state_floor.value
    least = np.maximum(cold / p.memory.bandwidth.value, moved / p.l2.bandwidth.value)
    time = np.maximum(floor + stream, least)
    bound = limiter((floor > 0.5 * time, "latency"), otherwise="memory")
    return Estimate(time, bound, {"dram": cold}, alu_ops=_alu(op))


def _ssd(p: GpuParameters, op: Op, chunk: int) -> _Chunks:
    """Mamba-2's kernels, counted from mamba_ssm's Triton sources. No row calibrates them.

    Scores are one product for each group, in fp32; each head scales its lower triangle by decays (one exponential a
    score). States are written in fp32, passed on from chunk to chunk, and read in 16 bits. Passing is elementwise: a
    chunk waits for the load and the store of the one before, as a thread of the rotary kernel does.
    """
    d, chip = op.dims, p.chip
    groups, heads, n, dim = d["groups"], d["groups"] * d["group"], d["d_state"], d["head_dim"]
    chunks = d["batch"] * -(-d["seq_len"] // chunk)
    tokens, seen = chunks * chunk, 0.5 * (chunk + min(chunk, _ROWS))
    products = groups * chunk * n + heads * (seen * dim + 2.0 * n * dim)
    scores = tokens * heads * seen * np.maximum(1.0, dim / 64.0)
    element = op.output.bytes(op.dims) / (d["batch"] * d["seq_len"] * heads * dim)
    moved = element * (3.0 * heads * dim + 4.0 * groups * n + heads) + 20.0 * heads + 8.0 * groups * chunk
    states = (4.0 + element) * chunks * heads * n * dim
    chain = chunks / d["batch"] * p.software.vector.rotary.step.value / chip.tensor_clock.value
    share = p.software.scan.chunk_stream.value
    passing = np.maximum(chain, _split(p, states, share, share)[0])
    blocks = chunks * heads * np.ceil(chunk / _ROWS) * np.ceil(dim / 64)
    return _Chunks(2.0 * tokens * products, scores, 6.0 * scores, tokens * moved + states, 0.0, passing, blocks)


def _linear(p: GpuParameters, op: Op, chunk: int) -> _Chunks:
    """Kernels of linear attention and of its gated and delta-rule forms (flash-linear-attention).

    Their pass over chunks holds a product each; thread blocks take a head and 64 of its channels. GLA's scores within
    sub-chunks are a kernel without tensor cores.
    """
    d, s, chip = op.dims, p.software.scan, p.chip
    mixer, heads = str(op.attributes["mixer"]), d["groups"] * d["group"]
    chunks = -(-d["seq_len"] // chunk)
    tokens = d["batch"] * chunks * chunk
    flop = chunk_flop(mixer, tokens, heads, chunk, d["d_state"], d["head_dim"])
    states = 4.0 * d["batch"] * heads * d["d_state"] * d["head_dim"]
    flowing = 1.0 * sum(op.bytes_by_role.values()) - op.bytes_by_role["state"]
    waves = np.maximum(1.0, np.ceil(d["batch"] * heads * d["head_dim"] / 64 / (2.0 * chip.sms.value)))
    pairs = 1.0 * tokens * heads * _SUB_CHUNK * d["d_state"] * (mixer == "gla")
    lanes = pairs * (1.0 / chip.sfu_lanes.value + 4.0 / chip.fp32_lanes.value)
    apart = lanes / (chip.sms.value * chip.tensor_clock.value)
    moved = _PASSES[mixer] * flowing + (1.5 * chunks + 2.0) * states
    return _Chunks(flop, 0.0, 0.0, moved, chunks * s.step.value * waves, apart, chip.sms.value)


def _chunked(p: GpuParameters, op: Op, moved: float) -> Estimate:
    """A chunked scan: products of whole chunks, traffic of operands and chunk states, and the chain of chunk states.

    The state goes from chunk to chunk one after the other, so that one long sequence with few heads waits for the
    chain whatever the card.
    """
    s, chip = p.software.scan, p.chip
    mixer = str(op.attributes["mixer"])
    chunk = int(op.attributes.get("chunk", 0)) or _CHUNK[mixer]
    work = _ssd(p, op, chunk) if mixer == "mamba2" else _linear(p, op, chunk)
    sms, clock = chip.sms.value, chip.tensor_clock.value
    tensor = max(rate_of(p, "bf16") or 0.0, rate_of(p, "fp16") or 0.0, rate_of(p, "fp32") or 1.0)
    lanes = work.exponentials / chip.sfu_lanes.value + work.fp32_ops / chip.fp32_lanes.value
    filled = work.blocks / (sms * np.ceil(work.blocks / sms))
    compute = (work.flop / (tensor * s.chunk_share.value) + lanes) / (sms * filled * clock)
    memory, cold = _split(p, work.bytes, s.chunk_stream.value, s.chunk_stream.value)
    floors = _KERNELS[mixer] * s.floor.value
    time = floors + (compute**3 + memory**3 + work.chain_s**3) ** (1.0 / 3.0) + work.apart_s
    most = np.maximum(np.maximum(compute, memory), work.chain_s)
    waits = (floors > 0.5 * time) | (work.chain_s == most)
    bound = limiter((waits, "latency"), (compute == most, "tensor"), otherwise="memory")
    time = np.maximum(time, moved / p.l2.bandwidth.value)
    return Estimate(time, bound, {"dram": cold}, work.flop, 1.0 * op.other_ops, "bf16")


def _selective(p: GpuParameters, op: Op, moved: float) -> Estimate:
    """Mamba-1's scan, on SFUs and ALUs: an exponential and `_SELECTIVE_OPS` for each state element and token."""
    d, s, chip = op.dims, p.software.scan, p.chip
    elements = 1.0 * d["batch"] * d["seq_len"] * d["groups"] * d["group"] * d["head_dim"] * d["d_state"]
    per_clock = 1.0 / chip.sfu_lanes.value + _SELECTIVE_OPS / chip.fp32_lanes.value
    work = elements * per_clock / (chip.sms.value * chip.tensor_clock.value)
    memory = moved / (p.stream_bytes_s * s.stream.value)
    time = s.floor.value + np.maximum(work, memory)
    bound = limiter((s.floor.value > 0.5 * time, "latency"), (work > memory, "alu"), otherwise="memory")
    time = np.maximum(time, moved / p.memory.bandwidth.value)
    return Estimate(time, bound, {"dram": moved}, alu_ops=_alu(op))


def _alu(op: Op) -> float:
    return 2.0 * op.macs + op.other_ops
