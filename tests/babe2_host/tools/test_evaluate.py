"""`babe2 evaluate`: folders in, tables out. The stand-in prior samples, for only the plumbing is at stake."""

import argparse
import csv
import json
import shutil

import numpy as np
import pytest
import soundfile

import babe2_fx.effect
from babe2_fx.errors import UserError
from babe2_fx.evaluation import random_response
from babe2_fx.restoration import Restorer
from babe2_host.commands import evaluate
from standin import tiny_prior

pytest.importorskip("vibenet", reason="needs vibenet, of the extra 'evaluate'")

RATE = 22050
QUICK = ("--preset", "piano", "--quality", "draft", "--set", "steps=2", "-q")


def run(*args):
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers())
    chosen = parser.parse_args(["evaluate", *map(str, args)])
    return chosen.run(chosen)


@pytest.fixture
def folder(tmp_path, monkeypatch, make_notes):
    """Folders `old`, `clean` and `good`, and the stand-in prior in the place of every preset's."""
    monkeypatch.setattr(babe2_fx.effect, "shared_prior", lambda path, device="auto": tiny_prior())
    monkeypatch.chdir(tmp_path)
    for name in ("old", "clean", "good"):
        (tmp_path / name).mkdir()
    for seed, name in enumerate(("etude", "march")):
        audio = make_notes(RATE, 1.6, seed=seed)
        soundfile.write(tmp_path / "clean" / f"{name}_clean.wav", audio.T, RATE)
        dull = np.convolve(audio[0], np.ones(8) / 8, "same")
        soundfile.write(tmp_path / "old" / f"{name}_degraded.wav", dull, RATE)
    (tmp_path / "old" / "etude_filter.json").write_text(json.dumps(random_response(0).record()))
    soundfile.write(tmp_path / "good" / "reference.wav", make_notes(RATE, 3.0, seed=9).T, RATE)
    return tmp_path


def test_tables_figure_and_recordings_of_every_method(folder, capsys):
    methods = "original,ltas-eq,babe,babe2,babe2-ltas-init,babe2-ltas-obj,babe2-no-noise-reg"
    run("--recordings", "old", "--reference", "good", "--clean", "clean", "-o", "out", *QUICK[:-1], "--methods",
        methods, "--embeddings", "none", "--table", "page.md")
    record = json.loads((folder / "out" / "results.json").read_text())
    assert list(record["table"]) == methods.split(",")
    assert record["table"]["babe2"]["ltas_distance_db"]["recordings"] == 2
    assert record["table"]["babe2"]["filter_error_db"]["recordings"] == 1  # the other's response is not known
    assert "filter_error_db" not in record["table"]["original"]
    assert record["recordings"] == ["etude_degraded.wav", "march_degraded.wav"]
    rows = list(csv.DictReader((folder / "out" / "results.csv").open()))
    value = next(r["value"] for r in rows if (r["method"], r["figure"]) == ("babe", "lsd_100-1000_db"))
    assert float(value) == record["table"]["babe"]["lsd_100-1000_db"]["value"]
    page = (folder / "page.md").read_text()
    assert page == (folder / "out" / "results.md").read_text().replace("](ltas.png)", "](page.png)")
    assert (folder / "page.png").read_bytes() == (folder / "out" / "ltas.png").read_bytes()
    assert all(f"| {method} |" in page for method in methods.split(","))
    assert "babe2-no-noise-reg is babe2 here" in page and "direct guidance" in page
    printed = capsys.readouterr().out
    assert printed.startswith("| method |") and printed in page
    assert (folder / "out" / "ltas.png").read_bytes().startswith(b"\x89PNG")
    for method in methods.split(",")[1:]:
        for name in ("etude", "march"):
            audio, rate = soundfile.read(folder / "out" / method / f"{name}_degraded.wav")
            assert rate == RATE and len(audio) == round(1.6 * RATE) and audio.std() > 0


def test_finished_results_are_used_again_unless_the_settings_or_the_recording_changed(folder, monkeypatch):
    (folder / "old" / "etude_degraded.wav").unlink()
    made = []
    whole = Restorer.run
    monkeypatch.setattr(Restorer, "run", lambda self, *args: made.append(1) or whole(self, *args))
    command = ("--recordings", "old", "--reference", "good", "-o", "out", *QUICK, "--embeddings", "none",
               "--methods", "original,ltas-eq,babe2,babe2-ltas-obj")
    run(*command)
    assert len(made) == 2  # babe2-ltas-obj is babe2 here, and copied
    first = (folder / "out" / "results.json").read_text()
    run(*command)
    assert len(made) == 2 and (folder / "out" / "results.json").read_text() == first
    run(*command, "--seed", "5")
    assert len(made) == 4
    shutil.copy(folder / "clean" / "march_clean.wav", folder / "old" / "march_degraded.wav")
    run(*command, "--seed", "5")
    assert len(made) == 6


