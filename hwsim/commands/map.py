"""`hwsim map`: the best nest of one operation, or of each operation of a model, and the certificate that it is.

Of GPUs and CPUs, whose software chooses from a menu, it is the tile or blocking of a product, of optical machines the
layout of frames (`hwsim.commands.choosers`).
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from hwsim.commands.arguments import Parser, choice, one_device, path
from hwsim.commands.console import Console
from hwsim.commands.inputs import device_of, question_of, split_overrides, workload_of
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.certificate import Mode, Objective, Space

if TYPE_CHECKING:
    from hwsim.commands.choosers import Chooser
    from hwsim.devices.mapped import MapperView
    from hwsim.mapping.mapper import Search
    from hwsim.mapping.problem import Problem
    from hwsim.mapping.search import Mapped
    from hwsim.report.mapping import MappedOp

__all__ = ["add_arguments", "run"]

EXIT_INFEASIBLE: Final = 3


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    what = "gemm, conv2d or attention with its arguments, or a workload"
    parser.add_argument("words", nargs="*", metavar="KIND name=value | WORKLOAD", help=what)
    parser.add_device()
    parser.add_set()
    parser.add_question()
    objective = "what to minimise (edp; on a GPU or CPU latency, by which libraries choose)"
    parser.add_argument("--objective", type=choice("--objective", "objective", get_args(Objective)), help=objective)
    space = "perfect: factors divide; imperfect: any tile (perfect)"
    parser.add_argument("--space", type=choice("--space", "space", get_args(Space)), help=space)
    mode = "cycles to count: ideal, or pipelined with fill, drain and stalls (the machine's own)"
    parser.add_argument("--mode", type=choice("--mode", "mode", get_args(Mode)), help=mode)
    budget = "seconds after which the best so far is given, with its gap"
    parser.add_argument("--budget-s", type=_seconds, metavar="S", help=budget)
    out = "write the mapping there, as a mapping file if it ends in .yaml, else the answer's JSON"
    parser.add_argument("--out", type=path("--out"), metavar="FILE", help=out)
    parser.add_json()


def _seconds(word: str) -> float:
    """A number of seconds above zero."""
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise HwsimError.at("--budget-s", repr(word), "a number of seconds above 0")
    return value


def run(arguments: Namespace) -> int:
    """Search, and print the mapping with what it costs."""
    from hwsim.commands.choosers import chooser_of  # noqa: PLC0415
    from hwsim.devices.mapped import mapper_view  # noqa: PLC0415
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    overrides = split_overrides(arguments.overrides)
    device = device_of(one_device(arguments.device, "map"), overrides)
    word, pairs = _word_and_pairs(arguments.words)
    is_op = word in KERNELS or bool(pairs)
    if is_op:
        _refuse_question(arguments, overrides.workload)
    chooser = chooser_of(device.value)
    if chooser is not None:
        return (_chosen_op if is_op else _chosen_model)(arguments, console, chooser, word, pairs)
    return (_one_op if is_op else _model)(arguments, console, mapper_view(device.value), word, pairs)


def _word_and_pairs(words: list[str]) -> tuple[str, dict[str, str]]:
    """The kind or workload, and the arguments of a kind.

    Raises:
        HwsimError: no kind, several, or an argument that stands twice.
    """
    kinds = [word for word in words if "=" not in word]
    if len(kinds) != 1:
        found = f"{len(kinds)} kinds ({', '.join(kinds) or 'none'})"
        raise HwsimError.at("hwsim map", found, "a workload, or one kind such as gemm and arguments as name=value")
    pairs: dict[str, str] = {}
    for name, _, value in (word.partition("=") for word in words if "=" in word):
        if name in pairs:
            raise HwsimError.at("hwsim map", f"{name} given twice", "each argument once")
        pairs[name] = value
    return kinds[0], pairs


def _refuse_question(arguments: Namespace, overrides: Sequence[str]) -> None:
    """One op has no phase, batch or context, and nothing of a workload to set."""
    if overrides:
        raise HwsimError.at("--set", f"workload.{overrides[0]}", "device.PATH=VALUE: an op has no workload")
    for option in ("phase", "batch", "context", "new_tokens"):
        if getattr(arguments, option) is not None:
            name = f"--{option.replace('_', '-')}"
            raise HwsimError.at(name, "a question of a workload", "arguments as name=value: an op has no workload")


def _chosen_op(arguments: Namespace, console: Console, chooser: Chooser, kind: str, pairs: dict[str, str]) -> int:
    """The tile, blocking or layout of one op on a GPU, a CPU or an optical machine."""
    from hwsim.commands.map_choices import op_entries, op_form, refuse_search_options, write_choices  # noqa: PLC0415
    from hwsim.report.choices import op_blocks  # noqa: PLC0415

    refuse_search_options(arguments)
    form = op_form(chooser, kind, pairs, console)
    if isinstance(form, Infeasible):
        return _cannot(console, {"kind": kind, "arguments": pairs, "device": chooser.device.name}, form)
    console.answer(form, op_blocks(form))
    if arguments.out is not None and _is_yaml(arguments.out):
        write_choices(arguments.out, kind, chooser.device, op_entries(chooser, kind, pairs))
    elif arguments.out is not None:
        _write_json(arguments.out, form)
    return 0


def _is_yaml(target: Path) -> bool:
    return target.suffix in (".yaml", ".yml")


def _chosen_model(arguments: Namespace, console: Console, chooser: Chooser, name: str, _: dict[str, str]) -> int:
    """The tile, blocking or layout of every product of a model, equal ones once."""
    from hwsim.commands.map_choices import model_form, refuse_search_options, write_choices  # noqa: PLC0415
    from hwsim.pipeline.graphs import pass_of  # noqa: PLC0415
    from hwsim.report.choices import model_blocks  # noqa: PLC0415

    refuse_search_options(arguments)
    workload = workload_of(name, split_overrides(arguments.overrides, arguments.transforms))
    graph, work = pass_of(workload.value, chooser.device, question_of(arguments, workload))
    form = {"workload": workload.value.name, "device": chooser.device.name}
    console.announce_compilation()
    with console.share("searching") as tell:
        found = model_form(chooser, graph, work, tell)
    if isinstance(found, Infeasible):
        return _cannot(console, form, found)
    form, entries = form | found[0], found[1]
    console.answer(form, model_blocks(form))
    if arguments.out is not None and _is_yaml(arguments.out):
        write_choices(arguments.out, workload.value.name, chooser.device, entries)
    elif arguments.out is not None:
        _write_json(arguments.out, form)
    return 0


def _asked(arguments: Namespace, view: MapperView) -> Search:
    from hwsim.mapping.mapper import Search  # noqa: PLC0415

    own: Mode = getattr(view.device, "mode", "ideal")
    budget_s = math.inf if arguments.budget_s is None else arguments.budget_s
    return Search(arguments.objective or "edp", arguments.space or "perfect", arguments.mode or own, budget_s)


def _one_op(arguments: Namespace, console: Console, view: MapperView, kind: str, pairs: dict[str, str]) -> int:
    """One operation; attention is two products."""
    from hwsim.report.mapping import op_blocks, op_form  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    op = build_kernel(kind, _with_format(kind, pairs, view), "hwsim map")
    form: dict[str, Any] = {"kind": kind, "arguments": pairs, "device": view.device.name}
    problems = view.problems(op)
    if isinstance(problems, tuple) and not problems:
        reason = f"only gemm, conv2d and attention are matrix products, not {kind}"
        problems = Infeasible("mapper", 1, 0, "ops", reason, {kind: 1}, ("hwsim kernel, on a machine that runs it",))
    if isinstance(problems, Infeasible):
        return _cannot(console, form, problems)
    console.announce_compilation()
    asked, answers = _asked(arguments, view), []
    with console.share("searching") as tell:
        for problem in problems:
            answer = _search(view, problem, asked, tell)
            if isinstance(answer, Infeasible):
                return _cannot(console, form, answer)
            answers.append(answer)
    form |= op_form(answers, problems, view.hierarchy)
    console.answer(form, op_blocks(form))
    _write_out(arguments.out, form, view, list(zip(problems, answers, strict=True)))
    return 0


def _model(arguments: Namespace, console: Console, view: MapperView, name: str, _: dict[str, str]) -> int:
    """Every matrix product of a model, equal ones searched once."""
    from hwsim.pipeline.graphs import graph_of  # noqa: PLC0415
    from hwsim.report.mapping import MappedOp, model_blocks, model_form  # noqa: PLC0415

    workload = workload_of(name, split_overrides(arguments.overrides, arguments.transforms))
    graph = graph_of(workload.value, view.device, question_of(arguments, workload))
    form: dict[str, Any] = {"workload": workload.value.name, "device": view.device.name}
    console.announce_compilation()
    rows: list[MappedOp] = []
    answers: dict[Problem, Mapped] = {}
    asked, elsewhere = _asked(arguments, view), dict[str, int]()
    with console.share("searching") as tell:
        for op, count in graph.distinct():
            problems = view.problems(op)
            if isinstance(problems, Infeasible):
                return _cannot(console, form, problems)
            if not problems:
                elsewhere[op.name] = elsewhere.get(op.name, 0) + count
            for problem in problems:
                if problem not in answers:
                    found = _search(view, problem, asked, tell)
                    if isinstance(found, Infeasible):
                        return _cannot(console, form, found)
                    answers[problem] = found
                rows.append(MappedOp(op.name, count, problem, answers[problem]))
    form |= model_form(rows, elsewhere, view.hierarchy)
    console.answer(form, model_blocks(form))
    _write_out(arguments.out, form, view, list(answers.items()))
    return 0


def _search(view: MapperView, problem: Problem, asked: Search, tell: Callable[[float], None]) -> Mapped | Infeasible:
    """The best nest; of a machine with one dataflow, its only one."""
    from hwsim.mapping.mapper import best_nest, only_nest  # noqa: PLC0415

    if view.fixed is not None:
        return only_nest(problem, view.hierarchy, view.fixed(problem), asked)
    return best_nest(problem, view.hierarchy, asked, tell)


def _with_format(kind: str, pairs: dict[str, str], view: MapperView) -> dict[str, str]:
    """The arguments with the machine's number formats where the user gave none."""
    from hwsim.workload.kernel import KERNELS  # noqa: PLC0415

    given = {"dtype", "a_dtype", "b_dtype"} & set(pairs)
    if kind not in KERNELS or KERNELS[kind].argument("dtype") is None or given:
        return pairs
    activations, weights = view.formats
    if activations == weights:
        return {"dtype": activations} | pairs
    return {"a_dtype": activations, "b_dtype": weights} | pairs


def _cannot(console: Console, form: dict[str, Any], answer: Infeasible) -> int:
    from hwsim.report.answer import infeasible_blocks  # noqa: PLC0415

    title = str(form.get("kind") or form.get("workload"))
    console.answer(form | {"infeasible": answer.to_dict()}, infeasible_blocks(title, form["device"], answer))
    return EXIT_INFEASIBLE


def _write_out(
    target: Path | None, form: dict[str, Any], view: MapperView, answers: Sequence[tuple[Problem, Mapped]]
) -> None:
    """Write the nests as YAML or the answer as JSON, where asked."""
    if target is None:
        return
    if _is_yaml(target):
        from hwsim.mapping.files import mapping_text  # noqa: PLC0415
        from hwsim.report.files import write_text  # noqa: PLC0415

        title = str(form.get("workload") or form.get("kind"))
        nests = [(problem, answer.nest) for problem, answer in answers]
        write_text(target, mapping_text(target.stem, f"{title} on {view.device.name}", view.device.name, nests))
        return
    _write_json(target, form)


def _write_json(target: Path, form: dict[str, Any]) -> None:
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.result import to_json  # noqa: PLC0415

    write_text(target, to_json(form))
