"""Predictors of papers about several cards: sequence parallelism of linear attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import KernelResult, kernel
from hwsim.published.arguments import Arguments, count, text
from hwsim.published.runner import Prediction, Predictor
from hwsim.result import Constant
from hwsim.workload.kernel import build_kernel

__all__ = ["PREDICTORS"]

_TRAINING: Final = 3.0
"""Products of a training step over those of its forward pass: each is repeated for the gradients of both its inputs."""


@dataclass(frozen=True, slots=True)
class _Model:
    """A decoder with linear attention on one card's part of the sequence.

    Attributes:
        device: the cluster.
        cards: cards that divide the sequence.
        tokens: tokens of a card.
        layers: layers.
        d_model: width of the residual stream.
        d_ff: width of the gated MLP.
        heads: heads.
        head_dim: elements per head; a head's state is its square.
        vocab: columns of the head.
    """

    device: str
    cards: int
    tokens: int
    layers: int
    d_model: int
    d_ff: int
    heads: int
    head_dim: int
    vocab: int

    def run(self, kind: str, **values: str | int) -> KernelResult:
        """One kernel on a card, or between cards."""
        answer = kernel(build_kernel(kind, dict(values)), find_device(self.device))
        if isinstance(answer, Infeasible):
            raise HwsimError.at("predict.arguments", answer.reason, f"a kernel that {self.device} runs")
        return answer

    def product_s(self, n: int, k: int) -> float:
        """Forward time of a linear layer over a card's tokens."""
        return self.run("gemm", m=self.tokens, n=n, k=k).time_s

    def scan_s(self) -> float:
        """Forward time of linear attention within a card's tokens."""
        shape = {"heads": self.heads, "head_dim": self.head_dim, "d_state": self.head_dim}
        return self.run("scan", mixer="linear", phase="prefill", batch=1, seq_len=self.tokens, **shape).time_s

    def products_s(self) -> float:
        """Forward time of all linear layers and the head."""
        d, inner = self.d_model, self.d_ff
        layer = (
            self.product_s(3 * d, d) + self.product_s(d, d) + self.product_s(2 * inner, d) + self.product_s(d, inner)
        )
        return self.layers * layer + self.product_s(self.vocab, d)

    def state_bytes(self) -> int:
        """A layer's state of one sequence in 16 bits."""
        return 2 * self.heads * self.head_dim**2

    def lasp2_s(self) -> float:
        """Exchange of a step: a gather of all states in each direction, behind which the work within chunks hides."""
        gather = self.run("collective", op="all_gather", bytes=self.cards * self.state_bytes(), gpus=self.cards).time_s
        return 2.0 * self.layers * max(0.0, gather - 0.5 * self.scan_s())

    def lasp_s(self) -> float:
        """Exchange of a step: in each direction a chain over the cards, each of which adds its keys times values."""
        message = self._message(self.state_bytes())
        update = self.run("gemm", m=self.head_dim, n=self.head_dim, k=self.tokens, batch=self.heads).time_s
        return 2.0 * self.layers * (self.cards - 1) * (message + update)

    def ring_s(self) -> float:
        """Softmax attention in a ring: each step a block (half of it causal) and the next keys and values; thrice."""
        shape = {"batch": 1, "heads": self.heads, "kv_heads": self.heads, "head_dim": self.head_dim}
        lengths = {"q_len": self.tokens, "kv_len": self.tokens}
        block = self.run("attention", phase="bidirectional", **shape, **lengths).time_s
        message = self._message(2 * 2 * self.tokens * self.d_model)
        return _TRAINING * self.layers * (self.cards - 1) * max(0.5 * block, message)

    def _message(self, count: int) -> float:
        """A message to the next card, some of which sit in another node: a ring waits for the slowest."""
        return self.run("collective", op="send_recv", bytes=count, gpus=2, link="infiniband").time_s


def sequence_parallel_ratio(arguments: Arguments) -> Prediction:
    """Time of a training step with ``baseline`` (lasp or ring) over that with LASP-2."""
    names = ("cards", "layers", "d_model", "d_ff", "heads", "head_dim", "vocab")
    values: dict[str, Any] = {name: count(arguments, name) for name in names}
    tokens = count(arguments, "sequence") // values["cards"]
    model = _Model(device=text(arguments, "device"), tokens=tokens, **values)
    work = _TRAINING * (model.products_s() + model.layers * model.scan_s())
    in_a_ring = text(arguments, "baseline") == "ring"
    slow = _TRAINING * model.products_s() + model.ring_s() if in_a_ring else work + model.lasp_s()
    return Prediction(slow / (work + model.lasp2_s()), "x", constants=_constants(model))


def _constants(model: _Model) -> tuple[Constant, ...]:
    answer = model.run("collective", op="all_gather", bytes=1024, gpus=model.cards)
    return (*answer.fitted, *answer.assumed)


PREDICTORS: Final[dict[str, Predictor]] = {"sequence_parallel_ratio": sequence_parallel_ratio}
