"""`hwsim import`: a workload file from a model's configuration, or from an ONNX file."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console
from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.workload.from_onnx import Imported

__all__ = ["add_arguments", "run"]

_MOST_SHOWN = 10


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    what = "a model's config.json as Hugging Face has it, or an ONNX file"
    parser.add_argument("model", metavar="model.onnx|config.json", help=what)
    out = "the workload's file; without it the text is printed"
    parser.add_argument("--out", type=path("--out"), metavar="FILE.yaml", help=out)
    parser.add_argument("--name", metavar="NAME", help="the workload's name; by default that of the file or its folder")
    dim = "a dimension that the ONNX file leaves open, as batch=1; may be given several times"
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=N", help=dim)
    skip = "leave out nodes of the ONNX file that hwsim does not understand, and say which"
    parser.add_argument("--skip-unknown", action="store_true", help=skip)
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Read the file, build the workload once to see that it holds, write or print its file."""
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.report.table import Bullets, Paragraph  # noqa: PLC0415
    from hwsim.spec import dump_yaml, load, parse  # noqa: PLC0415
    from hwsim.spec.build import TooLarge  # noqa: PLC0415
    from hwsim.workload.model import Workload  # noqa: PLC0415
    from hwsim.workload.summary import summary  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    source = arguments.model
    name = arguments.name or _name(arguments.out, Path(source))
    imported = _of_onnx(arguments, source, name) if source.lower().endswith(".onnx") else None
    document = imported.document if imported else _of_config(arguments, source, name)
    text = f"# {document['description']}. Shapes: {document['source']}.\n{dump_yaml(document)}"
    try:
        written = parse(text.encode(), source)
    except TooLarge:
        raise _too_long(document, text, source) from None
    workload = load(written, Workload)
    counted = summary(workload)
    words = _words(workload.name, counted.parameters, counted.macs, imported)
    if arguments.out is not None:
        write_text(arguments.out, text)
        console.note(f"wrote {arguments.out}")
        left_out = [Bullets(imported.skipped[:_MOST_SHOWN])] if imported and imported.skipped else []
        console.show([Paragraph(words), *left_out])
    elif console.shows_text:
        sys.stdout.write(text)
    more = {"macs": counted.macs, "free": dict(imported.free), "skipped": list(imported.skipped)} if imported else {}
    shown: dict[str, Any] = {"workload": document, "parameters": counted.parameters}
    console.write_json({**shown, "file": str(arguments.out or ""), **more})
    return 0


def _too_long(document: Mapping[str, Any], text: str, source: str) -> HwsimError:
    """The fault of a list that no workload file holds."""
    from hwsim.spec.build import MAX_NODES  # noqa: PLC0415
    from hwsim.spec.text import MAX_BYTES  # noqa: PLC0415

    listed = document["model"].get("ops", ())
    found = f"{len(listed):,} operators beside those that repeat, {len(text):,} bytes as a workload file"
    expected = f"at most {MAX_BYTES:,} bytes and {MAX_NODES:,} values, some 10,000 operators: a part of the model"
    return HwsimError.at(source, found, expected)


def _of_config(arguments: Namespace, source: str, name: str) -> dict[str, Any]:
    from hwsim.spec.files import read_bytes  # noqa: PLC0415
    from hwsim.workload.huggingface import document_of_config  # noqa: PLC0415

    for option, given in (("--dim", arguments.dim), ("--skip-unknown", arguments.skip_unknown)):
        if given:
            raise HwsimError.at(option, f"{option} for {source}", "an ONNX file: a config.json leaves nothing open")
    return document_of_config(read_bytes(source, what="config.json of Hugging Face"), source, name)


def _of_onnx(arguments: Namespace, source: str, name: str) -> Imported:
    from hwsim.spec.files import read_bytes  # noqa: PLC0415
    from hwsim.workload.from_onnx import document_of_onnx  # noqa: PLC0415
    from hwsim.workload.from_onnx.read import MAX_BYTES  # noqa: PLC0415

    dims = _dims(arguments.dim)
    data = read_bytes(source, what="file of ONNX", most=MAX_BYTES)
    return document_of_onnx(data, source, name, dims, arguments.skip_unknown)


def _dims(texts: Sequence[str]) -> dict[str, int]:
    """Open dimensions by name.

    Raises:
        HwsimError: no ``NAME=N`` with a whole number from 1 to 10^9, or a name twice.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        whole = int(number) if number.isdecimal() and number.isascii() and len(number) <= 10 else 0
        if not (equals and name and 1 <= whole <= 10**9):
            raise HwsimError.at("--dim", repr(text), "NAME=N, a whole number from 1 to 10^9")
        if found.get(name, whole) != whole:
            raise HwsimError.at("--dim", f"{name} as {found[name]} and as {whole}", "one value")
        found[name] = whole
    return found


def _words(name: str, parameters: int, macs: int, imported: Imported | None) -> str:
    if imported is None:
        return f"{name}: {parameters:,} parameters; check them against the model's own total"
    return " ".join(_parts(name, parameters, macs, imported))


def _parts(name: str, parameters: int, macs: int, imported: Imported) -> Iterator[str]:
    operators = "1 operator" if imported.operators == 1 else f"{imported.operators:,} operators"
    yield f"{name}: {operators}, {parameters:,} parameters, {macs:,} multiply-accumulates;"
    yield "check them against the model's own totals."
    if imported.free:
        yield f"Without cost: {_counted(imported.free)}."
    if imported.skipped:
        count = len(imported.skipped)
        yield f"Left out, as not understood: {count} {'node' if count == 1 else 'nodes'}."


def _counted(free: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(free.items()))


def _name(out: Path | None, source: Path) -> str:
    """The name of the file to write, else of the folder of a config.json, else of the file."""
    if out is not None:
        return out.stem
    return source.resolve().parent.name if source.stem == "config" else source.stem
