"""Weights are imported, listed, verified, removed, and known to the other commands."""

import json
import os
import subprocess
import sys

import pytest
import torch

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.catalogue.weights import KNOWN, cache_folder, weights_path
from babe2_fx.priors import PriorError, load_prior
from babe2_host import cli
from babe2_host.tools import weights
from standin import tiny_prior
from weights_server import (
    FILE,
    NAME,
    breaks_off_for_good,
    nothing_installed,
    part,
    prior_file,
    run,
    said,
    sha256,
)


def test_a_published_file_is_imported_by_its_name(folder, prior_bytes, capsys):
    path = (folder / FILE).with_suffix(".safetensors")
    path.write_bytes(prior_bytes)
    assert run("import", path) == cli.OK
    assert f"Installed {NAME} at {weights_path(NAME)}; use it with --preset {NAME}." in said(capsys)
    path.unlink()
    assert load_prior(NAME).info["installed_from"] == {
        "file": path.name, "address": None, "sha256": sha256(prior_bytes), "bytes": len(prior_bytes)}
    assert run("verify", NAME) == cli.OK


def test_ones_own_prior_is_imported_by_the_name_of_its_file_or_another(prior_bytes, capsys):
    with open("My Organ_2.safetensors", "wb") as file:
        file.write(prior_bytes)
    assert run("import", "My Organ_2.safetensors") == cli.OK
    assert 'write a preset with weights = "my-organ-2" in ' in said(capsys)
    assert run("import", "My Organ_2.safetensors", "--name", "organ") == cli.OK
    assert weights_path("my-organ-2").is_file() and weights_path("organ").is_file()
    assert run("import", "My Organ_2.safetensors", "--name", "organ") == cli.OK  # the same again


def test_other_weights_are_replaced_by_force_alone(tmp_path, capsys):
    first, second = prior_file(tmp_path / "organ.safetensors"), prior_file(tmp_path / "new.safetensors", seed=1)
    assert run("import", first) == cli.OK
    before = weights_path("organ").read_bytes()
    assert run("import", second, "--name", "organ") == 2
    assert "Other weights are installed as organ; choose another name with --name, or replace" in said(capsys)
    assert weights_path("organ").read_bytes() == before
    assert run("import", second, "--name", "organ", "--force") == cli.OK
    assert load_prior(weights_path("organ")).info["installed_from"]["file"] == "new.safetensors"
    assert run("verify") == cli.OK


def test_a_published_file_does_not_take_another_models_name(folder, prior_bytes, capsys):
    path = (folder / FILE).with_suffix(".safetensors")
    path.write_bytes(prior_bytes)
    assert run("import", path, "--name", "tenor-gigli") == 2
    assert f"{path.name} is the file of tenor-caruso, not of tenor-gigli" in said(capsys)
    assert run("import", path, "--name", "tenor-gigli", "--force") == cli.OK


@pytest.mark.parametrize("args, sentence", [
    (["missing.pt"], "There is no file missing.pt."),
    (["."], ". is a folder, not a file."),
    (["tiny.safetensors", "--name", "../x"], "'../x' cannot be the name of weights"),
    (["tiny.safetensors", "--name", "Organ"], "'Organ' cannot be the name of weights"),
    (["ö.safetensors"], "'' cannot be the name of weights"),
    (["text.pt"], "text.pt"), (["empty.pt"], "empty.pt is empty (0 bytes)."),
    (["pointer.pt"], "pointer.pt is a Git LFS pointer in place of the file, which was not downloaded: run"),
    (["page.safetensors"], "page.safetensors is a web page"), (["packed.pt"], "packed.pt is compressed with gzip"),
    (["cut.safetensors"], "cut.safetensors"),
    (["pull", "kazoo"], "unrecognized arguments: kazoo")])
def test_what_cannot_be_imported_is_said(prior_bytes, capsys, args, sentence):
    for name, content in (("tiny.safetensors", prior_bytes), ("ö.safetensors", prior_bytes), ("text.pt", b"text" * 99),
                          ("empty.pt", b""), ("pointer.pt", b"version https://git-lfs.github.com/spec/v1\noid x\n"),
                          ("page.safetensors", b"\n<!doctype HTML>"), ("packed.pt", b"\x1f\x8b\x08\0"),
                          ("cut.safetensors", prior_bytes[:5000])):
        with open(name, "wb") as file:
            file.write(content)
    assert run("import", *args) == 2
    assert sentence in said(capsys)
    assert nothing_installed()


