"""Operators by name, for presets, boards and the command line. To add an operator, see CONTRIBUTING.md.

Other packages add theirs by an entry point of the group `babe2_fx.operators`, whose name is the operator's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from importlib.metadata import entry_points
from typing import Any

from .base import Measurement, OperatorError
from .clip import Clip
from .filters import BlindEQ, LowPass
from .mask import TimeMask

OPERATORS: dict[str, type[Measurement]] = {kind.name: kind for kind in (BlindEQ, LowPass, TimeMask, Clip)}

GROUP = "babe2_fx.operators"


def make_operator(name: str, **parameters: Any) -> Measurement:
    """The operator of this name. Strings become numbers where numbers are expected.

    Raises OperatorError naming what does not exist, or the parameter at fault and its allowed values.
    """
    for entry in () if name in OPERATORS else entry_points(group=GROUP, name=name):
        OPERATORS[name] = entry.load()
    if name not in OPERATORS:
        raise OperatorError(f"There is no operator called {name!r}; there are {', '.join(OPERATORS)}.",
                            "unknown-operator", operator=name)
    known = {item.name: item for item in _fields(OPERATORS[name])}
    for parameter, value in parameters.items():
        if parameter not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise OperatorError(f"The operator {name} has no parameter {parameter!r}; {has}.", "unknown-parameter",
                                operator=name, parameter=parameter)
        if isinstance(value, str) and isinstance(known[parameter].default, (int, float)):
            try:
                parameters[parameter] = float(value)
            except ValueError:
                raise OperatorError(f"{parameter} of the operator {name} must be a number, not {value!r}.",
                                    "bad-parameter", operator=name, parameter=parameter) from None
    return OPERATORS[name](**parameters)


def as_operators(operators: Iterable[Measurement | Mapping[str, Any]]) -> tuple[Measurement, ...]:
    """Operators from a list of operators, or of their names with parameters, the first thing that was done first.

    Raises OperatorError for an empty list, what is no operator, or the blind EQ more than once.
    """
    if isinstance(operators, (str, Mapping, Measurement)) or not isinstance(operators, Iterable):
        raise OperatorError(f"Operators must be a list, not {operators!r}.", "no-list")
    made = []
    for one in operators:
        if isinstance(one, Mapping):
            parameters = dict(one)
            name = parameters.pop("name", None)
            if not isinstance(name, str):
                raise OperatorError(f"An operator must have a name, one of {', '.join(OPERATORS)}; {dict(one)!r} has "
                                    "none.", "unnamed-operator")
            one = make_operator(name, **parameters)
        if not isinstance(one, Measurement):
            raise OperatorError(f"{one!r} is not an operator.", "no-operator")
        made.append(one)
    if not made:
        raise OperatorError("The list of operators is empty; leave it out for the blind EQ.", "no-operators")
    if sum(isinstance(one, BlindEQ) for one in made) > 1:
        raise OperatorError("The operator blind-eq can be there only once: two unknown responses are one.", "two-blind")
    return tuple(made)


def operator_values(operator: Measurement) -> dict[str, Any]:
    """A named operator as plain values: its name and parameters, as `make_operator` takes them."""
    return {"name": operator.name, **{item.name: getattr(operator, item.name) for item in _fields(operator)}}


def _fields(operator: Measurement | type[Measurement]) -> tuple[Field[Any], ...]:
    """The parameters of an operator in the registry; all of those are frozen dataclasses."""
    return fields(operator)  # type: ignore[arg-type]
