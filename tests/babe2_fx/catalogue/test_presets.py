"""Presets: those that ship, the user's own, and what is said of those that cannot be used."""

import os
import shutil
from importlib.resources import files

import pytest

from babe2_fx.catalogue.presets import (
    EMBEDDED,
    INSTALLED,
    MISSING,
    PresetError,
    list_presets,
    load_preset,
    preset_text,
)
from babe2_fx.catalogue.weights import KNOWN, weights_path
from babe2_fx.priors import save_prior
from babe2_fx.settings import Settings
from standin import tiny_prior

PUBLISHED = ("piano-maestro", "tenor-caruso", "tenor-gigli", "soprano-melba", "soprano-patti")
# Table 3 of the paper.
PIANO = {"sigma_start": 0.5, "sigma_min": 4e-5, "rho": 13, "steps": 51, "s_churn": 10, "xi": 1.0,
         "noise_regularization": 0.25, "filter_learning_rate": 10, "filter_iterations": 100, "collapse_decay": 0.1,
         "collapse_weight": 10}
VOICE = PIANO | {"sigma_start": 10, "sigma_min": 1e-3, "xi": 0.5, "noise_regularization": 1}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Configuration and cache folders of its own; returns where the user's presets go."""
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path / "cache"))
    presets = tmp_path / "config" / "presets"
    presets.mkdir(parents=True)
    return presets


GOOD = 'title = "Mine"\ndescription = "My own piano."\n'


def install(name):
    """Something where the weights of this name would lie; presets do not look into it."""
    weights_path(name).parent.mkdir(parents=True, exist_ok=True)
    weights_path(name).write_bytes(b"weights")


# ------------------------------------------------------------------------------------------ those that ship

@pytest.mark.parametrize("name, expected", [(name, PIANO if "piano" in name else VOICE) for name in PUBLISHED])
def test_paper_quality_has_every_value_of_table_3(name, expected):
    settings = load_preset(name).settings("paper")
    assert {key: settings[key] for key in expected} == expected
    assert settings == Settings().replace(**expected)  # and everything else is the paper's, which the defaults are


@pytest.mark.parametrize("name", sorted(folder.name for folder in files("babe2_presets").iterdir()
                                        if folder.joinpath("preset.toml").is_file()))
def test_every_preset_that_ships_is_whole(name):
    preset = load_preset(name)
    assert preset.title and preset.description and preset.card.startswith("# ")
    assert preset.settings("draft")["steps"] < preset.settings("standard")["steps"] < preset.settings("paper")["steps"]
    if preset.weights:
        assert KNOWN[preset.weights].file in preset.card and "licence of the weights | not stated" in preset.card
    else:
        assert preset.state == EMBEDDED and preset.prior_path.is_file()


@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_weights_are_a_sentence_on_how_to_get_them(name):
    preset = load_preset(name)
    assert preset.state == MISSING
    with pytest.raises(PresetError) as error:
        preset.prior_path  # noqa: B018
    said = str(error.value)
    assert f"weights of preset {name} are not installed" in said and f"`babe2 weights pull {name}`" in said
    assert KNOWN[name].address in said and f"`babe2 weights import {KNOWN[name].file}`" in said
    assert ("Meanwhile you can use the embedded preset piano." in said) == ("piano" in name)


def test_installed_weights_are_found_by_their_name():
    install("tenor-gigli")
    preset = load_preset("tenor-gigli")
    assert preset.state == INSTALLED and preset.prior_path == weights_path("tenor-gigli")
    assert load_preset("tenor-caruso").state == MISSING


# --------------------------------------------------------------------------------------------- the user's own

def test_a_users_preset_is_a_file_or_a_folder_with_its_prior_or_weights(folders):
    (folders / "mine.toml").write_text(GOOD + 'prior = "my.safetensors"\n[draft]\nsteps = 7\n')
    (folders / "my.safetensors").write_bytes(b"prior")
    (folders / "mine.md").write_text("# My card\n")
    (folders / "old-organ").mkdir()
    (folders / "old-organ" / "preset.toml").write_text(GOOD)
    (folders / "with-weights.toml").write_text(GOOD + 'weights = "organ"\nmeanwhile = "piano"\n')

    assert {"mine", "old-organ", "with-weights", "piano", *PUBLISHED} <= set(list_presets())
    mine = load_preset("mine")
    assert mine.prior_path == folders / "my.safetensors" and mine.state == INSTALLED and not mine.shipped
    assert (mine.settings("draft")["steps"], mine.settings()["steps"]) == (7, Settings()["steps"])
    assert mine.card == "# My card\n"

    with pytest.raises(PresetError, match=r"preset\.toml needs the prior .*prior\.safetensors, which is missing"):
        load_preset("old-organ").prior_path  # noqa: B018
    (folders / "old-organ" / "prior.safetensors").write_bytes(b"prior")
    assert load_preset("old-organ").state == INSTALLED

    with pytest.raises(PresetError, match="`babe2 weights import FILE --name organ`. Meanwhile you can use"):
        load_preset("with-weights").prior_path  # noqa: B018
    install("organ")
    assert load_preset("with-weights").prior_path == weights_path("organ")


