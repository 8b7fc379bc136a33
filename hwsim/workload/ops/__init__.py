"""One constructor per kind of op, with the kernel arguments that a user types."""

from hwsim.workload.ops.attention import attention, rope_apart, with_sinks
from hwsim.workload.ops.collective import collective
from hwsim.workload.ops.linear import conv2d, embedding, gemm, with_bias
from hwsim.workload.ops.recurrent import conv1d, scan
from hwsim.workload.ops.vector import elementwise, norm, softmax

__all__ = [
    "attention",
    "collective",
    "conv1d",
    "conv2d",
    "elementwise",
    "embedding",
    "gemm",
    "norm",
    "rope_apart",
    "scan",
    "softmax",
    "with_bias",
    "with_sinks",
]
