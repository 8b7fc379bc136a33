"""A step of training as graphs: forward, backward, optimizer; and what of it lives in memory between them.

Backward: a product has two gradients, each a product of as many multiply-accumulates (of the input, k columns; of the
weights, over the tokens). Attention has five products where the forward has two, the scores computed once more (Dao
2023). A convolution is one more for its input and one for its taps. A scan is run again, as its states are not kept,
and then has two gradients for each of its products (Gu and Dao 2023, section 3.3.2; Dao and Gu 2024). Row-wise ops read
the gradient beside what the forward read. Gradients flow in 16 bits at least; narrower products have passes of their
own (`hwsim.workload.training_passes`). The optimizer is Adam in one pass: per parameter it reads the gradient, the
moments and the fp32 weight, and writes the moments, the fp32 weight and the weight that runs, where no pass makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from hwsim.errors import HwsimError
from hwsim.formats import FORMATS
from hwsim.workload.graph import Graph
from hwsim.workload.named import Named
from hwsim.workload.op import Op
from hwsim.workload.ops import elementwise
from hwsim.workload.recipe import Recipe
from hwsim.workload.training_passes import (
    GRAD,
    QUANTIZE_W,
    Sources,
    after_input_gradient,
    after_weight_gradient,
    before_input_gradient,
    before_weight_gradient,
    flowing,
    is_narrow,
    passes_words,
    weight_passes,
)

__all__ = ["GRAD_WEIGHT", "TrainingGraphs", "forward_name", "training_graphs"]

GRAD_WEIGHT: Final = ".grad_w"
"""What follows the name of a product where its rows are the dimension that is summed over."""

_KINDS: Final = frozenset({"embedding", "norm", "softmax", "gemm", "attention", "elementwise", "conv1d", "scan"})
_WIDTH: Final = 4096


@dataclass(frozen=True, slots=True)
class TrainingGraphs:
    """The graphs of a step.

    Attributes:
        forward: the model over all tokens, with logits for each.
        backward: its gradients, last layer first.
        parameters: trained parameters.
        weight_width: bytes of a weight of the products that the optimizer writes for them.
        gradient_width: bytes of a gradient as it is kept.
        words: what is quantised beside the products, in a line; empty where nothing is.
    """

    forward: Graph
    backward: Graph
    parameters: int
    weight_width: float
    gradient_width: float
    words: str = ""

    def optimizer(self, recipe: Recipe, parameters: int) -> Graph:
        """Adam's pass over the parameters that one card updates."""
        graph = Graph(f"{self.forward.name} optimizer")
        kept = recipe.moments_bytes + recipe.master_bytes
        graph.add(_adam(parameters, self.gradient_width + kept, kept + self.weight_width))
        return graph


def training_graphs(prefill: Graph, recipe: Recipe | None = None) -> TrainingGraphs:
    """The step of a model whose prefill is given.

    Args:
        prefill: the model over a prompt.
        recipe: how it is trained.

    Raises:
        HwsimError: it holds an op whose gradient is not known here, or weights too narrow to be trained.
    """
    recipe = recipe or Recipe()
    ops = tuple(_all_tokens(prefill))
    for op in ops:
        _check(op, prefill.name)
    products = [op for op in ops if op.kind == "gemm"]
    forward, backward = Graph(f"{prefill.name} forward"), Graph(f"{prefill.name} backward")
    sources = Sources(prefill, ops)
    for op in ops:
        for part in (*weight_passes(op, sources, recipe), op):
            forward.add(part)
    for op in reversed(ops):
        for part in _product_gradients(op, sources, recipe) if op.kind == "gemm" else _gradients(op):
            backward.add(part)
    gradients = recipe.gradients or flowing(products[0].operand("a").format)
    weights = products[0].operand("b").format
    made = is_narrow(weights) and recipe.master
    return TrainingGraphs(
        forward,
        backward,
        sum(op.parameters for op in ops),
        0.0 if made else FORMATS[weights].bits_per_element / 8.0,
        FORMATS[gradients].bits_per_element / 8.0,
        passes_words(ops, recipe),
    )


def forward_name(name: str) -> str:
    """The name of the op of the forward that an op of the backward, or a pass beside it, belongs to."""
    return name.partition(GRAD)[0].removesuffix(QUANTIZE_W)


