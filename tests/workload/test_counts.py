"""Every op's MACs, other operations and bytes against loops that walk the computation one scalar at a time."""

import math
from collections import Counter
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.workload.counts import ELEMENTWISE, NORM_OPS, SOFTMAX_OPS, attended_pairs
from hwsim.workload.ops import attention, conv1d, conv2d, elementwise, embedding, gemm, norm, scan, softmax

FEW = settings(max_examples=40, deadline=None)
SMALL = st.integers(1, 4)


def check(op, count, touched):
    """Compare an op in int8 (one byte per element) with counted operations and touched elements by role."""
    assert op.macs == count["mac"]
    assert op.other_ops == count["other"]
    expected = {role: sum(len(elements) for elements in tensors.values()) for role, tensors in touched.items()}
    if "state" in expected:
        expected["state"] *= 2
    assert {role: moved for role, moved in op.bytes_by_role.items() if moved} == expected


@FEW
@given(SMALL, SMALL, SMALL, SMALL, st.booleans())
def test_gemm(batch, m, n, k, dynamic):
    """One MAC per point of the loop nest; quantising a takes three operations per element."""
    a, b, out, macs = set(), set(), set(), 0
    for z, i, j, d in product(range(batch), range(m), range(n), range(k)):
        macs += 1
        a.add((z, i, d))
        b.add((z, j, d))
        out.add((z, i, j))
    op = gemm(m, n, k, "int8", out_dtype="int8", batch=batch, quantize="dynamic" if dynamic else "none")
    touched = {"activation": {"a": a}, "weight": {"b": b}, "output": {"o": out}}
    check(op, Counter(mac=macs, other=3 * len(a) * dynamic), touched)