def test_without_recordings_the_clean_ones_are_degraded_and_the_prior_is_measured(folder):
    run("--clean", "clean", "-o", "out", *QUICK, "--methods", "original,ltas-eq,babe2", "--embeddings", "none")
    record = json.loads((folder / "out" / "results.json").read_text())
    assert record["recordings"] == [f"{name}_{kind}.wav" for name in ("etude", "march")
                                    for kind in ("breakpoints", "horn")]
    assert record["table"]["ltas-eq"]["filter_error_db"]["recordings"] == 4
    assert record["table"]["babe2"]["lsd_4000-8000_db"]["recordings"] == 4
    assert [item["recording"] for item in record["denoising"]] == ["etude_clean", "march_clean"]
    assert all(len(item["levels"]) == 6 for item in record["denoising"])
    assert "## Denoising" in (folder / "out" / "results.md").read_text()
    true = json.loads((folder / "out" / "degraded" / "march_horn.json").read_text())
    assert true["kind"] == "horn" and true["snr_db"] == pytest.approx(60)


def test_recordings_that_are_their_clean_originals_have_no_error(folder):
    for path in (folder / "old").glob("*.wav"):
        shutil.copy(folder / "clean" / path.name.replace("_degraded", "_clean"), path)
    run("--recordings", "old", "--clean", "clean", "-o", "out", *QUICK, "--methods", "original", "--embeddings", "none",
        "--figure", "march_degraded")
    row = json.loads((folder / "out" / "results.json").read_text())["table"]["original"]
    assert row["clean_ltas_error_db"]["value"] == pytest.approx(0, abs=1e-9)
    assert row["lsd_1000-4000_db"]["value"] == pytest.approx(0, abs=1e-9)


def test_the_distance_of_audio_is_measured(folder):
    for package in ("vibenet", "onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}, of the extra 'evaluate'")
    run("--recordings", "old", "--reference", "clean", "-o", "out", *QUICK, "--methods", "original")
    record = json.loads((folder / "out" / "results.json").read_text())
    assert record["table"]["original"]["fad_vibenet"]["value"] > 0.01
    assert "11 kHz" in record["embeddings"]["vibenet"]


@pytest.mark.parametrize("options,says", [
    (["--recordings", "old"], "nothing to compare with"),
    (["--recordings", "empty", "--reference", "good"], "empty given as --recordings holds no recordings"),
    (["--recordings", "gone", "--reference", "good"], "gone is not one"),
    (["--recordings", "silent", "--reference", "good"], "hush.wav is silent"),
    (["--recordings", "good", "--clean", "clean"], "reference.wav has no clean original"),
    (["--recordings", "short", "--clean", "clean"], "lasts 0.50 s and its clean original .* 1.60 s"),
    (["--recordings", "twins", "--reference", "good"], "have one name"),
    (["--recordings", "old", "--reference", "good", "--methods", "magic"], "no method called 'magic'"),
    (["--recordings", "old", "--reference", "good", "--embeddings", "ears"], "no embedding called 'ears'"),
    (["--recordings", "old", "--reference", "good", "--figure", "waltz"], "--figure waltz"),
    (["--recordings", "old", "--reference", "good", "-o", "old"], "old holds inputs"),
    (["--recordings", "old", "--reference", "good", "-o", "old/etude_filter.json"], "is a file")])
def test_bad_input_is_a_sentence_before_anything_is_restored(folder, make_notes, monkeypatch, options, says):
    for name in ("empty", "silent", "short", "twins"):
        (folder / name).mkdir()
    soundfile.write(folder / "silent" / "hush.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "short" / "march.wav", make_notes(RATE, 0.5)[0], RATE)
    for ending in ("wav", "flac"):
        soundfile.write(folder / "twins" / f"one.{ending}", make_notes(RATE, 1.0)[0], RATE)
    monkeypatch.setattr(Restorer, "run", lambda *args: pytest.fail("restored before all was checked"))
    with pytest.raises(UserError, match=says):
        run("-o", "out", "--embeddings", "none", *QUICK, *options)