def test_the_official_layout_is_imported(reference, capsys):
    """Needs the reader of the official layout."""
    assert run("import", reference / "cqtdiff_22k_small.pt", "--name", "small") == cli.OK
    installed, original = load_prior(weights_path("small")), load_prior(reference / "cqtdiff_22k_small.pt")
    assert installed.network.config == original.network.config and installed.sigma_data == original.sigma_data
    assert installed.level == original.level and torch.equal(installed.ltas, original.ltas)
    for key, value in original.network.state_dict().items():
        assert torch.equal(installed.network.state_dict()[key], value), key


def test_what_a_file_says_of_itself_is_not_trusted(tmp_path, capsys):
    path = prior_file(tmp_path / "odd.safetensors", info=["no", "table"])
    (tmp_path / "config" / "presets").mkdir(parents=True)
    (tmp_path / "config" / "presets" / "odd.toml").write_text(
        f'title = "x"\ndescription = "y"\nprior = "{path.as_posix()}"\n')
    assert cli.main(["presets", "show", "odd"]) == cli.OK
    assert "origin: unknown; the file cannot be read (what it says about its origin is not" in capsys.readouterr().out
    assert run("import", path) == 2
    assert "cannot be used as a prior: what it says of its origin is not a table." in said(capsys)
    prior_file(path, info={"installed_from": "elsewhere", "steps": 3})
    assert run("import", path) == cli.OK
    assert load_prior(weights_path("odd")).info["installed_from"]["file"] == "odd.safetensors"
    capsys.readouterr()
    assert cli.main(["presets", "show", "odd"]) == cli.OK
    assert "origin: trained with this program: 3 training steps" in capsys.readouterr().out


def test_weights_without_a_spectrum_are_imported(tmp_path, monkeypatch):
    """The base model has no LTAS: it is for fine-tuning."""
    prior = tiny_prior()
    prior.ltas = None
    monkeypatch.setattr("babe2_fx.priors.load_prior", lambda path: prior)
    (tmp_path / "base.pt").write_bytes(b"a checkpoint")
    assert run("import", tmp_path / "base.pt") == cli.OK
    monkeypatch.undo()
    assert load_prior(tmp_path / "cache" / "weights" / "base.safetensors").ltas is None


def test_the_list_has_every_published_model_and_ones_own(server, tmp_path, capsys):
    assert run("list") == cli.OK
    listed = capsys.readouterr().out
    for model in KNOWN.values():
        assert f"{model.name}: not installed\n    for: {model.purpose}\n    licence: not stated" in listed
        assert f"    file: {server.address}{model.file}\n    get it: babe2 weights pull {model.name}\n" in listed
    assert run("pull", NAME, "-q") == cli.OK
    assert run("import", prior_file(tmp_path / "organ.safetensors")) == cli.OK
    capsys.readouterr()
    assert run("list") == cli.OK
    listed = capsys.readouterr().out
    assert f"{NAME}: installed\n" in listed
    assert f"    at: {weights_path(NAME)}\n    from: {server.address}{FILE}\n" in listed
    assert "organ: installed\n    for: not known, it was imported\n" in listed and "from: organ.safetensors" in listed


def test_damage_is_found_and_said(server, tmp_path, capsys):
    assert run("verify") == cli.OK
    assert capsys.readouterr().out == "No weights are installed.\n"
    assert run("pull", NAME, "-q") == run("import", prior_file(tmp_path / "organ.safetensors")) == cli.OK
    content = bytearray(weights_path(NAME).read_bytes())
    content[-1] ^= 1
    weights_path(NAME).write_bytes(content)
    capsys.readouterr()
    assert run("verify") == cli.FAILED
    out, err = capsys.readouterr()
    assert out == "organ: as it was installed.\n"
    assert f"{weights_path(NAME)} is damaged or was changed: its SHA-256 is {sha256(content)}, and was " in err
    assert f"install it again with `babe2 weights pull {NAME} --force`." in err
    assert run("pull", NAME, "--force") == run("verify") == cli.OK


@pytest.mark.parametrize("record", [None, b"", b"[]", b'{"sha256": 3}', b"\xff"])
def test_weights_without_a_record_are_said_and_listed(server, capsys, record):
    assert run("pull", NAME, "-q") == cli.OK
    path = weights_path(NAME).with_suffix(".json")
    path.unlink() if record is None else path.write_bytes(record)
    assert run("verify", NAME) == cli.FAILED
    assert "has no record of its checksum; install it again with" in said(capsys)
    assert run("list") == cli.OK
    assert f"{NAME}: installed\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "remove"])
