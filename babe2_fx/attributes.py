"""Objects whose attributes are settled once they are made, so that a misspelt one is an error."""

from __future__ import annotations

import difflib
import inspect
from abc import ABCMeta
from collections.abc import Iterable
from typing import Any


class _Settling(ABCMeta):
    """Marks an object as made after the `__init__` of its class, whichever subclass that is."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        made.__dict__["_settled"] = True
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of `__init__`, which the `__call__` above would hide."""
        return inspect.signature(cls.__init__.__get__(cls))  # type: ignore[misc]


class SettledAttributes(metaclass=_Settling):
    """Takes no new public attribute once it is made, as Pedalboard's plugins take none.

    Setting or reading one that it lacks raises AttributeError, which names the nearest that it has. A subclass may have
    attributes of its own: those that it declares, and those that its `__init__` sets. What begins with an underscore is
    free.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(self)
        if not name.startswith("_") and "_settled" in own and name not in own and not _declared(type(self), name):
            raise _lacking(self, name)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """Says what is wrong with a name that was not found."""
        if any(isinstance(vars(kind).get(name), property) for kind in type(self).__mro__):
            return object.__getattribute__(self, name)  # it is there, and what it raised was its own error
        raise _lacking(self, name)


def nearest(name: str, names: Iterable[str], words: str = " Did you mean {!r}?") -> str:
    """Which of these a misspelt name may mean, in words that follow the error's; empty if none is like it."""
    near = difflib.get_close_matches(name, sorted(names), 1)
    return words.format(near[0]) if near else ""


def _declared(kind: type, name: str) -> bool:
    return any(name in vars(base) or name in vars(base).get("__annotations__", ()) for base in kind.__mro__)


def _lacking(one: object, name: str) -> AttributeError:
    hint = "" if name.startswith("_") else nearest(name, (known for known in dir(one) if not known.startswith("_")))
    # With the name given, Python adds no suggestion of its own to the message.
    return AttributeError(f"{type(one).__name__} has no attribute {name!r}.{hint}", name=name)
