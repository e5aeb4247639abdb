"""Attributes are settled once an object is made: what is misspelt is named, and what a subclass adds is its own."""

import copy
import inspect
import pickle

import pytest

from babe2_fx.attributes import SettledAttributes


class Plugin(SettledAttributes):
    level_db: float
    kind = "plugin"

    def __init__(self, gain_db=0.0, *, mix=1.0):
        self.gain_db, self.mix = gain_db, mix

    @property
    def failing(self):
        return self.mix.nothing


class Own(Plugin):
    declared: str

    def __init__(self):
        self.early = 1
        super().__init__(3.0)
        self.late = [2]


@pytest.mark.parametrize("make", [Plugin, Own, lambda: copy.copy(Own()), lambda: copy.deepcopy(Own()),
                                  lambda: pickle.loads(pickle.dumps(Plugin()))])
def test_what_is_misspelt_is_an_error_that_names_the_nearest(make):
    one = make()
    for do in (lambda: setattr(one, "gaindb", 1.0), lambda: one.gaindb):
        with pytest.raises(AttributeError, match=r"has no attribute 'gaindb'\. Did you mean 'gain_db'\?$"):
            do()
    with pytest.raises(AttributeError, match=r"^(Plugin|Own) has no attribute 'zzz'\.$"):
        one.zzz = 1
    assert not hasattr(one, "gaindb") and "gaindb" not in vars(one)


def test_what_there_is_can_be_set_and_private_names_are_free():
    one = Plugin()
    one.gain_db, one.kind, one.level_db, one._mine = 1.0, "own", -3.0, 4
    assert (one.gain_db, one.kind, one.level_db, one._mine) == (1.0, "own", -3.0, 4) and Plugin.kind == "plugin"
    with pytest.raises(AttributeError, match="_other"):
        one._other  # noqa: B018


def test_a_subclass_has_attributes_of_its_own():
    one = Own()
    assert (one.early, one.late, one.gain_db) == (1, [2], 3.0)
    one.early, one.late, one.declared = 5, 6, "x"
    assert (one.early, one.late, one.declared) == (5, 6, "x")


def test_a_propertys_own_error_is_not_hidden():
    with pytest.raises(AttributeError, match="'float' object has no attribute 'nothing'"):
        Plugin().failing  # noqa: B018


def test_the_signature_is_that_of_the_class():
    assert str(inspect.signature(Plugin)) == "(gain_db=0.0, *, mix=1.0)"