def walk_attention(phase, batch, kv_heads, group, q_len, kv_len, head_dim, window, value_dim):
    """Count attention by visiting every (query, key) pair."""
    count, keys = Counter(), set()
    for z, head, query in product(range(batch), range(kv_heads * group), range(q_len)):
        position = kv_len - q_len + query
        for key in range(kv_len):
            masked = phase != "bidirectional" and key > position
            if masked or (window and key <= position - window):
                continue
            count["mac"] += head_dim + value_dim
            count["other"] += 5
            keys.update((z, key, head // group, e) for e in range(head_dim))
        count["other"] += value_dim
    return count, keys


@FEW
@given(
    st.sampled_from(["prefill", "decode", "bidirectional"]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(0, 6),
    st.integers(1, 3),
    st.integers(0, 7),
    st.integers(1, 4),
    st.booleans(),
)
def test_attention(phase, batch, kv_heads, group, q_len, before, head_dim, window, value_dim, latent):
    """Only attended pairs count; of keys and values only positions that some query sees are read, of latents once."""
    value_dim = min(value_dim, head_dim) if latent else value_dim
    window = 0 if phase == "bidirectional" else window
    kv_len = q_len + before
    count, keys = walk_attention(phase, batch, kv_heads, group, q_len, kv_len, head_dim, window, value_dim)
    wide = {"window": window, "v_head_dim": value_dim, "latent": int(latent)}
    op = attention(phase, batch, kv_heads * group, kv_heads, q_len, kv_len, head_dim, "int8", **wide)
    queries, results = (
        set(product(range(batch), range(q_len), range(kv_heads * group), range(each))) for each in (head_dim, value_dim)
    )
    touched = {"activation": {"q": queries}, "output": {"o": results}}
    values = {(*key[:3], e) for key in keys for e in range(value_dim)}
    read = {"k": keys} if latent else {"k": keys, "v": values}
    touched.setdefault("activation" if phase == "bidirectional" else "cache", {}).update(read)
    check(op, count, touched)


@FEW
@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 40), st.booleans())
def test_attended_pairs(q_len, before, window, causal):
    """The closed form against a sum over the queries."""
    kv_len = q_len + before
    walked = 0
    for position in range(before, kv_len):
        seen = position + 1 if causal else kv_len
        walked += min(seen, window) if causal and window else seen
    assert attended_pairs(q_len, kv_len, window, causal) == walked


@FEW
@given(st.integers(1, 3), st.integers(1, 6), SMALL, st.integers(1, 5), st.booleans())
def test_conv1d(batch, seq_len, channels, d_conv, silu):
    """Taps that reach before the first new token read the window of the state."""
    new, state, weights, out, macs = set(), set(), set(), set(), 0
    for z, t, c, tap in product(range(batch), range(seq_len), range(channels), range(d_conv)):
        macs += 1
        (new if t - tap >= 0 else state).add((z, t - tap, c))
        weights.add((c, tap))
        out.add((z, t, c))
    activation = "silu" if silu else "none"
    op = conv1d("prefill", batch, seq_len, channels, d_conv, "int8", activation=activation)
    touched = {"activation": {"x": new}, "weight": {"w": weights}, "output": {"o": out}}
    if state:
        touched["state"] = {"s": state}
    check(op, Counter(mac=macs, other=4 * len(out) * silu), touched)


class Tape:
    """Arithmetic that counts itself: a MAC is a*b + c, anything else is one other operation."""

    def __init__(self):
        self.count = Counter()

    def mac(self):
        self.count["mac"] += 1

    def op(self, times=1):
        self.count["other"] += times


def step_channel(tape, mixer, n_range):
    """One channel of a head for one token, state element by state element."""
    if mixer == "gdn":
        for _ in n_range:
            tape.mac()  # h . k
        tape.op(3)  # a * that, v minus it, times b
    for _ in n_range:
        if mixer == "mamba1":
            tape.op(2)  # dt * A, exponential
        if mixer != "linear":
            tape.op()  # the new term, a product
        tape.mac()  # decay times state plus the new term (linear: state plus product)
        tape.mac()  # read-out
    if mixer in ("mamba1", "mamba2"):
        tape.op()  # dt * x
        tape.mac()  # D * x


def step_head(tape, mixer, p_range, n_range):
    """One head's state update and read-out for one token."""
    if mixer in ("mamba2", "gdn"):
        tape.op(2)  # dt * A, exponential
    for _ in p_range:
        step_channel(tape, mixer, n_range)


@FEW
@given(
    st.sampled_from(["mamba1", "mamba2", "gla", "gdn", "linear"]),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_scan_token_by_token(mixer, batch, seq_len, groups, group, head_dim, d_state):
    """The recurrence walked one state element at a time."""
    tape, heads = Tape(), groups * group
    for _ in range(batch * seq_len * heads):
        step_head(tape, mixer, range(head_dim), range(d_state))
    tokens = list(product(range(batch), range(seq_len)))
    channels = set(product(tokens, range(heads), range(head_dim)))
    shared = set(product(tokens, range(groups), range(d_state)))
    per_head = set(product(tokens, range(heads)))
    inputs = {
        "mamba1": {"x": channels, "B": shared, "C": shared, "dt": channels},
        "mamba2": {"x": channels, "B": shared, "C": shared, "dt": per_head},
        "gla": {"q": shared, "k": shared, "v": channels, "g": set(product(tokens, range(heads), range(d_state)))},
        "gdn": {"q": shared, "k": shared, "v": channels, "a": per_head, "b": per_head},
        "linear": {"q": shared, "k": shared, "v": channels},
    }[mixer]
    touched = {
        "activation": inputs,
        "state": {"h": set(product(range(batch), range(heads), range(head_dim), range(d_state)))},
        "output": {"y": channels},
    }
    if mixer == "mamba1":
        touched["weight"] = {
            "A": set(product(range(heads), range(head_dim), range(d_state))),
            "D": set(product(range(heads), range(head_dim))),
        }
    elif mixer == "mamba2":
        touched["weight"] = {"A": set(range(heads)), "D": set(range(heads))}
    op = scan(mixer, "decode", batch, seq_len, heads, head_dim, d_state, groups, dtype="int8")
    check(op, tape.count, touched)


def walk_chunks(tape, mixer, seq_len, groups, heads, p, n, chunk):
    """The chunked form by its matrix products, causal pairs only."""
    for start in range(0, seq_len, chunk):
        length = min(chunk, seq_len - start)
        pairs = [(i, j) for i in range(length) for j in range(i + 1)]
        for _ in product(range(groups), pairs, range(n)):
            tape.mac()  # scores
            if mixer == "gdn":
                tape.mac()  # key-key scores
        for _ in range(heads):
            walk_head(tape, mixer, length, pairs, p, n)


def walk_head(tape, mixer, length, pairs, p, n):
    """One head of one chunk."""
    for _ in product(pairs, range(p)):
        tape.mac()  # scores times values
    for _ in product(range(length), range(p), range(n)):
        tape.mac()  # the chunk's state
        tape.mac()  # the carried state's output
    for _ in product(range(p), range(n)):
        tape.mac()  # decay of the carried state
    if mixer != "linear":
        tape.op(3 * len(pairs))
    if mixer == "mamba2":
        for _ in product(range(length), range(p)):
            tape.mac()  # D * x
            tape.op()  # dt * x
        tape.op(2 * length)
    elif mixer == "gla":
        tape.op(3 * length * n)
    elif mixer == "gdn":
        walk_delta_rule(tape, length, pairs, p, n)


def walk_delta_rule(tape, length, pairs, p, n):
    """The triangular inverse by forward substitution, then its products."""
    for i in range(length):
        for j in range(i):
            for _ in range(j, i):
                tape.mac()  # row i of the inverse, column j, from rows j to i - 1
    for _ in product(pairs, range(n + p)):
        tape.mac()
    for _ in product(range(length), range(p), range(n)):
        tape.mac()
    tape.op(length * (n + p) + 2 * length + length * p)


@FEW
@given(
    st.sampled_from(["mamba2", "gla", "gdn", "linear"]),
    st.integers(1, 9),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
)
def test_scan_in_chunks(mixer, seq_len, groups, group, p, n, chunk):
    """The matrix form of prefill, full chunks and a rest, walked product by product."""
    tape = Tape()
    walk_chunks(tape, mixer, seq_len, groups, groups * group, p, n, chunk)
    op = scan(mixer, "prefill", 2, seq_len, groups * group, p, n, groups, chunk)
    assert (op.macs, op.other_ops) == (2 * tape.count["mac"], 2 * tape.count["other"])


def test_decode_ignores_the_chunk():
    """Decode steps token by token, whatever chunk the model prefills with."""
    assert scan("mamba2", "decode", 1, 3, 4, 8, 16, chunk=256).macs == scan("mamba2", "decode", 1, 3, 4, 8, 16).macs


@FEW
@given(st.data())
def test_conv2d(data):
    """Every kernel position of every output; zeros of the padding are not read."""
    draw = data.draw
    batch, oc, ic, groups = (draw(st.integers(1, 2)) for _ in range(4))
    y, x, r, s = (draw(st.integers(1, 3)) for _ in range(4))
    stride = draw(st.integers(1, min(r, s)))
    rows, columns = stride * (y - 1) + r, stride * (x - 1) + s
    padding = draw(st.integers(0, (min(rows, columns) - 1) // 2))
    image, weights, out, macs = set(), set(), set(), 0
    for z, g, o, i, v, u, dv, du in product(*map(range, (batch, groups, oc, ic, y, x, r, s))):
        macs += 1
        row, column = stride * v + dv - padding, stride * u + du - padding
        if 0 <= row < rows - 2 * padding and 0 <= column < columns - 2 * padding:
            image.add((z, g * ic + i, row, column))
        weights.add((g * oc + o, i, dv, du))
        out.add((z, g * oc + o, v, u))
    op = conv2d(batch, oc * groups, ic * groups, y, x, r, s, stride, groups, padding, "int8")
    check(op, Counter(mac=macs), {"activation": {"i": image}, "weight": {"w": weights}, "output": {"o": out}})


@FEW
@given(st.data())
def test_conv2d_computes_a_convolution(data):
    """The op's own projections, walked, give NumPy's sum over windows with zeros between the taps."""
    draw = data.draw
    batch, oc, ic, groups, y, x = (draw(st.integers(1, 3)) for _ in range(6))
    r, s, stride, dilation = (draw(st.integers(1, 3)) for _ in range(4))
    op = conv2d(batch, oc * groups, ic * groups, y, x, r, s, stride, groups, dtype="int8", dilation=dilation)
    image, weights = (
        np.random.default_rng(len(axes.axes)).integers(-9, 9, axes.shape(op.dims)) for axes in op.operands[:2]
    )
    walked = np.zeros(op.output.shape(op.dims), np.int64)
    for point in product(*map(range, op.dims.values())):
        at = dict(zip(op.dims, point, strict=True))
        place = [tuple(sum(at[name] * step for name, step in axis) for axis in o.axes) for o in op.operands]
        walked[place[2]] += image[place[0]] * weights[place[1]]
    spread = np.zeros((*weights.shape[:2], dilation * (r - 1) + 1, dilation * (s - 1) + 1), np.int64)
    spread[:, :, ::dilation, ::dilation] = weights
    windows = np.lib.stride_tricks.sliding_window_view(image, spread.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows.reshape(batch, groups, ic, y, x, *spread.shape[2:])
    expected = np.einsum("bgiyxrs,goirs->bgoyx", windows, spread.reshape(groups, oc, *spread.shape[1:]))
    assert (walked == expected.reshape(walked.shape)).all()


@FEW
@given(SMALL, SMALL, st.sampled_from(sorted(NORM_OPS)))
def test_norm(tokens, width, name):
    """Inputs, gain (and bias of layernorm) and the operations per element that the table states."""
    elements = set(product(range(tokens), range(width)))
    inputs = {"x": elements, "z": elements} if name == "gated_rmsnorm" else {"x": elements}
    weights = {"gain": set(range(width))} | ({"bias": set(range(width))} if name == "layernorm" else {})
    count = Counter(other=len(elements) * NORM_OPS[name])
    check(
        norm(name, tokens, width, "int8"), count, {"activation": inputs, "weight": weights, "output": {"o": elements}}
    )


def test_norm_operations_from_first_principles():
    """The per-element counts, from walking each formula over one element."""
    assert NORM_OPS["rmsnorm"] == len(["square", "add", "times 1/rms", "times gain"])
    assert NORM_OPS["layernorm"] == len(
        ["add", "minus mean", "square", "add", "times 1/std", "times gain", "plus bias"]
    )
    silu = ["exponential", "add", "reciprocal", "multiply"]
    assert NORM_OPS["gated_rmsnorm"] == len([*silu, "times y", "square", "add", "times 1/rms", "times gain"])


@FEW
@given(SMALL, st.integers(1, 9), st.sampled_from(sorted(ELEMENTWISE)))
def test_elementwise(tokens, width, name):
    """One output element per (row, column), per row for a scale; the table's operations, log2(width) for a Hadamard."""
    if name in ("topk", "weighted_sum"):
        return
    known = ELEMENTWISE[name]
    elements = set(product(range(tokens), range(width)))
    per_element = math.ceil(math.log2(width)) if name == "hadamard" else known.ops
    written = {(row, 0) for row in range(tokens)} if name == "absmax_scale" else elements
    touched = {"activation": {each: elements for each in known.inputs}, "output": {"o": written}}
    if known.vector:
        touched["weight"] = {each: set(range(width)) for each in known.vector}
    check(elementwise(name, tokens, width, "int8"), Counter(other=per_element * len(elements)), touched)


def test_traffic_as_given():
    """read_elems and write_elems replace the op's own traffic; its arithmetic stays."""
    op = elementwise("add", 3, 8, "int8", read_elems=5, write_elems=2)
    assert (op.bytes_by_role["activation"], op.bytes_by_role["output"], op.other_ops) == (15, 6, 24)


@FEW
@given(SMALL, SMALL)
def test_softmax(tokens, width):
    """Five operations per element."""
    elements = set(product(range(tokens), range(width)))
    touched = {"activation": {"x": elements}, "output": {"o": elements}}
    check(softmax(tokens, width, dtype="int8"), Counter(other=SOFTMAX_OPS * len(elements)), touched)


@FEW
@given(SMALL, SMALL, st.integers(1, 9))
def test_embedding(tokens, width, rows):
    """Only the gathered rows move; the whole table is parameters."""
    op = embedding(tokens, width, rows, "int8")
    elements = set(product(range(tokens), range(width)))
    check(op, Counter(), {"weight": {"t": elements}, "output": {"o": elements}})
    assert op.parameters == rows * width
    assert embedding(tokens, width, rows, "int8", learned=False).parameters == 0
