"""GenerativeEQ's parameters: misspelt ones, expert settings as attributes, and what copies and pickles keep of them."""

import copy
import pickle

import pytest

from babe2_fx import GenerativeEQ
from babe2_fx.priors import PriorError
from babe2_fx.settings import NAMES, SettingError
from standin import tiny_prior

PRIOR = tiny_prior()


class Mine(GenerativeEQ):
    """As users write them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tags = ["a"]


@pytest.mark.parametrize("kind", [GenerativeEQ, Mine])
@pytest.mark.parametrize("wrong, right", [
    ("qualty", "quality"), ("outputgain_db", "output_gain_db"), ("target_mach", "target_match"), ("Quality", "quality"),
    ("gain_db", "output_gain_db"), ("s_chrun", "s_churn"), ("stepz", "steps"), ("sed", "seed"), ("pryor", "prior")])
def test_a_misspelt_parameter_is_refused_and_the_nearest_named(kind, wrong, right):
    effect = kind(quality="draft")
    before = repr(effect)
    for do in (lambda: setattr(effect, wrong, 0.5), lambda: getattr(effect, wrong), lambda: kind(**{wrong: 0.5})):
        with pytest.raises((AttributeError, SettingError), match=rf"'{wrong}'\. Did you mean '{right}'\?"):
            do()
    assert repr(effect) == before


def test_every_setting_is_an_attribute():
    effect = GenerativeEQ(quality="draft")
    values = effect.settings.flat()
    for name in NAMES:
        assert getattr(effect, name, None) == values.get(name), name
    for name, value in values.items():
        setattr(effect, name, value)
        assert getattr(effect, name) == value
    assert effect.settings.flat() == values


def test_an_expert_setting_counts_in_full_and_none_gives_it_back():
    effect, plain = GenerativeEQ(quality="draft"), GenerativeEQ(quality="draft")
    effect.s_churn = 5
    assert effect.s_churn == 5.0 and effect.settings == GenerativeEQ(quality="draft", s_churn=5).settings
    assert "s_churn=5.0" in repr(effect)
    effect.s_churn = None
    assert effect.s_churn == plain.s_churn and effect.settings == plain.settings and repr(effect) == repr(plain)


def test_an_expert_setting_that_is_wrong_or_idle_is_refused_with_the_reason():
    effect = GenerativeEQ(quality="draft")
    before = repr(effect)
    for name, value, words in [("s_churn", -5, "s_churn must lie from 0 to 1000"), ("steps", 2.5, "a whole number"),
                               ("xi", 0.5, "xi does nothing with guidance = direct"), ("guidance", "x", "be one of"),
                               ("sigma_start", 1e-7, "must be below sigma_start|lie from")]:
        with pytest.raises(SettingError, match=words):
            setattr(effect, name, value)
    with pytest.raises(AttributeError, match="xi does nothing with guidance = direct"):
        effect.xi  # noqa: B018
    assert repr(effect) == before


def test_another_variant_brings_its_settings():
    effect = GenerativeEQ(quality="draft", observation_noise_db=-40)
    effect.guidance = "gradient"
    assert effect.xi == 1.0
    effect.xi = 0.5
    with pytest.raises(SettingError, match="observation_noise_db"):  # it was set, and has no effect any more
        effect.settings  # noqa: B018
    effect.observation_noise_db = None
    assert effect.settings["xi"] == 0.5


@pytest.mark.parametrize("other", [copy.copy, copy.deepcopy, lambda effect: pickle.loads(pickle.dumps(effect))])
def test_copies_have_the_parameters_and_are_of_their_own(other):
    one = Mine(quality="draft", mix=0.5, s_churn=5, operators=[{"name": "clip", "threshold_db": -3}])
    made = other(one)
    assert type(made) is Mine and repr(made) == repr(one) and made.tags == ["a"] and made.settings == one.settings
    made.s_churn, made.mix = 7, 0.25
    assert (one.s_churn, one.mix) == (5, 0.5)
    made.tags = [*made.tags, "b"]
    assert one.tags == ["a"]


def test_a_deep_copy_shares_nothing_that_can_change_but_the_prior_itself():
    one = Mine(prior=PRIOR, quality="draft", progress=print)
    made = copy.deepcopy(one)
    made.tags.append("b")
    assert one.tags == ["a"] and made.prior is PRIOR and made.progress is print


def test_a_prior_that_a_pickle_leaves_out_is_missed_and_not_replaced_in_silence():
    once = pickle.loads(pickle.dumps(GenerativeEQ(prior=PRIOR)))
    for effect in (once, pickle.loads(pickle.dumps(once)), copy.deepcopy(once)):
        with pytest.raises(PriorError, match="not kept in its pickle"):
            effect.prior  # noqa: B018
        effect.prior = PRIOR
        assert effect.prior is PRIOR
    assert pickle.loads(pickle.dumps(GenerativeEQ())).prior is GenerativeEQ().prior
