"""Row selections written as expressions over catalogue columns; parsed, never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError

__all__ = ["Selection", "check_rows", "parse_selection"]

_KEY = "cutouts.rows"
_EXAMPLE = 'an expression such as "mag_pstotal_r < 20 and ellipticity_det < 0.5"'
_MAX_LENGTH = 2000

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log10": np.log10,
    "isfinite": np.isfinite,
}


class Selection:
    """A parsed expression.

    Attributes
    ----------
    text : str
    columns : tuple of str
        Names of the columns that it reads.
    """

    def __init__(self, text: str, tree: ast.expr) -> None:
        self.text = text
        self._tree = tree
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.columns = tuple(sorted(names - set(_FUNCTIONS)))

    def rows(self, values: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.bool_]:
        """Which rows are selected.

        Parameters
        ----------
        values : mapping of str to ndarray, shape (n,)
            The columns by the names in `columns`; missing numbers are NaN, with which every
            comparison but ``!=`` is false.
        count : int
            n, which an expression without a column does not tell.

        Returns
        -------
        ndarray of bool, shape (n,)

        Raises
        ------
        ConfigurationError
            If the expression is not a condition, has no value (a division by zero), or compares
            things that cannot be compared.
        """
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(self._value(self._tree, values))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ConfigurationError(_KEY, f"{self.text!r} ({error})", _EXAMPLE) from error
        except RecursionError as error:
            raise ConfigurationError(_KEY, "an expression nested too deeply", _EXAMPLE) from error
        if result.dtype != np.bool_ or result.shape not in ((count,), ()):
            raise ConfigurationError(_KEY, f"{self.text!r}, which is a number", "a condition")
        return np.broadcast_to(result, (count,))

    def _value(self, node: ast.expr, values: Mapping[str, NDArray[Any]]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.BoolOp):
            parts = [self._value(item, values) for item in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*parts))
        if isinstance(node, ast.Compare):
            result: Any = True
            left = self._value(node.left, values)
            for comparison, item in zip(node.ops, node.comparators, strict=True):
                right = self._value(item, values)
                result = result & _COMPARISONS[type(comparison)](left, right)
                left = right
            return result
        if isinstance(node, ast.UnaryOp):
            operand = self._value(node.operand, values)
            return np.logical_not(operand) if isinstance(node.op, ast.Not) else -operand
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            return _ARITHMETIC[type(node.op)](left, right)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return _FUNCTIONS[node.func.id](self._value(node.args[0], values))
        raise TypeError(f"{ast.unparse(node)} is not understood")


def parse_selection(text: str) -> Selection:
    """Parse a selection.

    Parameters
    ----------
    text : str
        Comparisons of columns with numbers, quoted text or each other, and columns of logical
        values, joined by ``and``, ``or``, ``not`` and brackets; ``+ - * /``, ``&`` and ``|`` on
        integer bits, and the functions ``abs``, ``sqrt``, ``log10``, ``isfinite``.

    Returns
    -------
    Selection

    Raises
    ------
    ConfigurationError
        If it is anything else.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigurationError(_KEY, f"{len(text)} characters", f"at most {_MAX_LENGTH}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        for node in ast.walk(tree):
            if not _allowed(node):
                shown = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
                raise ConfigurationError(_KEY, f"{shown!r} in {text!r}", _EXAMPLE)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(_KEY, f"{text!r} ({error})", _EXAMPLE) from error
    return Selection(text, tree)


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, str))
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        return named and len(node.args) == 1 and not node.keywords
    if isinstance(node, (ast.cmpop, ast.operator)):
        return type(node) in _COMPARISONS or type(node) in _ARITHMETIC
    plain = (ast.Name, ast.Load, ast.BoolOp, ast.Compare, ast.BinOp, ast.boolop)
    return isinstance(node, (*plain, ast.UnaryOp, ast.Not, ast.USub))


def check_rows(text: str) -> None:
    """Check the syntax of a value of ``cutouts.rows``.

    Raises
    ------
    ConfigurationError
        If it is neither ``all``, ``gaia``, ``none`` nor an expression.
    """
    if text.strip() not in ("all", "gaia", "none"):
        parse_selection(text)
