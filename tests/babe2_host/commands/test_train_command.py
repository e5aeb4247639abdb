"""`babe2 train`, `finetune` and `sample`, from arguments to files, with the smallest of networks."""

import argparse
import tomllib

import numpy as np
import pytest
import soundfile

from babe2_fx.errors import UserError
from babe2_fx.priors import load_prior
from babe2_host.commands import train as command

TINY = """
octaves = 3
bins_per_octave = 16
width = 8
depth = 2
embedding = 16
block_length = 16384
crop = 16384
minutes = 0
steps = 2
"""


@pytest.fixture(autouse=True)
def rough_examples(monkeypatch):
    monkeypatch.setattr("babe2_fx.training.train.EXAMPLE_STEPS", 2)
    monkeypatch.setattr("babe2_fx.training.trainer.HELD_OUT_CROPS", 2)


@pytest.fixture
def folder(tmp_path, monkeypatch, make_notes):
    """A working folder with a folder of recordings and a configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / "data" / f"{i}.wav", make_notes(44100, 1.5, seed=i).T, 44100)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def babe2(*args):
    parser = argparse.ArgumentParser(prog="babe2", allow_abbrev=False)
    command.add(parser.add_subparsers(required=True))
    args = parser.parse_args([*map(str, args)])
    return args.run(args) or 0


def train(*args):
    return babe2("train", "data", "-o", "mine.safetensors", "--config", "tiny.toml", "--device", "cpu", *args)


def test_train_then_finetune_then_sample(folder, capsys):
    assert train() == 0
    said = capsys.readouterr()
    assert not said.out and "2 recordings of" in said.err and "Use it with --preset mine.safetensors" in said.err
    prior = load_prior("mine.safetensors")
    assert prior.info["steps"] == 2 and prior.block_length == 16384

    assert babe2("finetune", "mine.safetensors", "data", "-o", "tuned.safetensors", "--set", "steps=1", "--set",
                 "minutes=0", "--set", "batch=1", "--device", "cpu", "-q") == 0
    assert not capsys.readouterr().err
    tuned = load_prior("tuned.safetensors")
    assert tuned.info["base"]["file"] == "mine.safetensors" and tuned.info["training"]["normalization"] == "collection"
    assert (folder / "tuned.md").read_text().startswith("# tuned\n")

    assert babe2("sample", "tuned.safetensors", "-o", "drawn", "--count", "2", "--seed", "5", "--set", "steps=2",
                 "--device", "cpu") == 0
    drawn = [soundfile.read(f"drawn/tuned-{seed}.flac")[0] for seed in (5, 6)]
    assert all(0.01 < audio.std() < 0.1 and len(audio) == 16384 for audio in drawn)
    assert not np.array_equal(*drawn)


def test_a_file_that_is_left_out_is_said_once(folder, capsys):
    (folder / "data" / "broken.flac").write_text("no music")
    assert train() == 0
    assert capsys.readouterr().err.count("broken.flac is not an audio file that can be read") == 1


def test_ctrl_c_saves_and_the_same_command_goes_on(folder, capsys, monkeypatch):
    import babe2_fx.training.train as module
    real, calls = module.Trainer.step, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)
    monkeypatch.setattr(module.Trainer, "step", interrupted)
    assert train("--set", "steps=4") == 130
    assert "Stopped at step 2; the same command goes on from there." in capsys.readouterr().err
    assert train("--set", "steps=4") == 0
    assert "goes on from step 2." in capsys.readouterr().err and load_prior("mine.safetensors").info["steps"] == 4


def test_the_settings_that_are_listed_are_a_configuration(folder, capsys):
    assert train("--set", "title=Mine", "--set", "batch=3", "--set", "depth=3", "--list-settings") == 0
    listed = tomllib.loads(capsys.readouterr().out)
    assert (listed["title"], listed["batch"], listed["depth"], listed["octaves"]) == ("Mine", 3, 3, 3)
    layers = "layers=[2, 2, 3, 3, 3, 4, 9]"
    assert babe2("train", "--set", "architecture=unet", "--set", layers, "--list-settings") == 0
    assert tomllib.loads(capsys.readouterr().out)["layers"] == [2, 2, 3, 3, 3, 4, 9]
    assert babe2("finetune", "--list-settings") == 0
    assert tomllib.loads(capsys.readouterr().out)["normalization"] == "collection"
    assert not (folder / "mine.run").exists()


@pytest.mark.parametrize("args, sentence", [
    (("train", "-o", "x.safetensors"), "DATA_DIR, the folder of recordings, is missing"),
    (("train", "data"), "-o PRIOR.safetensors is missing"),
    (("train", "nowhere", "-o", "x.safetensors"), "There is no folder nowhere"),
    (("train", "tiny.toml", "-o", "x.safetensors"), "tiny.toml is a file; training needs a folder"),
    (("train", "data", "-o", "x.wav"), "must be a file NAME.safetensors, not x.wav"),
    (("train", "data", "-o", "caf\udce9.safetensors"), "its preset has to name it, and a preset is text"),
    (("train", "data", "-o", "x.safetensors", "--config", "gone.toml"), "There is no configuration gone.toml"),
    (("train", "data", "-o", "x.safetensors", "--config", "data/0.wav"), "0.wav is not a TOML file"),
    (("train", "data", "-o", "x.safetensors", "--set", "batch"), "--set needs NAME=VALUE"),
    (("train", "data", "-o", "x.safetensors", "--set", "batches=3"), "no training setting called 'batches'"),
    (("train", "data", "-o", "x.safetensors", "--set", "batch=many"), "batch must be a whole number, not 'many'."),
    (("train", "data", "-o", "x.safetensors", "--set", "channels=8"), "channels must be a list of whole numbers"),
    (("finetune", "nothing", "data", "-o", "x.safetensors"), "There is no preset called 'nothing'"),
    (("finetune", "gone.pt", "data", "-o", "x.safetensors"), "There is no prior file gone.pt"),
    (("finetune", "data/0.wav", "data", "-o", "x.safetensors"), "0.wav is not a safetensors file"),
    (("finetune", "piano", "data", "-o", "x.safetensors", "--set", "octaves=7"), "octaves cannot be set here"),
    (("sample", "gone.safetensors", "-o", "d"), "There is no prior file gone.safetensors"),
    (("sample", "piano", "-o", "d", "--count", "0"), "--count must be at least 1, not 0."),
    (("sample", "piano", "-o", "d", "--set", "steps=1"), "steps must lie from 2 to 1000, not 1."),
])
def test_a_mistake_is_a_sentence(folder, args, sentence):
    with pytest.raises(UserError) as error:
        babe2(*args, "--device", "cpu")
    assert sentence in str(error.value) and not (folder / "x.safetensors").exists()
    assert not (folder / "x.run").exists()


def test_finetune_without_a_base_is_a_sentence(folder):
    with pytest.raises(UserError, match="BASE"):
        babe2("finetune", "-o", "x.safetensors")


# -------------------------------------------------------------------------------- models of levels and responses

@pytest.fixture
def longer(folder, make_notes):
    """The folder with recordings that are long enough for a level model."""
    for i in range(3):
        soundfile.write(folder / "data" / f"{i}.wav", make_notes(22050, 4.0, seed=i).T, 22050)
    return folder


def test_levels_are_added_to_a_prior_of_a_preset(longer, capsys):
    levels = ("train", "data", "-o", "mine.safetensors", "--task", "levels", "--base", "tenor", "--set", "minutes=0.02")
    assert babe2(*levels, "--set", "credit=Made here.") == 0
    said = capsys.readouterr().err
    assert "dB on average" in said and "Use it with --preset mine.safetensors" in said and "card" not in said
    made, base = load_prior("mine.safetensors"), load_prior("tenor")
    assert made.info["levels"]["training"]["credit"] == "Made here." and made.response is not None
    assert made.fingerprint != base.fingerprint
    assert all((a == b).all() for a, b in zip(made.network.state_dict().values(), base.network.state_dict().values()))


def test_the_settings_of_a_level_model_are_its_own(folder, capsys):
    assert babe2("train", "--task", "levels", "--list-settings", "--set", "batch=3") == 0
    listed = tomllib.loads(capsys.readouterr().out)
    assert listed["batch"] == 3 and listed["balance"] == "folders" and "octaves" not in listed


def test_a_response_model_takes_the_place_of_that_of_a_preset(longer, capsys, monkeypatch):
    monkeypatch.setattr("babe2_fx.training.response_trainer.HELD_OUT_EXAMPLES", 4)
    assert babe2("train", "data", "-o", "mine.safetensors", "--task", "response", "--base", "tenor",
                 "--set", "minutes=0", "--set", "steps=1", "--set", "batch=2", "--set", "noise=data") == 0
    said = capsys.readouterr().err
    assert "lie within one deviation" in said and "Use it with --preset mine.safetensors" in said
    made, base = load_prior("mine.safetensors"), load_prior("tenor")
    assert made.info["response"]["steps"] == 1 and made.info["levels"] == base.info["levels"]
    assert not (made.response.place == base.response.place).all()
    assert (made.levels.place == base.levels.place).all()


def test_the_settings_of_a_response_model_are_its_own(folder, capsys):
    assert babe2("train", "--task", "response", "--list-settings") == 0
    listed = tomllib.loads(capsys.readouterr().out)
    assert listed["batch"] == 32 and listed["noise"] == "" and listed["muon_weight_decay"] == 0.02


@pytest.mark.parametrize("arguments, words", [
    (("--task", "levels"), "--base PRIOR, the prior that gets the model, is missing"),
    (("--task", "levels", "--base", "piano", "--config", "tiny.toml"), "--config is for the training of priors"),
    (("--task", "levels", "--base", "piano", "--device", "cuda"), "trained on the CPU"),
    (("--task", "levels", "--base", "piano", "--set", "octaves=3"), "no training setting called 'octaves'"),
    (("--task", "response", "--base", "piano", "--set", "noise=nowhere"), "There is no folder nowhere"),
    (("--task", "response", "--base", "piano", "--device", "cuda"), "A response model is trained on the CPU"),
    (("--base", "piano"), "--base goes with --task levels or response")])
def test_mistakes_about_tasks_are_named(folder, arguments, words):
    with pytest.raises(UserError, match=words):
        babe2("train", "data", "-o", "mine.safetensors", *arguments)
    assert not (folder / "mine.safetensors").exists()