def _all_tokens(prefill: Graph) -> Iterator[Op]:
    """The ops with a head over every token: a prompt's prefill needs the logits of the last one only, and a cache."""
    rows = max((op.output.matrix(op.dims)[0] for op in prefill.ops if op.name == "embedding"), default=1)
    for op in prefill.ops:
        if op.name == "lm_head":
            yield replace(op, dims=op.dims.replace(m=rows))
        elif op.name != "last_token" and op.output.role != "cache":
            yield op


def _check(op: Op, name: str) -> None:
    if op.kind not in _KINDS:
        expected = "a language model: " + ", ".join(sorted(_KINDS))
        raise HwsimError.at(f"{name}: --phase train", f"{op.id}, of kind {op.kind}", expected)
    role = "experts" if "experts" in op.attributes else "weights"
    if op.kind == "gemm" and FORMATS[op.operand("b").format].bits < 4:
        expected = f"weights of 4 bits or more: --set workload.formats.{role}=bf16"
        raise HwsimError.at(f"{name}: --phase train", f"weights in {op.operand('b').format}", expected)
    if op.kind == "gemm" and FORMATS[op.operand("b").format].bits < FORMATS[op.operand("a").format].bits:
        found = f"{op.id} with {op.operand('b').format} weights and {op.operand('a').format} activations"
        expected = f"formats of one width: products of gradients need both: --set workload.formats.{role}=bf16"
        raise HwsimError.at(f"{name}: --phase train", found, expected)


def _gradients(op: Op) -> Iterator[Op]:
    """The ops of the backward that belong to one of the forward that is no product."""
    if op.kind == "attention":  # five products of the size of the forward's two: three by keys' width, two by values'
        d = op.dims
        wide = {"head_dim": 3 * d["head_dim"], "v_head_dim": 2 * d["v_head_dim"]} if "v_head_dim" in d else {}
        dims = d.replace(**(wide or {"head_dim": -(-d["head_dim"] * 5 // 2)}))
        yield replace(op, name=op.name + GRAD, dims=dims)
        return
    made = replace(op.output, format=flowing(op.output.format))
    gradient = replace(made, name="gradient", role="activation")
    whole = replace(op, name=op.name + GRAD, operands=(*op.operands[:-1], gradient, made))
    if op.kind == "conv1d":
        yield replace(whole, name=f"{op.name}{GRAD}_x")
        yield replace(op, name=f"{op.name}{GRAD}_taps")
    elif op.kind == "scan":
        yield replace(op, name=f"{op.name}{GRAD}_states")
        yield replace(whole, name=f"{op.name}{GRAD}_in")
        yield replace(whole, name=f"{op.name}{GRAD}_out")
    else:
        yield whole


def _product_gradients(op: Op, sources: Sources, recipe: Recipe) -> Iterator[Op]:
    """Gradients of the input, dx[m, k] = dy[m, n] . W, and of the weights, dW[n, k] = dy^T . x over the tokens.

    Experts keep their number: each has its own rows, and its own gradient.
    """
    d, a, b, out = op.dims, op.operand("a"), op.operand("b"), op.output
    kept = {name: each for name, each in op.attributes.items() if name != "bias"}
    plain = replace(op, attributes=Named(kept | {"quantize": "none"}))
    experts = d.get("expert", 1)
    of_input = d.replace(n=d["k"], k=d["n"])
    of_weights = d.replace(m=d["n"] * experts, n=d["k"], k=-(-d["m"] // experts))
    made = replace(out, format=flowing(a.format))
    yield from before_input_gradient(op)
    yield replace(plain, name=f"{op.name}{GRAD}_x", dims=of_input, operands=(a, b, made))
    yield from after_input_gradient(op, sources, recipe)
    yield from before_weight_gradient(op, sources)
    other = replace(b, role="activation", format=a.format, density=1.0, structure="dense", resident=None)
    yield replace(plain, name=op.name + GRAD_WEIGHT, dims=of_weights, operands=(a, other, made))
    yield from after_weight_gradient(op, recipe)


def _adam(parameters: int, read_bytes: float, written_bytes: float) -> Op:
    """One pass over gradients, moments and weights."""
    rows = max(1, -(-parameters // _WIDTH))
    read, written = (max(1, round(_WIDTH * each / 4.0)) for each in (read_bytes, written_bytes))
    op = elementwise("scale", rows, _WIDTH, "fp32", read_elems=read, write_elems=written)
    return replace(op, name="adam", block="optimizer", attributes=op.attributes.replace(ops_per_element=12))
