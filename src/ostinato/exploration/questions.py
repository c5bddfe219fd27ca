"""Questions that a user asks of every step: small expressions over what a step is and where it stands."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import RecipeError

Column = NDArray[Any]
"""(T,): a value a step."""

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_TESTS = ("isalpha", "isdigit", "isspace", "isupper", "islower", "isalnum")
_LONGEST = 1_000
HELP = (
    "names: token, position (in its row), row, surprise, label, value; "
    "functions: inside('\"'), inside('(', ')'), depth('(', ')'), since('\\n'), before(n), length(), "
    + ", ".join(f"{name}()" for name in _TESTS)
)


def asked(question: str, columns: Mapping[str, Column], rows: Column) -> NDArray[np.float64]:
    """The answer at each step, a number (true: 1, false: 0).

    `inside(mark)` flips at each step that is `mark`, `inside(opening, closing)` and `depth(opening, closing)` count
    what is open after the step; `since(token)` is how many steps ago that was (or the row began), `before(n)` the token
    n steps earlier. Each starts over in every row.

    Args:
        question: an expression as in Python, of comparisons, `in`, `and`, `or`, `not`, + - * / %, and what `HELP` says.
        columns: what is known of each step, (T,) each; `token` among them, or `value`.
        rows: (T,), the row that a step belongs to.

    Raises:
        RecipeError: for what is no such expression.

    Example:
        >>> tokens = np.asarray(list('a "b" c'))
        >>> asked("inside('\\"')", {"token": tokens}, np.zeros(7)).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    if len(question) > _LONGEST:
        raise RecipeError(f"a question has at most {_LONGEST:,} characters. Received: {len(question):,}.")
    try:
        tree = ast.parse(question.strip(), mode="eval")
        with np.errstate(all="ignore"):  # what is no number at a step has no answer there
            answer = _Asked(columns, rows).value(tree.body)
        found = np.broadcast_to(np.asarray(answer, dtype=np.float64), rows.shape)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise RecipeError(f"the question {question!r:.80} can't be asked: {error}.", hint=HELP) from error
    return np.array(found)


class _Asked:
    """An expression over columns; nothing else of Python is reached."""

    def __init__(self, columns: Mapping[str, Column], rows: Column) -> None:
        self.columns, self.rows = columns, rows
        first = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]])) if len(rows) else np.zeros(0, np.int64)
        self.begins = np.repeat(first, np.diff(np.append(first, len(rows))))

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | bool()):
                return node.value
            case ast.Name(id=name):
                return self._column(name)
            case ast.UnaryOp(op=ast.Not()):
                return ~np.asarray(self.value(node.operand)).astype(bool)
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand)
            case ast.BoolOp():
                parts = [np.asarray(self.value(one)).astype(bool) for one in node.values]
                join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                return join.reduce(np.broadcast_arrays(*parts))
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return _ARITHMETIC[type(node.op)](self._number(node.left), self._number(node.right))
            case ast.Compare(ops=[operation], comparators=[right]):
                return self._compared(operation, self.value(node.left), right)
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                return self._called(name, [self.value(one) for one in node.args])
        raise ValueError(f"`{ast.unparse(node):.40}` is none of what a question is made of")

    def _number(self, node: ast.expr) -> Any:
        """What can be calculated with: of texts `'a' * 10_000_000_000` would be one, too."""
        found = self.value(node)
        if np.asarray(found).dtype.kind not in "biuf":
            raise ValueError(f"`{ast.unparse(node):.40}` is no number to calculate with")
        return found

    def _column(self, name: str) -> Column:
        if name not in self.columns:
            raise ValueError(f"`{name}` is not known here; known are {', '.join(self.columns)}")
        return self.columns[name]

    def _compared(self, operation: ast.cmpop, left: Any, right: ast.expr) -> Any:
        if type(operation) in _COMPARE:
            return _COMPARE[type(operation)](left, self.value(right))
        if not isinstance(operation, ast.In | ast.NotIn):
            raise ValueError("a comparison must be ==, !=, <, <=, >, >=, in or not in")
        if isinstance(right, ast.List | ast.Tuple | ast.Set):
            wanted: list[Any] = [self.value(one) for one in right.elts]
        else:
            letters = self.value(right)
            if not isinstance(letters, str):
                raise ValueError("`in` needs a text or a list on its right")
            wanted = list(letters)
        there = np.isin(left, wanted)
        return ~there if isinstance(operation, ast.NotIn) else there

    def _called(self, name: str, given: list[Any]) -> Any:
        tokens = self._column("token")
        if name in _TESTS and not given:
            return _by_kind(tokens, lambda token: getattr(token, name)())
        if name == "length" and not given:
            return _by_kind(tokens, len)
        if name == "before" and len(given) == 1 and isinstance(given[0], int) and given[0] >= 0:
            at = np.arange(len(tokens)) - given[0]
            return np.where(at >= self.begins, tokens[np.maximum(at, 0)], "")
        if not given or not all(isinstance(one, str) for one in given):
            raise ValueError(f"`{name}` is no function of a question, or was given something else than it takes")
        if name == "inside" and len(given) == 1:
            return self._running(tokens == given[0]) % 2 == 1
        if name in ("inside", "depth") and len(given) == 2:
            opened = self._running((tokens == given[0]).astype(np.int64) - (tokens == given[1]))
            return opened > 0 if name == "inside" else opened
        if name == "since" and len(given) == 1:
            places = np.arange(len(tokens))
            last = np.maximum.accumulate(np.where(tokens == given[0], places, -1))
            return places - np.maximum(last, self.begins)
        raise ValueError(f"`{name}` is no function of a question, or was given something else than it takes")

    def _running(self, steps: Column) -> Column:
        """The running sum within each row."""
        total = np.cumsum(steps.astype(np.int64))
        return total - (total[self.begins] - steps[self.begins]) if len(total) else total


def _by_kind(tokens: Column, ask: Callable[[str], Any]) -> Column:
    """Ask each different token once."""
    kinds, places = np.unique(tokens, return_inverse=True)
    return np.asarray([ask(str(kind)) for kind in kinds])[places]
