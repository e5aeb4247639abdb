"""Settings of a training run, and the files that hold them."""

import tomllib
from dataclasses import asdict, fields

import pytest

from babe2_fx.priors import MixerConfig, NetworkConfig
from babe2_fx.priors.cqt import OctaveCQT
from babe2_fx.training.config import TrainingConfig, TrainingError, read_config, recipes


def test_every_setting_has_its_help_and_what_is_printed_can_be_read_back(tmp_path):
    config = TrainingConfig(title='A "grand" piano é', minutes=12.5, architecture="unet", channels=(8,) * 7)
    path = tmp_path / "printed.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert read_config(path) == asdict(config)
    assert list(tomllib.loads(config.to_toml())) == [item.name for item in fields(TrainingConfig)]
    assert all(item.metadata["help"] for item in fields(TrainingConfig))


def test_the_recipes_have_the_values_of_table_2():
    rows = {"paper-piano": {"learning_rate": 2e-4, "sample_rate": 22050, "seconds": 8.35, "steps": 850000},
            "paper-voice": {"learning_rate": 2e-5, "sample_rate": 44100, "seconds": 5.94, "steps": 325000,
                            "sigma_data": 1.0},
            "paper-finetune": {"learning_rate": 1e-4, "steps": 8000}}
    assert set(rows) | {"finetune"} == set(recipes())
    for name, row in rows.items():
        config = TrainingConfig(**read_config(name))
        seconds = row.pop("seconds", None)
        row |= {"batch": 4, "ema_rate": 0.9999}
        assert {key: getattr(config, key) for key in row} == row and config.optimizer == "adam" and not config.minutes
        if seconds:
            assert config.crop_length / config.sample_rate == pytest.approx(seconds, abs=0.005)


def test_the_paper_piano_is_the_published_network():
    assert TrainingConfig(**read_config("paper-piano")).network(0.063) == NetworkConfig()


def test_a_new_prior_is_a_mixer_with_the_frames_of_whole_blocks_unless_told_otherwise():
    config = TrainingConfig()
    assert config.network(0.1) == MixerConfig(sigma_data=0.1)
    frames = [OctaveCQT(7, 64, 22050, length, "hann").frames for length in (config.crop_length, config.block_length)]
    assert [4 * n for n in frames[0]] == frames[1]


MISTAKES = {
    "unknown": ("learning_rat = 1", "there is no training setting called 'learning_rat'"),
    "range": ("batch = 0", "batch must lie from 1 to 4096, not 0."),
    "not whole": ("batch = 2.5", "batch must be a whole number, not 2.5."),
    "text": ('batch = "two"', "batch must be a whole number, not 'two'."),
    "truth": ("minutes = true", "minutes must be a number, not True."),
    "nan": ("minutes = nan", "minutes must lie from 0 to 1e+07, not nan."),
    "choice": ('optimizer = "sgd"', "optimizer must be one of muon, adam, not 'sgd'."),
    "choice of a list": ("optimizer = [1]", "optimizer must be one of muon, adam, not [1]."),
    "list": ("channels = 8", "channels must be a list of whole numbers, not 8."),
    "empty list": ("channels = []", "channels must be a list of whole numbers, not []."),
    "in a list": ('channels = [8, "x"]', "channels[1] must be a whole number, not 'x'."),
    "a number for text": ("title = 3", "title must be text, not 3."),
    "a table": ("[network]\nbatch = 2", "there is no training setting called 'network'"),
    "not toml": ("batch: 2", "is not a TOML file"),
    "not utf-8": (b"title = '\xff'", "is not a TOML file"),
}


@pytest.mark.parametrize("content, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_file_is_said_with_the_file(tmp_path, content, sentence):
    path = tmp_path / "mine.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingError) as error:
        read_config(path)
    assert str(error.value).startswith(str(path)) and sentence in str(error.value)


def test_values_that_do_not_go_together_are_said():
    unet = {"architecture": "unet"}
    for changes, sentence in ((unet | {"octaves": 5}, "A network of 5 octaves needs as many channel counts"),
                              (unet | {"channels": (12,) * 7}, "Channel counts must be multiples of 8"),
                              ({"channels": (8,) * 7}, "channels is a setting of the architecture unet, and does "
                                                       "nothing in a mixer. Leave it out, or set architecture to unet"),
                              (unet | {"width": 64}, "width is a setting of the architecture mixer"),
                              ({"token_bands": 5}, "Tokens of 5 bands do not fill octaves of 64"),
                              ({"minutes": 0}, "minutes and steps are both 0"),
                              ({"colour": 1}, "no training setting called 'colour'")):
        with pytest.raises(TrainingError, match=sentence):
            TrainingConfig().replace(**changes)


def test_a_configuration_that_is_not_there_is_answered_with_the_recipes(tmp_path):
    with pytest.raises(TrainingError, match="There is no configuration .*nothing.toml; .* finetune, paper-finetune, "):
        read_config(tmp_path / "nothing.toml")
