"""The sums that a page does by hand: ``expression = result unit``, evaluated and compared at the precision shown."""

from __future__ import annotations

import ast
import math
import operator
import re
from decimal import Decimal
from fractions import Fraction

__all__ = ["corrected", "figures"]

_LINE = re.compile(r"^(?P<left>.+?) = (?P<result>-?[\d,]+(?:\.\d+)?)(?P<rest>(?: .*)?)$")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS = {"floor": math.floor, "ceil": math.ceil, "max": max, "cbrt": lambda value: math.cbrt(float(value))}


def figures(text: str, digits: int = 3) -> set[str]:
    """Numbers of at least so many significant digits that stand alone in a text, as written."""
    found = re.findall(r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?(?=x?(?![\w-]))", text)
    numbers = (number.rstrip(",") for number in found)
    return {number for number in numbers if len(re.sub(r"[,.]", "", number).strip("0")) >= digits}


def corrected(line: str) -> str:
    """The line with the result that its left side gives, in as many decimals as it shows.

    Raises:
        ValueError: it is no sum.
    """
    match = _LINE.match(line)
    if match is None:
        raise ValueError(f"{line!r} is not of the form: expression = result unit")
    left = re.sub(r"(?<=\d),(?=\d{3})", "", match["left"])
    decimals = len(match["result"].partition(".")[2])
    value = round(_value(ast.parse(left, mode="eval").body), decimals)
    result = Decimal(value.numerator) / value.denominator
    return f"{match['left']} = {result:,.{decimals}f}{match['rest']}"


def _value(node: ast.expr) -> Fraction:
    """An expression of numbers, exactly."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(str(node.value))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return Fraction(_OPERATORS[type(node.op)](_value(node.left), _value(node.right)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        return Fraction(_FUNCTIONS[node.func.id](*(_value(each) for each in node.args)))
    raise ValueError(f"{ast.unparse(node)!r} is no sum")