def save_tiny_prior(path, sigma_data=0.063):
    prior = tiny_prior()
    save_prior(path, prior.network.state_dict(), prior.network.config, sigma_data, sigma_data, None, None, {})


def test_a_prior_file_is_a_preset_by_its_path_with_settings_at_its_level(tmp_path):
    path = tmp_path / "My organ.safetensors"
    save_tiny_prior(path)
    preset = load_preset(str(path))
    assert preset.prior_path == path and preset.name == preset.title == "My organ" and preset.state == INSTALLED
    for quality in ("draft", "standard"):  # as the embedded prior's, which is at the same level
        assert preset.settings(quality) == load_preset("piano").settings(quality)
    assert preset.settings("paper") == Settings()
    save_tiny_prior(path, sigma_data=1.0)
    assert load_preset(str(path)).settings("paper")["sigma_start"] == pytest.approx(0.5 / 0.063, rel=0.01)


def test_the_preset_file_beside_a_prior_counts_and_can_be_given_itself(tmp_path):
    path = tmp_path / "organ.safetensors"
    save_tiny_prior(path)
    text = preset_text('An "organ"\nof mine', "Played.", path.name, 0.063)
    path.with_suffix(".toml").write_text(text + "seed = 7\n", encoding="utf-8")
    path.with_suffix(".md").write_text("# My card\n")
    for given in (path, path.with_suffix(".toml")):
        preset = load_preset(str(given))
        assert preset.title == 'An "organ" of mine' and preset.settings("draft")["seed"] == 7
        assert preset.card == "# My card\n" and preset.prior_path == path
    other = tmp_path / "other.safetensors"  # whose neighbour is for another prior
    save_tiny_prior(other)
    other.with_suffix(".toml").write_text(text)
    assert load_preset(str(other)).prior_path == other


@pytest.mark.parametrize("name, content, sentence", [
    ("gone.safetensors", None, "There is no file"), ("gone.toml", None, "There is no file"),
    ("bad.safetensors", b"no prior", "it does not begin as one"), ("bad.toml", b"title = 3", "must be a string")])
def test_a_path_that_cannot_be_used_is_said(tmp_path, name, content, sentence):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PresetError, match=f"{name}.* {sentence.split()[-1]}|{sentence}.*{name}"):
        load_preset(str(tmp_path / name))


def test_what_cannot_be_used_meanwhile_is_not_recommended(folders):
    for name, meanwhile in (("one", "tenor-caruso"), ("two", "two"), ("three", "nothing")):
        (folders / f"{name}.toml").write_text(GOOD + f'weights = "gone"\nmeanwhile = "{meanwhile}"\n')
        with pytest.raises(PresetError) as error:
            load_preset(name).prior_path  # noqa: B018
        assert "Meanwhile" not in str(error.value)


def test_a_preset_with_the_name_of_a_shipped_one_is_said_and_not_used(folders):
    (folders / "piano.toml").write_text(GOOD)
    assert list_presets().count("piano") == 1
    with pytest.raises(PresetError, match=r"piano\.toml has the name of a preset that ships with this program; rename"):
        load_preset("piano")


def test_two_presets_of_one_name_are_said(folders):
    (folders / "mine.toml").write_text(GOOD)
    (folders / "mine").mkdir()
    (folders / "mine" / "preset.toml").write_text(GOOD)
    with pytest.raises(PresetError, match=r"mine.preset\.toml and .*mine\.toml have the same name; rename one of"):
        load_preset("mine")


BROKEN = {
    "not toml": ("title = Mine", "is not a TOML file: Invalid value (at line 1, column 9)."),
    "not utf-8": (GOOD.encode() + b"\n# \xff", "is not a TOML file: 'utf-8' codec can't decode byte 0xff"),
    "empty": ("", "lacks a title."),
    "no description": ('title = "x"', "lacks a description."),
    "title a number": ('title = 3\ndescription = "x"', "title must be a string, not 3."),
    "title empty": ('title = " "\ndescription = "x"', "title must be a string, not ' '."),
    "unknown key": (GOOD + 'priors = "x"', "has an unknown key 'priors'; a preset has the keys title, description, "
                    "prior, weights, meanwhile and the tables settings, draft, standard, paper."),
    "unknown table": (GOOD + "[drafts]\nsteps = 3", "has an unknown table 'drafts'; a preset has"),
    "not a table": (GOOD + "draft = 3", "draft must be a table, [draft], not 3."),
    "both": (GOOD + 'prior = "a"\nweights = "b"', "names both a prior and weights; it can have only one of them."),
    "weights a path": (GOOD + 'weights = "../../x"', "weights must be a name of lower-case letters a to z, digits and "
                       "hyphens, not '../../x'."),
    "unknown setting": (GOOD + "[draft]\nstepz = 3",
                        "[draft]: there is no setting called 'stepz' (did you mean 'steps'?); "),
    "setting of earlier versions": (GOOD + "[draft]\nltas_margin = 0.5",
                                    "[draft]: there is no setting ltas_margin any more: what is the music's own"),
    "out of range": (GOOD + "[draft]\nxi = 101", "quality draft: xi must lie from 0 to 100, not 101."),
    "too few": (GOOD + "[paper]\nsteps = 1", "quality paper: steps must lie from 2 to 1000, not 1."),
    "a text": (GOOD + '[settings]\nsteps = "many"', "steps must be a whole number, not 'many'."),
    "a truth": (GOOD + "[settings]\nxi = true", "xi must be a number, not True."),
    "a list": (GOOD + "[settings]\nxi = [1]", "xi must be a number, not [1]."),
    "not a number": (GOOD + "[settings]\nxi = nan", "xi must lie from 0 to 100, not nan."),
    "no choice": (GOOD + '[standard]\nguidance = "loud"', "quality standard: guidance must be one of gradient, direct, "
                  "not 'loud'."),
    "two at odds": (GOOD + "[draft]\nsigma_min = 1.0", "quality draft: sigma_min (1) must be below sigma_start (0.5)."),
}


