"""Errors for users have a sentence, a code and fields, also when they come from another process."""

import pickle

from babe2_fx.catalogue.presets import PresetError
from babe2_fx.errors import LONGEST, UserError
from babe2_fx.operators import OperatorError


def test_the_code_is_the_kind_unless_it_is_more_exact():
    assert UserError("It is wrong.").code == "user" and PresetError("It is wrong.").code == "preset"
    error = OperatorError("There is no operator called 'x'.", "unknown-operator", operator="x")
    assert (str(error), error.code, error.fields) == ("There is no operator called 'x'.", "unknown-operator",
                                                      {"operator": "x"})


def test_a_sentence_that_quotes_a_whole_file_is_shortened():
    error = UserError(f"in.toml has an unknown key {'a' * 10 ** 6}; take it away.")
    assert len(str(error)) <= LONGEST and str(error).startswith("in.toml has an unknown key aaa")
    assert str(error).endswith("aaa; take it away.") and " … " in str(error)
    assert str(UserError("a" * LONGEST)) == "a" * LONGEST


def test_it_is_whole_on_the_other_side_of_a_process():
    error = pickle.loads(pickle.dumps(OperatorError("It has no inverse.", "no-inverse", operator="clip")))
    assert type(error) is OperatorError and str(error) == "It has no inverse."
    assert error.code == "no-inverse" and error.fields == {"operator": "clip"}
