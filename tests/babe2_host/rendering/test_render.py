"""From file through a board to file: one path, and nothing lost when it is stopped."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from pedalboard import Compressor, Gain, HighpassFilter, Pedalboard

from babe2_fx import GenerativeEQ
from babe2_host import Board, Mix, cli
from babe2_host.audio.recording import read_recording
from babe2_host.rendering.journal import FolderJournal
from babe2_host.rendering.render import RenderError, render, render_file
from containers import bext, chunk, wave
from standin import save_tiny_preset, tiny_prior

RATE = 22050
QUICK = {"steps": 3, "order": 1, "quality": "draft"}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------- stopped and taken up

@pytest.mark.parametrize("changes", [{}, {"filter_fit": "adam", "filter_iterations": 5}, {"blocks": "time-invariant"},
                                     {"channels": "independent"}, {"channels": "linked", "filter_fit": "none"}],
                         ids=lambda changes: "-".join(map(str, changes.values())) or "as it is")
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_result(folder, make_notes, changes):
    audio = make_notes(RATE, 3.0, channels=2)
    audio[1] = audio[1][::-1]
    effect = GenerativeEQ(**(QUICK | changes))
    whole = effect(audio, RATE)
    steps = sum(1 for _ in effect.run(audio, RATE))
    journal, taken_over = FolderJournal("out.wav"), []
    for stop in range(2, steps, 3):
        run = effect.run(audio, RATE, journal=journal)
        for _ in itertools.islice(run, stop):
            pass
        run.close()
        kept, journal.found = journal.blocks(), 0
        assert np.array_equal(effect.run(audio, RATE, journal=journal).finish(), whole)
        taken_over.append((kept, journal.found))
        assert journal.problem is None
        journal.clear()
    assert all(kept == found for kept, found in taken_over) and max(taken_over)[0] > 0
    assert names(folder) == []


@pytest.mark.parametrize("change", [{"seed": 5}, {"steps": 4}, {"s_churn": 0.5}], ids=str)
def test_blocks_of_other_settings_are_not_taken(folder, make_notes, change):
    journal, audio = FolderJournal("out.wav"), make_notes(RATE, 3.0)
    GenerativeEQ(**QUICK).run(audio, RATE, journal=journal).finish()
    GenerativeEQ(**(QUICK | change)).run(audio, RATE, journal=journal).finish()
    assert journal.found == 0


def test_blocks_of_another_recording_are_not_taken(folder, make_notes):
    journal = FolderJournal("out.wav")
    for seed in (0, 1):
        GenerativeEQ(**QUICK).run(make_notes(RATE, 3.0, seed=seed), RATE, journal=journal).finish()
    assert journal.found == 0


@pytest.mark.parametrize("damage", [b"", b"not tensors", b"\xff" * 200, None], ids=["empty", "text", "noise", "cut"])
def test_a_damaged_block_is_made_again(folder, make_notes, damage):
    journal, audio, effect = FolderJournal("out.wav"), make_notes(RATE, 3.0), GenerativeEQ(**QUICK)
    whole = effect.run(audio, RATE, journal=journal).finish()
    first = min(journal.folder.iterdir())
    first.write_bytes(first.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(effect.run(audio, RATE, journal=journal).finish(), whole)
    assert journal.found == journal.blocks() - 1 > 0


def test_a_journal_deletes_nothing_that_is_not_its_own(folder, make_notes):
    journal = FolderJournal("out.wav")
    GenerativeEQ(**QUICK).run(make_notes(RATE, 1.0), RATE, journal=journal).finish()
    (journal.folder / "notes.txt").write_text("mine")
    journal.clear()
    assert names(journal.folder) == ["notes.txt"]


def test_a_render_goes_on_where_blocks_cannot_be_kept_and_says_so(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    (folder / "out.wav.unfinished").write_text("a file in the place of the folder")
    done = render_file(read_recording("in.wav"), "out.wav", Board([GenerativeEQ(**QUICK)])).finish()
    assert any("could not be kept" in note for note in done.notes)
    assert names(folder) == ["in.wav", "out.wav", "out.wav.unfinished"]


@pytest.fixture
def process(tmp_path):
    """process(*args): `babe2` in a process of its own, with a preset called tiny whose prior is the stand-in."""
    save_tiny_preset(tmp_path / "config", steps=8)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1",
                        "BABE2_CONFIG": str(tmp_path / "config")}

    def start(*args):
        return subprocess.Popen([sys.executable, "-m", "babe2_host.cli", *args], cwd=tmp_path, env=env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                # a run in the background of a shell is born deaf to it
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    return start


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_render_leaves_the_old_output_and_resumes_to_the_same_file(tmp_path, process, make_notes, how):
    soundfile.write(tmp_path / "in.flac", make_notes(RATE, 20.0).T, RATE)
    command = ("restore", "in.flac", "--preset", "tiny", "-o")
    whole = process(*command, "whole.wav")
    assert whole.wait() == 0, whole.stderr.read()
    (tmp_path / "out.wav").write_text("an earlier result")
    kept, seen = tmp_path / "out.wav.unfinished", 0
    for more in (1, 4):
        run = process(*command, "out.wav", "--resume")
        while run.poll() is None and len(list(kept.glob("*.safetensors"))) < seen + more:
            time.sleep(0.005)
        run.send_signal(how)
        err = run.communicate()[1]
        assert run.returncode in (-signal.SIGKILL, cli.INTERRUPTED), err
        if how == signal.SIGINT:
            assert f"Finished blocks are kept in {kept}; the same command with --resume" in err
        seen = len(list(kept.glob("*.safetensors")))
        assert seen >= more and (tmp_path / "out.wav").read_text() == "an earlier result"
        assert not list(tmp_path.glob(".babe2*"))
    last = process(*command, "out.wav", "--resume")
    err = last.communicate()[1]
    assert last.returncode == 0 and f"{seen} finished blocks of the earlier run were taken over." in err
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    assert not kept.exists()


def test_without_resume_a_render_begins_anew(tmp_path, process, make_notes):
    soundfile.write(tmp_path / "in.flac", make_notes(RATE, 2.0).T, RATE)
    kept = tmp_path / "out.wav.unfinished"
    kept.mkdir()
    (kept / f"{'0' * 32}-00000.safetensors").write_text("of an earlier run")
    run = process("restore", "in.flac", "--preset", "tiny", "-o", "out.wav")
    err = run.communicate()[1]
    assert run.returncode == 0 and "taken over" not in err and not kept.exists()


def test_the_embedded_prior_resumes_to_the_same_samples(tmp_path, make_notes):
    audio, journal = make_notes(RATE, 9.0), FolderJournal(tmp_path / "out.wav")
    effect = GenerativeEQ(quality="draft", steps=2)
    whole = effect.run(audio, RATE, journal=journal).finish()
    blocks = sorted(journal.folder.iterdir())
    assert len(blocks) == 2
    blocks[1].unlink()
    assert np.array_equal(effect.run(audio, RATE, journal=journal).finish(), whole) and journal.found == 1


# ------------------------------------------------------------------------------------------- babe2 render

def write_board(text: str, name: str = "board.toml") -> str:
    with open(name, "w") as file:
        file.write(f'format = "babe2-board-1"\n{text}')
    return name


EFFECT = '[[plugins]]\nplugin = "GenerativeEQ"\nquality = "draft"\nsteps = 3\norder = 1\n'
NATIVE = '[[plugins]]\nplugin = "HighpassFilter"\ncutoff_frequency_hz = 40.0\n[[plugins]]\nplugin = "Compressor"\n'


def test_a_board_of_native_plugins_renders_as_pedalboard_does(folder, make_notes):
    audio = make_notes(44100, 1.0, channels=2)
    soundfile.write("in.wav", audio.T, 44100, subtype="FLOAT")
    assert cli.main(["render", "in.wav", "-o", "out.wav", "--board", write_board(NATIVE), "-q"]) == cli.OK
    expected = Pedalboard([HighpassFilter(40.0), Compressor()])(audio, 44100)
    assert np.array_equal(soundfile.read("out.wav", dtype="float32")[0].T, expected)


def test_restore_and_a_board_of_one_effect_are_the_same(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 2.0).T, RATE)
    assert cli.main(["restore", "in.wav", "-o", "a.wav", "--preset", "piano", "--quality", "draft", "--set", "steps=3",
                     "--set", "order=1", "--eq-out", "a.json", "-q"]) == cli.OK
    options = ("--board", write_board(EFFECT), "--eq-out", "b.json", "-q")
    assert cli.main(["render", "in.wav", "-o", "b.wav", *options]) == cli.OK
    assert (folder / "a.wav").read_bytes() == (folder / "b.wav").read_bytes()
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()


def test_the_board_says_what_files_come_out_as_and_options_go_over_it(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    board = write_board('sample_rate = 44100\ndepth = "24"\n' + EFFECT)
    assert cli.main(["render", "in.wav", "-o", "a.wav", "--board", board, "--report", "report", "-q"]) == cli.OK
    options = ("--board", board, "--rate", "48000", "--depth", "16", "-q")
    assert cli.main(["render", "in.wav", "-o", "b.wav", *options]) == cli.OK
    for name, rate, subtype in (("a.wav", 44100, "PCM_24"), ("b.wav", 48000, "PCM_16")):
        info = soundfile.info(name)
        assert (info.samplerate, info.subtype, info.frames) == (rate, subtype, rate)


def test_options_reach_every_effect_of_the_board(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    board = write_board(EFFECT)
    for name, options in (("a.wav", ()), ("b.wav", ("--seed", "4")), ("c.wav", ("--seed", "0"))):
        assert cli.main(["render", "in.wav", "-o", name, "--board", board, *options, "-q"]) == cli.OK
    a, b, c = (soundfile.read(name)[0] for name in ("a.wav", "b.wav", "c.wav"))
    assert np.array_equal(a, c) and not np.array_equal(a, b)


@pytest.mark.parametrize("board, options, sentence", [
    (NATIVE, ("--eq-out", "eq.json"), "--eq-out needs a board with one GenerativeEQ; board.toml has none."),
    (EFFECT + EFFECT, ("--report", "report"), "--report needs a board with one GenerativeEQ; board.toml has 2."),
    (EFFECT, ("-o", "board.toml"), "board.toml is an input and is not written over"),
    (EFFECT, ("--eq-out", "board.toml"), "board.toml is an input and is not written over"),
    (EFFECT, ("--rate", "100"), "--rate must lie from 8000 to 192000 Hz, not 100."),
    (EFFECT, ("--seed", "-1"), "seed must lie from 0"),
    ('sample_rate = "high"\n', (), "board.toml: sample_rate must be a whole number of Hz"),
    ('depth = "8"\n', (), "board.toml: depth must be one of 16, 24, float, not '8'."),
    ('[[plugins]]\nplugin = "Hall"\n', (), "There is no plugin called 'Hall'"),
    ('[[plugins]]\nplugin = "VST3Plugin"\npath = "x.vst3"\n', (), "has not been allowed"),
    ('[[plugins]]\nplugin = "GenerativeEQ"\npreset = "kazoo"\n', (), "There is no preset called 'kazoo'")])
def test_mistakes_are_sentences_and_change_nothing(folder, make_notes, capsys, board, options, sentence):
    soundfile.write("in.wav", make_notes(RATE, 0.5).T, RATE)
    write_board(board)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    output = () if "-o" in options else ("-o", "out.wav")
    assert cli.main(["render", "in.wav", *output, "--board", "board.toml", *options]) == cli.MISTAKE
    err = capsys.readouterr().err
    assert sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("board, sentence", [
    ("missing.toml", "There is no board missing.toml."),
    ("piano-79", "There is no board called 'piano-79'. Did you mean 'piano-78'?")])
def test_a_board_that_is_not_there(folder, make_notes, capsys, board, sentence):
    soundfile.write("in.wav", make_notes(RATE, 0.5).T, RATE)
    assert cli.main(["render", "in.wav", "-o", "out.wav", "--board", board]) == cli.MISTAKE
    assert sentence in capsys.readouterr().err


def test_boards_are_listed_with_what_is_wrong_with_them(folder, tmp_path, capsys):
    (tmp_path / "config" / "boards").mkdir(parents=True)
    (tmp_path / "config" / "boards" / "mine.toml").write_text("format =")
    assert cli.main(["boards"]) == cli.OK
    out = capsys.readouterr().out
    assert "musicgen-polish  Polish" in out and "piano-78         Piano" in out
    assert "mine             cannot be used: " in out and "mine.toml is not a TOML file" in out


def test_a_plugin_that_gives_what_is_no_audio_is_named_and_nothing_is_written(folder, make_notes):
    class Broken:
        is_effect = True

        def process(self, input_array, sample_rate, buffer_size, reset):
            return input_array * np.nan

        def reset(self):
            pass
    soundfile.write("in.wav", make_notes(RATE, 0.5).T, RATE)
    with pytest.raises(RenderError, match="not finite numbers"):
        render_file(read_recording("in.wav"), "out.wav", Board([Broken()])).finish()
    assert names(folder) == ["in.wav"]


@pytest.mark.parametrize("samples, channels", [(1, 1), (1, 2), (2, 2), (3, 6)])
def test_recordings_shorter_than_their_channels_are_rendered(folder, samples, channels):
    soundfile.write("in.wav", np.full((samples, channels), 0.25), RATE)
    board = write_board('[[plugins]]\nplugin = "Gain"\ngain_db = 6.0\n')
    assert cli.main(["render", "in.wav", "-o", "out.wav", "--board", board, "--depth", "float", "-q"]) == cli.OK
    np.testing.assert_allclose(soundfile.read("out.wav", always_2d=True)[0],
                               np.full((samples, channels), 0.25 * 10 ** 0.3), rtol=1e-4)


def test_every_shipped_board_renders_a_stereo_file(folder, make_notes):
    soundfile.write("in.wav", make_notes(32000, 2.0, channels=2).T, 32000)
    for name in ("piano-78", "musicgen-polish"):
        assert cli.main(["render", "in.wav", "-o", "out.wav", "--board", name, "--quality", "draft", "-q"]) == cli.OK
        made, rate = soundfile.read("out.wav")
        assert made.shape == (2 * rate, 2) and np.isfinite(made).all()
    assert (rate, soundfile.info("out.wav").subtype) == (44100, "PCM_24")
    assert 20 * np.log10(np.abs(made).max()) == pytest.approx(-1.0, abs=0.01)


def test_the_polish_has_the_published_stages():
    board = Board.load("musicgen-polish")
    gate, effect, compressor, high, low, air, peak = board
    assert (gate.reduction, gate.stationary) == (0.8, True) and isinstance(effect, GenerativeEQ)
    assert (compressor.threshold_db, compressor.ratio, compressor.attack_ms, compressor.release_ms) == (-20, 4, 10, 100)
    assert (high.cutoff_frequency_hz, low.cutoff_frequency_hz, peak.peak_db) == (20, 20000, -1)
    assert isinstance(air, Mix) and len(air) == 2
    tone = np.sin(2 * np.pi * 12649 * np.arange(44100) / 44100).astype(np.float32)[None]  # the middle of the air
    raised = air(tone, 44100)[0, 20000:40000].std() / tone.std()
    assert 1.05 < raised < 1.16


def test_a_passage_is_rendered_by_what_the_whole_recording_tells_and_after_what_comes_before(folder, make_notes):
    audio = make_notes(RATE, 3.0)
    soundfile.write("in.wav", audio.T, RATE, subtype="FLOAT")
    recording, effect, passage = read_recording("in.wav"), GenerativeEQ(**QUICK), (10_000, 30_000)
    board = Board([Gain(-6), effect, Gain(3)])
    rendered = render(recording, board, passage=passage).finish()
    expected = effect.run(Gain(-6)(audio, RATE), RATE, passage=passage).finish()
    assert np.array_equal(rendered.audio, Gain(3)(expected, RATE)) and rendered.audio.shape == (1, 20_000)
    assert len(rendered.results) == 1
    plain = render(recording, Board([Gain(-6)]), passage=passage).finish()
    assert np.array_equal(plain.audio, Gain(-6)(audio, RATE)[:, slice(*passage)]) and plain.results == ()


def test_a_render_that_was_closed_goes_on_after_the_blocks_in_its_journal(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 3.0).T, RATE, subtype="FLOAT")
    recording, board = read_recording("in.wav"), Board([GenerativeEQ(**QUICK)])
    whole = render(recording, board).finish()
    with render(recording, board, journal=FolderJournal("out.wav")) as run:
        next(now for now in run if now.block == 2)
    again = render(recording, board, journal=FolderJournal("out.wav")).finish()
    assert np.array_equal(again.audio, whole.audio) and again.resumed_blocks == 1


def test_at_another_rate_the_recordings_own_is_stated_and_its_time_reference_converted(folder, make_notes):
    (folder / "in.wav").write_bytes(wave(96000, 9600, chunk(b"bext", bext(3_456_000_000))))
    done = render_file(read_recording("in.wav"), "out.wav", Board([Gain(0)], sample_rate=48000)).finish()
    assert done.notes == ("Converted from the recording's 96000 Hz to 48000 Hz first.",)
    made = read_recording("out.wav")
    assert (made.sample_rate, made.extras.chunks[0].content[338:346]) == (48000, (1_728_000_000).to_bytes(8, "little"))
    done = render_file(read_recording("in.wav"), "same.wav", Board([Gain(0)])).finish()
    assert done.notes == () and read_recording("same.wav").extras == read_recording("in.wav").extras


def test_a_recording_of_a_low_rate_comes_out_at_a_rate_with_room_for_its_highs(folder, make_notes):
    soundfile.write("in.wav", make_notes(8000, 3.0).T, 8000, "PCM_16")
    command = ["restore", "in.wav", "--preset", "piano", "--quality", "draft", "--set", "steps=2"]
    assert cli.main([*command, "-o", "out.wav"]) == 0
    audio, rate = soundfile.read("out.wav")
    assert (rate, len(audio)) == (22050, 66150)
    assert cli.main([*command, "-o", "low.wav", "--rate", "8000"]) == 0
    assert soundfile.info("low.wav").samplerate == 8000


def test_what_rate_it_has_and_why_is_said(folder, make_notes):
    soundfile.write("in.wav", make_notes(8000, 3.0).T, 8000, "PCM_16")
    recording = read_recording("in.wav")
    effect = GenerativeEQ("piano", "draft", prior=tiny_prior(), steps=2)
    raised = render(recording, Board([effect])).finish()
    assert raised.sample_rate == 22050 and raised.notes[0] == (
        "The recording is at 8000 Hz. The result is at 22050 Hz, to hold what was restored above 4000 Hz; ask for a "
        "rate of 8000 Hz if you do not want that.")
    kept = render(recording, Board([effect], sample_rate=8000)).finish()
    assert kept.sample_rate == 8000 and kept.notes[0] == (
        "Worked at 22050 Hz, but the result is at 8000 Hz: what was restored above 4000 Hz is not in it.")
