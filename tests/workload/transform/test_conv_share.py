"""``conv-share``: exact MACs, parameters and shapes of shared convolutions in place of linear layers."""

import numpy as np
import pytest

from hwsim.commands.inputs import Overrides, workload_of
from hwsim.devices.optical.jobs import jobs_of
from hwsim.errors import HwsimError
from hwsim.golden.optics_tiling import tiled_frame
from hwsim.workload.model import Pass
from hwsim.workload.transform import graph_of


def transformed(name, text, batch=1):
    """A workload's graph with a transform."""
    workload = workload_of(name, Overrides(transforms=(text,))).value
    phase = "inference" if workload.model.family == "vit" else "decode"
    return graph_of(workload, Pass(phase, batch))


def op_of(graph, name):
    """The op of this name in the first layer."""
    return graph.op(f"layers.0.{name}")


def test_a_valid_kernel_as_large_as_the_square_is_the_linear_layer():
    """DeiT-T: 192 features on 14 x 14; one kernel a feature, 196 products each where 192 would do."""
    graph = transformed("deit-t", "conv-share:padding=valid", 2)
    op = op_of(graph, "o_proj")
    assert op.macs == 2 * 197 * 192 * 14 * 14
    assert op.parameters == 192 * 14 * 14 + 192
    (job,) = jobs_of(op)
    assert (job.images, job.kernels, job.image_rows, job.rows, job.padding, job.out_rows) == (394, 192, 14, 14, 0, 1)


def test_same_padding_shares_a_kernel_over_the_square():
    """One 3 x 3 kernel gives 196 features, so o_proj takes 1, qkv 3 and up_proj 4 of them."""
    graph = transformed("deit-t", "conv-share:padding=same,kernel=3")
    assert [op_of(graph, name).dims["oc"] for name in ("o_proj", "qkv_proj", "up_proj")] == [1, 3, 4]
    assert op_of(graph, "qkv_proj").macs == 197 * 3 * 196 * 9
    assert op_of(graph, "qkv_proj").parameters == 3 * 9 + 3
    (job,) = jobs_of(op_of(graph, "qkv_proj"))
    assert (job.padding, job.out_rows, job.image_rows) == (1, 14, 14)


def test_everything_else_stays():
    """Attention, norms, embedding and head are as they were."""
    plain, changed = transformed("deit-t", "conv-share:padding=same"), transformed("deit-t", "quantize:state=fp32")
    kinds = [op.kind for op in changed.ops if op.kind != "gemm" or op.layer is None]
    assert [op.kind for op in plain.ops if not (op.kind == "conv2d" and op.layer is not None)] == kinds


def test_the_field_model_computes_what_the_op_says():
    """A token's square with a valid kernel of its size is the dot product of the layer it replaces."""
    rng = np.random.default_rng(0)
    tokens, weights = rng.random((4, 9)), rng.normal(size=(5, 9))
    kernels = weights.reshape(5, 1, 3, 3)[:, :, ::-1, ::-1]
    seen = tiled_frame(tokens.reshape(4, 1, 3, 3), kernels, 0, (2, 2), (1, 1), (1, 5), (3, 3))
    assert np.allclose(seen[:, :, 0, 0], tokens @ weights.T)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("deit-t", "conv-share:kernel=15", "squares of 14 x 14"),
        ("llama-3-8b", "conv-share:padding=same", "a vit workload"),
        ("deit-t", "conv-share:padding=full", "valid, same|valid or same"),
        ("deit-t", "conv-share:kernels=3", "did you mean 'kernel'"),
    ],
)
def test_bad_input_is_named(name, text, message):
    """What was found and what was expected."""
    with pytest.raises(HwsimError, match=message):
        transformed(name, text)
