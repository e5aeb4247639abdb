"""Settings as variants: what has an effect can be set, and what has none is an error that says where it belongs."""

import numpy as np
import pytest

from babe2_fx.settings import (
    NAMES,
    Adam,
    Autoregressive,
    Bands,
    Direct,
    Gradient,
    LongTerm,
    SettingError,
    Settings,
    Sgd,
    TimeInvariant,
    baseline,
)

IDLE = [
    ({"guidance": "direct"}, "xi", 2, "xi does nothing with guidance = direct; it belongs to guidance = gradient."),
    ({"guidance": "direct"}, "noise_regularization", 0.1, "it belongs to guidance = gradient."),
    ({}, "observation_noise_db", -40, "guidance = gradient; it belongs to guidance = direct."),
    ({}, "levels", "learned", "guidance = gradient; it belongs to guidance = direct."),
    ({"filter_fit": "global"}, "collapse_weight", 1, "filter_fit = global; it belongs to filter_fit = adam or sgd."),
    ({"filter_fit": "none"}, "filter_learning_rate", 1, "filter_fit = none; it belongs to filter_fit = adam or sgd."),
    ({}, "estimation_blocks", 3, "blocks = autoregressive; it belongs to blocks = time-invariant."),
    ({"blocks": "time-invariant", "filter_fit": "none"}, "estimation_blocks", 3, "filter_fit = none, where no filter"),
    ({"ltas": "off"}, "ltas_floor_db", -9, "ltas_floor_db does nothing with ltas = off, unless filter_fit = global."),
    ({"ltas": "off", "filter_fit": "none"}, "response_prior", "learned", "ltas = off and filter_fit = none."),
    ({"ltas": "only"}, "steps", 3, "steps does nothing with ltas = only, which samples nothing."),
    ({"ltas": "only"}, "guidance", "direct", "ltas = only"), ({"ltas": "only"}, "low_band", "drop", "ltas = only"),
]


@pytest.mark.parametrize("before, name, value, sentence", IDLE)
def test_a_name_without_an_effect_is_an_error_that_says_where_it_has_one(before, name, value, sentence):
    settings = Settings.of(**before)
    assert name not in settings.flat()
    for ask in (lambda: settings.replace(**{name: value}), lambda: Settings.of(**before, **{name: value})):
        with pytest.raises(SettingError) as error:
            ask()
        assert sentence in str(error.value) and error.value.code == "idle-setting"
        assert error.value.fields == {"name": name, "value": value}


def test_a_change_of_variant_keeps_what_both_have_and_drops_the_rest():
    settings = Settings.of(xi=2, filter_iterations=7, overlap=0.2)
    changed = settings.replace(guidance="direct", filter_fit="sgd", blocks="time-invariant")
    assert changed.guidance == Direct() and changed.fit == Sgd(filter_iterations=7)
    assert changed.blocks == TimeInvariant(overlap=0.2) and changed.replace(guidance="gradient").guidance == Gradient()


def test_the_variants_are_those_of_the_names():
    settings = Settings.of(guidance="direct", filter_fit="global")
    assert isinstance(settings.guidance, Direct) and isinstance(settings.fit, Bands)
    assert isinstance(settings.blocks, Autoregressive) and isinstance(Settings().fit, Adam)
    assert settings.replace(ltas="only").spectrum == LongTerm(ltas="only")


def test_flat_names_are_all_that_has_an_effect_and_make_the_same_settings():
    for settings in (Settings(), Settings.of(guidance="direct", filter_fit="none", blocks="time-invariant"),
                     baseline("babe", Settings()), baseline("ltas-eq", Settings.of(guidance="direct"))):
        flat = settings.flat()
        assert Settings.of(**flat).flat() == flat and set(flat) <= set(NAMES)
        assert all(settings[name] == value for name, value in flat.items())
        assert all(settings.idle(name) for name in NAMES if name not in flat)
    assert "steps" not in baseline("ltas-eq", Settings()).flat()


def test_every_name_says_what_it_is_and_what_it_may_be():
    for name, known in NAMES.items():
        assert known.name == name and known.help and known.extent and known.checked(known.default) == known.default
    assert NAMES["xi"].variants == ("gradient",) and NAMES["guidance"].tag and not NAMES["steps"].variants


@pytest.mark.parametrize("parts", [{"guidance": "direct"}, {"guidance": Adam()}, {"solver": None}])
def test_parts_are_of_their_own_kind(parts):
    with pytest.raises(SettingError, match="`Settings.of` takes settings by name"):
        Settings(**parts)


def test_numbers_of_numpy_are_numbers():
    settings = Settings.of(steps=np.int64(3), xi=np.float32(0.5))
    assert type(settings["steps"]) is int and settings["xi"] == 0.5
