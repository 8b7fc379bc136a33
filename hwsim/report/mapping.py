"""What the mapper found, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.problem import Problem
from hwsim.mapping.search import Mapped
from hwsim.report.table import Block, Column, Heading, Lines, Paragraph, Table
from hwsim.units import PICO, format_count, format_seconds, format_si

__all__ = ["MappedOp", "dims_words", "model_blocks", "model_form", "nest_lines", "op_blocks", "op_form"]


@dataclass(frozen=True, slots=True)
class MappedOp:
    """A product of a model with its nest: the op's name, how often it runs, the problem, the answer."""

    name: str
    count: int
    problem: Problem
    answer: Mapped


def op_form(answers: Sequence[Mapped], problems: Sequence[Problem], hierarchy: Hierarchy) -> dict[str, Any]:
    """The fields of one op as JSON; of attention, the sums over its products, which stand in ``products``."""
    forms = [_form(answer, problem, hierarchy) for answer, problem in zip(answers, problems, strict=True)]
    if len(forms) == 1:
        return forms[0]
    return _sum(forms, [1] * len(forms), hierarchy) | {"products": forms}


def model_form(rows: Sequence[MappedOp], elsewhere: Mapping[str, int], hierarchy: Hierarchy) -> dict[str, Any]:
    """The fields of a whole model: sums, and a row for each product; what the host runs is named, and in no sum."""
    forms = [_form(row.answer, row.problem, hierarchy) for row in rows]
    results = [
        {"name": row.name, "count": row.count, "dims": dict(row.problem.dims)} | form
        for row, form in zip(rows, forms, strict=True)
    ]
    searched = len({row.problem for row in rows})
    more = {"searched": searched, "not_mapped": dict(elsewhere), "results": results}
    return _sum(forms, [row.count for row in rows], hierarchy) | more


def _sum(forms: Sequence[Mapping[str, Any]], counts: Sequence[int], hierarchy: Hierarchy) -> dict[str, Any]:
    """Sums of several products, one after the other."""

    def total(name: str) -> Any:
        return sum(form[name] * count for form, count in zip(forms, counts, strict=True))

    def totals(name: str) -> dict[str, float]:
        keys = dict.fromkeys(key for form in forms for key in form[name])
        rows = list(zip(forms, counts, strict=True))
        return {key: sum(form[name].get(key, 0.0) * count for form, count in rows) for key in keys}

    first: Mapping[str, Any] = forms[0] if forms else {}
    cycles, energy = total("cycles"), total("energy_j")
    optimal = all(form["optimal"] for form in forms)
    return {
        "objective": first.get("objective"),
        "energy_j": energy,
        "cycles": cycles,
        "time_s": cycles / hierarchy.clock_hz,
        "edp": energy * cycles / hierarchy.clock_hz,
        "mapping": " ; ".join(form["mapping"] for form in forms),
        "optimal": optimal,
        "lower_bound": None,
        "gap": max((form["gap"] for form in forms), default=0.0),
        "space": first.get("space"),
        "mode": first.get("mode"),
        "nests": {
            "represented": sum(form["nests"]["represented"] for form in forms),
            "evaluated": sum(form["nests"]["evaluated"] for form in forms),
            "pruned": _add(form["nests"]["pruned"] for form in forms),
        },
        "energy_j_by_level": totals("energy_j_by_level"),
        "bytes_by_level": totals("bytes_by_level"),
        "covers": "each product alone, unfused, in this space",
    }


