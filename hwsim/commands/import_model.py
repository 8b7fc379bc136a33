"""`hwsim import`: a workload file from a model's configuration."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from hwsim.commands.arguments import Parser, path
from hwsim.commands.console import Console
from hwsim.errors import HwsimError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="config.json", help="a model's config.json as Hugging Face has it")
    out = "the workload's file; without it the text is printed"
    parser.add_argument("--out", type=path("--out"), metavar="FILE.yaml", help=out)
    parser.add_argument("--name", metavar="NAME", help="the workload's name; by default that of the file or its folder")
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Read the configuration, build the workload once to see that it holds, write or print its file."""
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.report.table import Paragraph  # noqa: PLC0415
    from hwsim.spec import dump_yaml, load, parse  # noqa: PLC0415
    from hwsim.spec.files import read_bytes  # noqa: PLC0415
    from hwsim.workload.huggingface import document_of_config  # noqa: PLC0415
    from hwsim.workload.model import Workload  # noqa: PLC0415
    from hwsim.workload.summary import summary  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    source = arguments.config
    if source.endswith(".onnx"):
        raise HwsimError.at(source, "an ONNX file, which hwsim does not read", "the model's config.json")
    data = read_bytes(source, what="config.json of Hugging Face")
    document = document_of_config(data, source, arguments.name or _name(arguments.out, Path(source)))
    text = f"# {document['description']}. Shapes: {document['source']}.\n{dump_yaml(document)}"
    workload = load(parse(text.encode(), source), Workload)
    parameters = summary(workload).parameters
    if arguments.out is not None:
        write_text(arguments.out, text)
        console.note(f"wrote {arguments.out}")
        console.show(
            [Paragraph(f"{workload.name}: {parameters:,} parameters; check them against the model's own total")]
        )
    elif console.shows_text:
        sys.stdout.write(text)
    console.write_json({"workload": document, "parameters": parameters, "file": str(arguments.out or "")})
    return 0


def _name(out: Path | None, source: Path) -> str:
    """The name of the file to write, else of the folder of a config.json, else of the file."""
    if out is not None:
        return out.stem
    return source.resolve().parent.name if source.stem == "config" else source.stem