@pytest.mark.parametrize("content, sentence", BROKEN.values(), ids=BROKEN)
def test_a_broken_preset_is_said_by_file_key_and_range(folders, content, sentence):
    path = folders / "broken.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PresetError) as error:
        load_preset("broken")
    assert str(error.value).startswith(str(path)) and sentence in str(error.value)
    assert "broken" in list_presets() and load_preset("piano").state == EMBEDDED  # the others are not affected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_preset_may_begin_with_the_mark_of_its_encoding(folders, encoding):
    (folders / "mine.toml").write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
    assert load_preset("mine").title == "Mine"


def test_a_prior_may_have_a_name_that_is_not_text(tmp_path):
    prior = tmp_path / os.fsdecode(b"caf\xe9\n.safetensors")
    shutil.copy(load_preset("piano").prior_path, prior)
    preset = load_preset(str(prior))
    assert preset.prior_path == prior and preset.title == r"caf\xe9\n"


@pytest.mark.parametrize("content, says", [("version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
                                           ("<!doctype html>", "is a web page")])
def test_what_stands_in_the_place_of_a_prior_is_said(tmp_path, content, says):
    (tmp_path / "x.safetensors").write_text(content)
    with pytest.raises(PresetError, match=f"x.safetensors {says}"):
        load_preset(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_no_number_at_all_for_a_whole_number_is_said(folders, value):
    (folders / "broken.toml").write_text(GOOD + f"[draft]\nsteps = {value}\n")
    with pytest.raises(PresetError, match=r"broken\.toml, quality draft: "):
        load_preset("broken")


def test_a_name_that_not_every_file_system_can_tell_from_others_is_said(folders):
    (folders / "Piano.toml").write_text(GOOD)
    with pytest.raises(PresetError, match=r"Piano\.toml cannot be used: a preset's name may have lower-case letters"):
        load_preset("Piano")


@pytest.mark.parametrize("name", ["kazoo", "", "..", "../presets/piano", "piano/"])
def test_an_unknown_name_is_answered_with_those_there_are(name):
    with pytest.raises(PresetError, match="There is no preset called .*; there are: .*piano, piano-maestro"):
        load_preset(name)


def test_a_prior_whose_name_no_file_can_have_is_missing_and_hides_no_other(folders, capsys):
    from babe2_host.cli import main
    (folders / "long.toml").write_text(GOOD + f'prior = "{"p" * 300}.safetensors"')
    assert load_preset("long").state == MISSING
    with pytest.raises(PresetError, match="needs the prior .*, which is missing"):
        load_preset("long").prior_path  # noqa: B018
    assert main(["presets"]) in (0, None)
    assert {"long", "piano"} <= {line.split()[0] for line in capsys.readouterr().out.splitlines()}


def test_a_preset_nested_without_end_is_said_and_hides_no_other(folders, capsys):
    from babe2_host.cli import main
    (folders / "deep.toml").write_text("x = " + "[" * 6000)
    (folders / "long.toml").write_text("a." * 200000 + "a = 1")
    (folders / "huge.toml").write_text(GOOD + "[draft]\nsteps = 0x" + "f" * 10000)
    (folders / "fine.toml").write_text(GOOD)
    with pytest.raises(PresetError, match=r"deep\.toml is not a TOML file: its lists and tables are nested more"):
        load_preset("deep")
    assert main(["presets"]) in (0, None)
    said = capsys.readouterr()
    assert all(f"{name:16} cannot be used" in said.out for name in ("deep", "long", "huge"))
    assert all(f"{name}.toml is not a TOML file: " in said.err for name in ("deep", "long", "huge"))
    assert "fine " in said.out and "piano " in said.out


def test_a_prior_at_a_level_that_is_none_of_music_needs_a_preset_of_its_own(tmp_path):
    prior, path = tiny_prior(), tmp_path / "loud.safetensors"
    save_prior(path, prior.network.state_dict(), prior.network.config, 900.0, 900.0, None, None, {})
    with pytest.raises(PresetError, match=r"loud\.safetensors has a level of 900, .* of its own, loud\.toml"):
        load_preset(str(path))