def _add(parts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _form(answer: Mapped, problem: Problem, hierarchy: Hierarchy) -> dict[str, Any]:
    """The fields of a product: costs, the mapping, the certificate."""
    cost, certificate = answer.cost, answer.certificate
    return {
        "objective": certificate.objective,
        "energy_j": cost.energy_pj * PICO,
        "cycles": cost.cycles,
        "time_s": cost.cycles / hierarchy.clock_hz,
        "edp": cost.energy_pj * PICO * cost.cycles / hierarchy.clock_hz,
        "mapping": answer.nest.text(problem),
        **certificate.form,
        "mode": certificate.mode,
        "energy_j_by_level": {name: pj * PICO for name, pj in cost.energy_pj_by.items()},
        "bytes_by_level": dict(cost.bytes_by),
        "cycles_by": dict(cost.cycles_by),
        "covers": f"this op alone, unfused, {certificate.mode} cycles, in this space" + _orders(certificate.mode),
        "front": [
            {"energy_j": c.energy_pj * PICO, "cycles": c.cycles, "mapping": nest.text(problem)}
            for nest, c in answer.front
        ],
    }


def _orders(mode: str) -> str:
    """Ideal cycles are the same in every order of the loops between two tiles; pipelined ones need not be."""
    return ", loops between two tiles in the order of the dimensions" if mode == "pipelined" else ""


def op_blocks(form: Mapping[str, Any]) -> list[Block]:
    """One op as tables."""
    words = " ".join(f"{name}={value}" for name, value in form["arguments"].items())
    nests = form.get("products", [form])
    return [
        Heading(f"{form['kind']} on {form['device']}"),
        Paragraph(words),
        *(Lines(_product_lines(each["mapping"], place, len(nests))) for place, each in enumerate(nests, 1)),
        _cost_table(form),
        *_front_table(form),
        Paragraph(f"The certificate covers {form['covers']}."),
    ]


def _product_lines(mapping: str, place: int, count: int) -> tuple[tuple[int, str], ...]:
    """The nest of a product, under its number where an op has several (attention: scores, then contexts)."""
    return nest_lines(mapping) if count == 1 else ((0, f"product {place}"), *nest_lines(mapping, 1))


def nest_lines(mapping: str, level: int = 0) -> tuple[tuple[int, str], ...]:
    """A nest as a line for each place where a level holds a tile, with the loops inside it, each further in.

    Args:
        mapping: `Nest.text`.
        level: of the outermost line.
    """
    lines: list[tuple[str, list[str]]] = []
    for word in mapping.split(" | "):
        if " holds " in word:
            lines.append((word, []))
        else:
            if not lines:
                lines.append(("outermost", []))
            lines[-1][1].append(word)
    return tuple(
        (level + depth, f"{head}: {', '.join(loops)}" if loops else head) for depth, (head, loops) in enumerate(lines)
    )


def _cost_table(form: Mapping[str, Any]) -> Table:
    nests = form["nests"]
    rows = [
        (f"cycles, {form['mode']}", format_count(form["cycles"])),
        ("time", format_seconds(form["time_s"])),
        ("energy", format_si(form["energy_j"], "J")),
        *((f"energy, {name}", format_si(joules, "J")) for name, joules in form["energy_j_by_level"].items()),
        ("certificate", f"{_proof(form)} ({form['space']} space, {form['objective']})"),
        ("nests represented", _nests(nests["represented"])),
        ("nests evaluated", _nests(nests["evaluated"])),
        *((f"nests pruned, {rule}", _nests(count)) for rule, count in nests["pruned"].items()),
    ]
    return Table((Column("what"), Column("how much", "right")), tuple(rows))


def _nests(count: float) -> str:
    """A number of nests: whole up to a thousand million, then as a power of ten."""
    return format_count(count) if count < 1e9 else f"{count:.3e}".replace("e+", "e")


def _front_table(form: Mapping[str, Any]) -> list[Block]:
    """The front, and behind it the nests of its points."""
    if not form.get("front"):
        return []
    places = range(1, len(form["front"]) + 1)
    rows = tuple(
        (str(place), format_count(each["cycles"]), format_si(each["energy_j"], "J"))
        for place, each in zip(places, form["front"], strict=True)
    )
    columns = (Column("point", "right"), Column("cycles", "right"), Column("energy", "right"))
    nests = [
        ((0, f"point {place}"), *nest_lines(each["mapping"], 1))
        for place, each in zip(places, form["front"], strict=True)
    ]
    return [Heading("Pareto front of cycles and energy"), Table(columns, rows), *(Lines(nest) for nest in nests)]


def _proof(form: Mapping[str, Any]) -> str:
    return "optimal" if form["optimal"] else f"within {form['gap']:.2%} of the best possible"


def dims_words(dims: Mapping[str, int]) -> str:
    """The dimensions of an op that are more than one: ``m=64 n=512``."""
    return " ".join(f"{dim}={extent}" for dim, extent in dims.items() if extent > 1)


def model_blocks(form: Mapping[str, Any]) -> list[Block]:
    """A whole model as tables."""
    rows = tuple(
        (
            each["name"],
            str(each["count"]),
            dims_words(each["dims"]),
            format_count(each["cycles"]),
            format_si(each["energy_j"], "J"),
            _proof(each),
        )
        for each in form["results"]
    )
    heads = (
        Column("op"), Column("runs", "right"), Column("dims"), Column("cycles", "right"), Column("energy", "right"),
        Column("certificate"),
    )  # fmt: skip
    left = ", ".join(f"{name} ({count})" for name, count in form["not_mapped"].items())
    return [
        Heading(f"{form['workload']} on {form['device']}"),
        Table(heads, rows),
        _cost_table(form),
        Heading("Loop nests, the outermost level first"),
        *_model_nests(form),
        *([Paragraph(f"No matrix products, left to the host and in no sum: {left}.")] if left else []),
        Paragraph(f"{form['searched']} different products searched. The certificate covers {form['covers']}."),
    ]


def _model_nests(form: Mapping[str, Any]) -> list[Block]:
    """Each nest once, under the ops that it is of."""
    names: dict[str, list[str]] = {}
    for each in form["results"]:
        of_it = names.setdefault(each["mapping"], [])
        of_it += [each["name"]] * (each["name"] not in of_it)
    return [Lines(((0, ", ".join(of_it)), *nest_lines(mapping, 1))) for mapping, of_it in names.items()]
