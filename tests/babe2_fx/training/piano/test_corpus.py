"""Files of piano: what is written where, on stand-ins for the pianos."""

import json

import numpy as np
import pytest
import soundfile

pytest.importorskip("mido")

from babe2_fx.training import corpus_files
from babe2_fx.training.piano import SAMPLE_RATE, corpus
from babe2_fx.training.piano.__main__ import main
from babe2_fx.training.piano.corpus import PIANOS, player, render_corpus, render_file
from babe2_fx.training.piano.scores import is_held_out


@pytest.fixture
def scores(scale):
    """Scores by made-up names, enough that the hash holds some of them out."""
    return [scale(f"anon/{i}") for i in range(60)]


def test_the_same_seed_makes_the_same_audio(make_piano, scale):
    def make(seed):
        return render_file(make_piano(np.random.default_rng(3)), [scale()], np.random.default_rng(seed), 9.0)[0]

    assert np.array_equal(make(1), make(1))
    assert not np.array_equal(make(1)[:1000], make(2)[:1000])


def test_pianos_play_in_their_shares_from_the_beginning():
    names = list(PIANOS)
    played = [player(number, names) for number in range(1000)]
    for name, share in PIANOS.items():
        assert played.count(name) / 1000 == pytest.approx(share / sum(PIANOS.values()), abs=0.005)
    assert 15 <= played[:40].count("salamander") <= 21
    # Without one, the others keep their proportions.
    without = [player(number, ["salamander", "fluid-grand"]) for number in range(1000)]
    wanted = PIANOS["salamander"] / (PIANOS["salamander"] + PIANOS["fluid-grand"])
    assert without.count("salamander") / 1000 == pytest.approx(wanted, abs=0.005)


def test_corpus_splits_by_score_and_resumes(make_piano, scores, tmp_path):
    arguments = {"seed": 0, "makers": {"salamander": make_piano}, "scores": scores, "duration_s": 9.0}
    index = render_corpus(tmp_path, 21 * 9 / 3600, **arguments)
    sounding = {"train": set(), "heldout": set()}
    for name, entry in index["files"].items():
        sounding[name.split("/")[0]].update(entry["scores"])
        audio, rate = soundfile.read(tmp_path / name)
        assert rate == SAMPLE_RATE and audio.ndim == 1 and 0.1 < np.abs(audio).max() <= 0.51
    assert sounding["train"] and sounding["heldout"] and not sounding["train"] & sounding["heldout"]
    assert all(is_held_out(n) for n in sounding["heldout"])

    kept = tmp_path / "train/piano_00000.flac"
    (tmp_path / "train/piano_00001.flac").unlink()
    lost = soundfile.read(tmp_path / "train/piano_00002.flac")[0]
    before = kept.stat().st_mtime_ns
    (tmp_path / "train/piano_00002.flac").unlink()
    render_corpus(tmp_path, 3 * 9 / 3600, **arguments)
    assert kept.stat().st_mtime_ns == before
    assert np.array_equal(soundfile.read(tmp_path / "train/piano_00002.flac")[0], lost)
    assert len(json.loads((tmp_path / "index.json").read_text())["files"]) == 21


def test_a_held_out_piano_plays_held_out_scores_in_unheard_and_nothing_else(make_piano, scores, tmp_path):
    names = ["salamander", "fluid-grand", "timgm-grand", "fluid-electric"]
    made = dict.fromkeys(names, make_piano)
    apart = ["timgm-grand", "fluid-electric"]
    index = render_corpus(tmp_path, 36 * 9 / 3600, 0, made, scores, apart, duration_s=9.0)
    pianos = {}
    for name, entry in index["files"].items():
        pianos.setdefault(name.split("/")[0], set()).add(entry["piano"])
        assert name.startswith("train/") != all(is_held_out(score) for score in entry["scores"])
    assert pianos["unheard"] == set(apart)
    assert pianos["train"] == {"salamander", "fluid-grand"} and not pianos["heldout"] & set(apart)
    assert len(list((tmp_path / "unheard").glob("*.flac"))) == 2
    credits = " ".join(index["credits"])
    assert all(maker in credits for maker in ("Alexander Holm", "Frank Wen", "Tim Brechbill", "music21"))


def test_holding_out_every_piano_is_refused(make_piano, scores, tmp_path):
    with pytest.raises(ValueError, match="none is left to train on"):
        render_corpus(tmp_path, 0.01, 0, {"salamander": make_piano}, scores, ["salamander"])


def test_the_command_names_what_is_missing(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([f"{tmp_path}/out", "--cache", f"{tmp_path}", "--pianos", "fluid-grand", "--soundfonts", f"{tmp_path}"])
    assert stopped.value.code == 2
    assert "There is no FluidR3_GM.sf2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_piano_has_a_credit_and_a_share():
    assert set(PIANOS) == {"salamander", *corpus.soundfonts.PROGRAMS}
    assert all("licence" in corpus.credit(name) or "CC BY" in corpus.credit(name) or "GPL" in corpus.credit(name)
               for name in PIANOS)


def test_a_file_that_fails_leaves_nothing_of_its_name(tmp_path, monkeypatch):
    def stopped(file, *args, **kwargs):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus_files.soundfile, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        corpus_files.write_flac(tmp_path / "a.flac", np.zeros(10, np.float32), SAMPLE_RATE)
    assert not (tmp_path / "a.flac").exists()
    with pytest.raises(ValueError, match="finite"):
        corpus_files.write_flac(tmp_path / "b.flac", np.full(10, np.nan, np.float32), SAMPLE_RATE)
    assert not list(tmp_path.glob("b.flac*"))
