"""The search over blockings: the best of the declared space by trying every member, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.blocking import Split, product_of, row_groups, splits
from hwsim.devices.cpu.choice import best_of_each, cycles_of, planned_as, search_blockings
from hwsim.devices.cpu.gemm import flowing_bytes, works_of
from hwsim.errors import Infeasible
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

MACHINES = ("xeon-8475b", "xeon-6430", "spr-56c", "granite-rapids-6962p", "epyc-zen4")
FORMS = (
    {"dtype": "bf16"}, {"dtype": "int8"}, {"dtype": "fp32"}, {"a_dtype": "bf16", "b_dtype": "int4"},
    {"dtype": "bf16", "sparsity": 0.5}, {"dtype": "int8", "sparsity": 0.7}, {"dtype": "bf16", "stack": "tract"},
    {"dtype": "bf16", "flows": True}, {"dtype": "int8", "flows": True},
)  # fmt: skip


def product(m: int, n: int, k: int, *, flows: bool = False, **more: object) -> Op:
    """A gemm op, of weights or of two activations."""
    op = build_kernel("gemm", dict(m=m, n=n, k=k, **more))
    a, b, out = op.operands
    return replace(op, operands=(a, replace(b, role="activation"), out)) if flows else op


def members(p, op: Op) -> list[Split]:
    """Every member of the space, written out from its definition."""
    return [member for each in splits(p, op) for member in each.members]


@settings(max_examples=40)
@given(
    st.sampled_from(MACHINES), st.sampled_from([1, 2, 16, 17, 33, 64, 100, 300]), st.sampled_from([16, 64, 100, 1000]),
    st.sampled_from([32, 100, 512]), st.sampled_from(FORMS), st.integers(1, 12),
)  # fmt: skip
def test_no_blocking_of_the_space_ends_sooner(
    machine: str, m: int, n: int, k: int, form: dict[str, object], cores: int
) -> None:
    """The answer is the least of all members on the engine, each run by itself; so is the certificate's bound."""
    device = find_device(machine)
    assume(form.get("stack", "onednn") in {"onednn", *device.stacks})
    op = product(m, n, k, cores=min(cores, 2 if "zen4" in machine else cores), **form)
    p = device.configured({"stack": str(form.get("stack", device.parameters.stack))}).parameters
    found = search_blockings(p, op)
    assert not isinstance(found, Infeasible)
    every = [cycles_of(p, planned_as(p, op, each)) for each in members(p, op)]
    assert found.value == min(every)
    certificate = found.certificate
    assert (certificate.optimal, certificate.lower_bound, certificate.represented) == (True, min(every), len(every))
    assert certificate.evaluated + sum(certificate.pruned.values()) == len(every)
    assert found.value == kernel(op, device).cycles


def test_the_space_is_kernels_loops_rows_and_columns() -> None:
    """8 column tiles on 4 cores, 70 rows: 1, 2 and 3 row groups on all threads, or one thread for all."""
    p = find_device("xeon-8475b").parameters
    found = set(members(p, product(70, 128, 64, dtype="bf16", cores=4)))
    shares = {1: (2, 8), 2: (4,), 3: (8,)}
    expected = {
        Split(kernel, loop, groups, each)
        for kernel in ("amx", "avx512")
        for groups in shares
        for each in shares[groups]
        for loop in (("columns-outer", "rows-outer") if -(-70 // groups) > 32 else ("columns-outer",))
    }
    assert found == expected


@given(st.integers(1, 5000), st.integers(1, 72))
def test_no_row_group_is_empty(m: int, cores: int) -> None:
    """Groups of equal rows cover all rows, and each has some; all different sizes of 32 rows or more are there."""
    found = row_groups(product_of(product(m, 64, 64)), "amx", cores)
    for groups in found:
        rows = -(-m // groups)
        assert (groups - 1) * rows < m <= groups * rows
    sizes = {-(-m // groups) for groups in range(1, min(cores, -(-m // 32)) + 1)}
    assert {-(-m // groups) for groups in found} == sizes


def test_kernels_of_the_release_run_on_all_their_threads() -> None:
    """Their threads are set by the caller: one member, with every thread."""
    p = find_device("xeon-8475b").parameters
    (only,) = members(p, product(1, 4096, 4096, kernel="amx-strided", cores=16))
    assert only == Split("amx-strided", "rows-outer", 1, 16)


def test_the_best_of_each_family_includes_the_best() -> None:
    """One answer for each kernel, loop order and number of row groups, the least of them that of the search."""
    p, op = find_device("xeon-8475b").parameters, product(512, 1024, 1024)
    each = best_of_each(p, op)
    assert len(each) == len(splits(p, op))
    assert min(cycles_of(p, planned) for planned in each) == search_blockings(p, op).value


def test_more_threads_are_never_slower() -> None:
    """One core, and twice as many each time: the same split on more threads has no more to do on each."""
    device = find_device("xeon-8475b")
    times = [kernel(product(512, 4096, 1024, cores=cores), device).time_s for cores in (1, 2, 4, 8, 16, 32, 48)]
    assert times == sorted(times, reverse=True)


def test_bounds_leave_little_to_run() -> None:
    """Of dozens of blockings a few run on the engine: the bounds are close to what it counts."""
    certificate = search_blockings(find_device("xeon-8475b").parameters, product(1024, 14336, 4096)).certificate
    assert certificate.represented > 100
    assert certificate.evaluated <= 5


def test_groups_of_rows_share_the_weights_of_the_first_pass_only() -> None:
    """Further passes find their weights in L2: a tile costs the same there however many groups drew it."""
    p, op = find_device("xeon-8475b").parameters, product(4096, 64, 256, dtype="bf16")
    found = best_of_each(p, op)
    assert not isinstance(found, Infeasible)
    blocking = next(each.blocking for each in found if each.blocking and each.blocking.kernel == "amx")
    several = [replace(blocking, row_groups=groups, passes=2) for groups in (1, 2, 8)]
    works = [works_of(p, product_of(op), each, flowing_bytes(op)) for each in several]
    assert len({round(again.pipe.cache, 6) for _, again in works}) == 1
    assert len({round(first.pipe.cache, 6) for first, _ in works}) == len(several)
