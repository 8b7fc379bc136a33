"""From a workload's ops to the mapper's problems: what they multiply is what the op counts."""

from __future__ import annotations

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.mapped import mapper_view
from hwsim.mapping.mapper import Search, best_nest
from hwsim.mapping.ops import problems_of
from hwsim.mapping.search import Mapped
from hwsim.workload.builders import build
from hwsim.workload.listed import ListedGemm, OpsModel
from hwsim.workload.model import Formats, Pass, TransformerModel
from hwsim.workload.op import Op

INT8 = Formats(weights="int8", activations="int8")


def experts_ops() -> dict[str, Op]:
    """The ops of a small mixture of experts, by name."""
    model = TransformerModel(64, 1, 4, 4, 96, 100, experts=8, experts_per_token=2)
    return {op.name: op for op in build(model, INT8, Pass("prefill", 1, 24)).ops}


@pytest.mark.parametrize("name", ["gate_proj", "down_proj", "router", "q_proj"])
def test_problem_of_a_layer_counts_what_the_op_counts(name: str) -> None:
    """Experts share the rows: they are products side by side, not as many times the work."""
    op = experts_ops()[name]
    (problem,) = problems_of(op, 8, 32)
    experts = op.dims.get("expert", 1)
    assert op.macs <= problem.macs < op.macs * (1 + experts / op.dims["m"])
    weights = next(operand for operand in problem.operands if operand.role == "weight")
    assert problem.elements(weights) == op.operand("b").elements(op.dims)


def product_of_activations() -> Op:
    """Scores of a list of operators: both operands flow."""
    listed = OpsModel((ListedGemm(m=48, n=32, k=16, batch=4, of="activations"),))
    return build(listed, INT8, Pass("inference")).ops[0]


def test_what_a_product_of_activations_multiplies_by_stands_where_weights_do() -> None:
    """Its operands differ in name and role, and it costs what the same product of weights does."""
    op = product_of_activations()
    (problem,) = problems_of(op, 8, 8)
    assert [(each.name, each.role) for each in problem.operands] == [("I", "input"), ("W", "weight"), ("O", "output")]
    hierarchy = mapper_view(find_device("ws16")).hierarchy
    trained = build(OpsModel((ListedGemm(m=48, n=32, k=16, batch=4),)), INT8, Pass("inference")).ops[0]
    found = best_nest(problem, hierarchy, Search())
    same = best_nest(problems_of(trained, 8, 8)[0], hierarchy, Search())
    assert isinstance(found, Mapped)
    assert isinstance(same, Mapped)
    assert (found.cost.cycles, found.cost.energy_pj) == (same.cost.cycles, same.cost.energy_pj)
