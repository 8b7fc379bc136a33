"""ONNX graphs built in the tests: small ones of a few nodes, and whole models without their weights' values."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper


class Net:
    """An ONNX graph under construction; `op` returns the name of what a node gives."""

    def __init__(self, opset=17, **domains):
        self.nodes, self.weights, self.inputs = [], [], []
        self.opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(k, v) for k, v in domains.items()]

    def input(self, name, shape, kind=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(self, kind, *inputs, name=None, outputs=1, **attributes):
        name = name or f"{kind}.{len(self.nodes)}"
        made = [f"{name}:{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, name=name, **attributes))
        return made[0] if outputs == 1 else made

    def weight(self, *shape, kind=TensorProto.FLOAT):
        """A trained tensor whose values lie in another file, which is not there."""
        proto = TensorProto(name=f"w{len(self.weights)}", data_type=kind, dims=shape)
        proto.data_location = TensorProto.EXTERNAL
        proto.external_data.add(key="location", value="weights.bin")
        self.weights.append(proto)
        return proto.name

    def const(self, values, kind=np.float32):
        proto = onnx.numpy_helper.from_array(np.asarray(values, dtype=kind), f"c{len(self.weights)}")
        self.weights.append(proto)
        return proto.name

    def model(self, *outputs):
        ends = [helper.make_empty_tensor_value_info(each) for each in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, ends, self.weights)
        return helper.make_model(graph, opset_imports=self.opsets, ir_version=10)

    def bytes(self, *outputs):
        return self.model(*outputs).SerializeToString()

    # --- layers ----------------------------------------------------------------------------------

    def linear(self, x, inputs, outputs, name):
        made = self.op("MatMul", x, self.weight(inputs, outputs), name=name)
        return self.op("Add", self.weight(outputs), made, name=f"{name}.bias")

    def layer_norm(self, x, width, name, steps=False):
        """In one node, or written out as before opset 17."""
        if not steps:
            return self.op("LayerNormalization", x, self.weight(width), self.weight(width), name=name, axis=-1)
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1], name=f"{name}.mean"))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.const(2.0)), axes=[-1])
        root = self.op("Sqrt", self.op("Add", variance, self.const(1e-5)))
        scaled = self.op("Mul", self.op("Div", centred, root), self.weight(width))
        return self.op("Add", scaled, self.weight(width))

    def rms_norm(self, x, width, name):
        """Written out, as exporters do."""
        mean = self.op("ReduceMean", self.op("Pow", x, self.const(2.0)), axes=[-1], name=name)
        root = self.op("Sqrt", self.op("Add", mean, self.const(1e-6)))
        return self.op("Mul", self.weight(width), self.op("Mul", x, self.op("Reciprocal", root)))

    def gelu(self, x, name):
        """By erf, written out."""
        erf = self.op("Erf", self.op("Div", x, self.const(2**0.5)), name=name)
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.const(1.0))), self.const(0.5))

    def heads(self, x, count, width, name, perm=(0, 2, 1, 3)):
        """Split into heads; the new shape is computed from the old one, as exporters of open dimensions do."""
        shape = self.op("Shape", x)
        kept = self.op("Slice", shape, self.const([0], np.int64), self.const([2], np.int64))
        new = self.op("Concat", kept, self.const([count, width], np.int64), axis=0)
        return self.op("Transpose", self.op("Reshape", x, new), perm=list(perm), name=name)

    def attend(self, q, k, v, scale, name, mask=None):
        """softmax(q . k^T / scale + mask) . v of heads, and the heads side by side again."""
        turned = self.op("Transpose", k, perm=[0, 1, 3, 2])
        scores = self.op("Div", self.op("MatMul", q, turned, name=f"{name}.qk"), self.const(scale))
        scores = self.op("Add", scores, mask) if mask else scores
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1, name=name), v, name=f"{name}.av")
        return self.op("Transpose", mixed, perm=[0, 2, 1, 3])

    def mlp(self, x, width, inner, name):
        up = self.gelu(self.linear(x, width, inner, f"{name}.up"), f"{name}.gelu")
        return self.linear(up, inner, width, f"{name}.down")


def resnet50(classes=1000, image=224):
    """ResNet-50 with its strides in the 3x3 convolutions, as torchvision has it, batch norms unfolded."""
    net = Net()

    def conv(x, ic, oc, kernel, stride, relu=True):
        made = net.op("Conv", x, net.weight(oc, ic, kernel, kernel), kernel_shape=[kernel] * 2,
                      strides=[stride] * 2, pads=[kernel // 2] * 4)  # fmt: skip
        made = net.op("BatchNormalization", made, *(net.weight(oc) for _ in range(4)))
        return net.op("Relu", made) if relu else made

    x = conv(net.input("image", ["batch", 3, image, image]), 3, 64, 7, 2)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    width = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            made = conv(conv(conv(x, width, inner, 1, 1), inner, inner, 3, stride), inner, 4 * inner, 1, 1, False)
            short = x if block else conv(x, width, 4 * inner, 1, stride, False)
            x, width = net.op("Relu", net.op("Add", made, short)), 4 * inner
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    return net.bytes(net.op("Gemm", x, net.weight(classes, width), net.weight(classes), transB=1))


def vit(d=768, layers=12, heads=12, inner=3072, image=224, patch=16, classes=1000):
    """A vision transformer with a class token, one product for queries, keys and values."""
    net = Net()
    tokens, side = (image // patch) ** 2 + 1, d // heads
    x = net.input("image", ["batch", 3, image, image])
    x = net.op("Conv", x, net.weight(d, 3, patch, patch), net.weight(d), strides=[patch] * 2, kernel_shape=[patch] * 2)
    x = net.op("Transpose", net.op("Reshape", x, net.const([0, d, tokens - 1], np.int64)), perm=[0, 2, 1])
    x = net.op("Add", net.op("Concat", net.weight(1, 1, d), x, axis=1), net.weight(1, tokens, d))
    for layer in range(layers):
        path = f"/blocks.{layer}"
        qkv = net.linear(net.layer_norm(x, d, f"{path}/norm1"), d, 3 * d, f"{path}/qkv")
        qkv = net.op("Reshape", qkv, net.const([0, tokens, 3, heads, side], np.int64))
        qkv = net.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (net.op("Gather", qkv, net.const(place, np.int64), axis=0) for place in range(3))
        mixed = net.op("Reshape", net.attend(q, k, v, side**0.5, f"{path}/attn"), net.const([0, 0, d], np.int64))
        x = net.op("Add", x, net.linear(mixed, d, d, f"{path}/proj"))
        x = net.op("Add", x, net.mlp(net.layer_norm(x, d, f"{path}/norm2"), d, inner, f"{path}/mlp"))
    x = net.layer_norm(x, d, "norm")
    x = net.op("Gather", x, net.const(0, np.int64), axis=1)
    return net.bytes(net.op("Gemm", x, net.weight(classes, d), net.weight(classes), transB=1, name="head"))


def bert(d=64, layers=3, heads=4, inner=256, vocab=100):
    """An encoder with everything written out in steps, shapes computed, batch and length open."""
    net = Net(opset=13)
    ids = net.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    mask = net.input("mask", ["batch", 1, 1, "seq"])
    x = net.layer_norm(net.op("Gather", net.weight(vocab, d), ids), d, "embed.norm", steps=True)
    for layer in range(layers):
        path = f"/layer.{layer}"
        q, k, v = (net.heads(net.linear(x, d, d, f"{path}/{n}"), heads, d // heads, f"{path}/{n}.heads") for n in "qkv")
        mixed = net.attend(q, k, v, (d // heads) ** 0.5, f"{path}/attn", mask)
        mixed = net.op("Reshape", mixed, net.const([0, 0, d], np.int64))
        x = net.layer_norm(net.op("Add", net.linear(mixed, d, d, f"{path}/o"), x), d, f"{path}/norm1", steps=True)
        x = net.layer_norm(net.op("Add", net.mlp(x, d, inner, f"{path}/mlp"), x), d, f"{path}/norm2", steps=True)
    return net.bytes(x)


def llama_step(d=64, layers=2, heads=8, kv_heads=2, inner=160, vocab=96):
    """One token after ``past`` others: RMS norms and SwiGLU written out, keys repeated for their group of heads."""
    net, side = Net(), d // heads
    ids = net.input("input_ids", ["batch", 1], TensorProto.INT64)
    x, ends = net.op("Gather", net.weight(vocab, d), ids), []
    for layer in range(layers):
        path = f"/layers.{layer}"
        normed = net.rms_norm(x, d, f"{path}/input_norm")

        def project(kind, count, normed=normed, path=path):
            made = net.op("MatMul", normed, net.weight(d, count * side), name=f"{path}/{kind}_proj")
            return net.heads(made, count, side, f"{path}/{kind}.heads")

        def repeated(kind, layer=layer):
            past = net.input(f"past.{layer}.{kind}", ["batch", kv_heads, "past", side])
            made = net.op("Concat", past, project(kind, kv_heads), axis=2)
            ends.append(made)
            shape = net.op("Shape", made)
            batch, length = (net.op("Gather", shape, net.const([place], np.int64)) for place in (0, 2))
            groups = [net.const([each], np.int64) for each in (kv_heads, heads // kv_heads, side)]
            wide = net.op("Concat", batch, groups[0], groups[1], length, groups[2], axis=0)
            made = net.op("Expand", net.op("Unsqueeze", made, net.const([2], np.int64)), wide)
            flat = net.op("Concat", batch, net.const([heads], np.int64), length, groups[2], axis=0)
            return net.op("Reshape", made, flat)

        mixed = net.attend(project("q", heads), repeated("k"), repeated("v"), side**0.5, f"{path}/attn")
        mixed = net.op("Reshape", mixed, net.const([0, 0, d], np.int64))
        x = net.op("Add", x, net.op("MatMul", mixed, net.weight(d, d), name=f"{path}/o_proj"))
        normed = net.rms_norm(x, d, f"{path}/post_norm")
        gate = net.op("MatMul", normed, net.weight(d, inner), name=f"{path}/gate_proj")
        gate = net.op("Mul", gate, net.op("Sigmoid", gate, name=f"{path}/act"))
        up = net.op("Mul", gate, net.op("MatMul", normed, net.weight(d, inner), name=f"{path}/up_proj"))
        x = net.op("Add", x, net.op("MatMul", up, net.weight(inner, d), name=f"{path}/down_proj"))
    return net.bytes(net.op("MatMul", net.rms_norm(x, d, "norm"), net.weight(d, vocab), name="lm_head"), *ends)


def macs_by_shapes(data, dims):
    """Multiply-accumulates of MatMul, Gemm and Conv, counted from the shapes that onnx infers of the whole graph."""
    model = onnx.ModelProto.FromString(data)
    for each in model.graph.input:
        for dim in each.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = dims[dim.dim_param]
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True, strict_mode=True).graph
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    for each in (*graph.input, *graph.value_info, *graph.output):
        shapes[each.name] = tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            total += int(np.prod(shapes[node.output[0]])) * shapes[node.input[0]][-1]
        elif node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
    return total