@pytest.mark.parametrize("name", [NAME, "kazoo", "../weights/x", "..", ""])
def test_what_is_not_installed_cannot_be_verified_or_removed(folder, capsys, command, name):
    (folder / "cache").mkdir()
    (folder / "cache" / "x.safetensors").write_bytes(b"not ours")
    assert run(command, name) == 2
    assert said(capsys) == f"babe2: No weights are installed as {name!r}; none are."
    assert (folder / "cache" / "x.safetensors").exists()


def test_an_unknown_model_cannot_be_pulled(capsys):
    assert run("pull", "kazoo") == 2
    assert "There is no published model called 'kazoo'; there are: piano-maestro, " in said(capsys)


def test_what_is_removed_is_gone_also_a_download_that_was_begun(server, capsys):
    server.answer = breaks_off_for_good
    assert run("pull", NAME) == cli.FAILED and part().exists()
    assert run("remove", NAME) == cli.OK
    assert said(capsys) == f"babe2: Removed {NAME}.".removeprefix("babe2: ")
    assert not list((cache_folder() / "downloads").iterdir())
    server.answer = None
    assert run("pull", NAME) == run("remove", NAME) == cli.OK
    assert not weights_path(NAME).exists() and run("remove", NAME) == 2


def test_restoring_with_weights_that_are_not_there_says_how_to_get_them(capsys):
    import numpy as np
    import soundfile
    soundfile.write("in.wav", np.zeros(22050), 22050)
    assert cli.main(["restore", "in.wav", "-o", "out.wav", "--preset", "piano-maestro"]) == 2
    sentence = said(capsys)
    assert "`babe2 weights pull piano-maestro`" in sentence and "use the embedded preset piano" in sentence
    assert os.listdir(".") == ["in.wav"]


def test_presets_are_listed_with_their_state_and_broken_ones_do_not_hide_the_others(server, folder, capsys):
    (folder / "config" / "presets").mkdir(parents=True)
    (folder / "config" / "presets" / "mine.toml").write_text("title = 3")
    (folder / "config" / "presets" / "piano.toml").write_text("")
    assert run("pull", NAME, "-q") == cli.OK
    assert cli.main(["presets"]) == cli.OK
    out, err = capsys.readouterr()
    states = {line.split()[0]: line for line in out.splitlines()}
    assert "installed " in states[NAME] and load_preset(NAME).title in states[NAME]
    assert "weights not installed" in states["piano-maestro"]
    assert "cannot be used" in states["mine"] and "cannot be used" in states["piano"]
    assert "mine.toml: title must be a string, not 3." in err and "piano.toml has the name of a preset that" in err


def test_a_preset_is_shown_in_full(server, folder, prior_bytes, capsys):
    assert cli.main(["presets", "show", NAME]) == cli.OK
    shown = capsys.readouterr().out
    preset = load_preset(NAME)
    assert preset.title in shown and preset.description in shown and preset.card.rstrip() in shown
    assert "  paper: sigma_start = 10.0, sigma_min = 0.001, xi = 0.5, noise_regularization = 1.0\n" in shown
    assert "`babe2 weights pull tenor-caruso`" in shown
    assert run("pull", NAME, "-q") == cli.OK
    assert cli.main(["presets", "show", NAME]) == cli.OK
    shown = capsys.readouterr().out
    assert f"prior: {weights_path(NAME)} (installed)\n" in shown
    assert f"origin: {server.address}{FILE}, SHA-256 {sha256(prior_bytes)}\n" in shown
    weights_path(NAME).write_bytes(b"damaged")
    assert cli.main(["presets", "show", NAME]) == cli.OK
    assert "origin: unknown; the file cannot be read (" in capsys.readouterr().out
    assert cli.main(["presets", "show", "kazoo"]) == 2


def test_the_list_and_the_presets_do_not_wait_for_torch():
    script = ("import sys\nfrom babe2_host.cli import main\n"
              "for line in ('--help', 'weights --help', 'weights list', 'weights verify', 'presets',\n"
              "             'presets show piano'):\n"
              "    assert main(line.split()) == 0, line\n"
              "assert 'torch' not in sys.modules and 'requests' not in sys.modules")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


def test_records_are_readable(server, prior_bytes):
    assert run("pull", NAME, "-q") == cli.OK
    record = json.loads(weights_path(NAME).with_suffix(".json").read_text())
    assert record["sha256"] == sha256(weights_path(NAME).read_bytes())
    assert record["origin"]["sha256"] == record["pulled_sha256"] == sha256(prior_bytes)


def test_a_file_that_is_no_model_raises_what_the_reader_raises(tmp_path):
    (tmp_path / "text.pt").write_text("text")
    with pytest.raises(PriorError):
        weights.import_file(tmp_path / "text.pt")
