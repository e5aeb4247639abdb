"""The command, from arguments to files. Most tests sample with a stand-in prior of random weights."""

import errno
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import babe2_fx.effect
import babe2_fx.restoration
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.progress import Run
from babe2_fx.settings import BASELINES, NAMES, Settings
from babe2_host import cli
from babe2_host.audio import writing
from standin import tiny_prior

RATE = 22050
PIANO = ("--preset", "piano", "--quality", "draft", "--device", "cpu")
DRAFT = (*PIANO, "--set", "steps=2")


@pytest.fixture(autouse=True)
def no_presets_or_weights_of_the_users_own(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, and the stand-in prior in the place of every preset's."""
    monkeypatch.setattr(babe2_fx.effect, "shared_prior", lambda path, device="auto": tiny_prior())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def notes_wav(folder, make_notes):
    """in.wav: a second of notes, mono, 16 bits."""
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    return "in.wav"


def restore(*args):
    return cli.main(["restore", *DRAFT, *map(str, args)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------- what a user may get wrong

def write_bad_files(make_notes):
    """A folder's worth of files that cannot be restored, by name."""
    audio = make_notes(RATE, 0.5).T
    open("empty.wav", "wb").close()
    with open("text.wav", "w") as file:
        file.write("This is not a recording.\n" * 100)
    soundfile.write("nosamples.wav", audio[:0], RATE)
    soundfile.write("slow.wav", audio, 4000)
    for name in ("whole.flac", "whole.wav"):
        soundfile.write(name, audio, RATE)
        with open(name, "rb") as whole, open(name.replace("whole", "cut"), "wb") as cut:
            cut.write(whole.read()[:6000])
    for name, value in (("nan.wav", np.nan), ("inf.wav", -np.inf)):
        broken = audio.copy()
        broken[500] = value
        soundfile.write(name, broken, RATE, subtype="FLOAT")
    soundfile.write("in.wav", audio, RATE)
    os.mkdir("folder")
    with open("curve.txt", "w") as file:
        file.write("100 0\n1000 loud\n")


MISTAKES = [
    (["missing.wav", "-o", "out.wav"], "There is no file missing.wav."),
    (["folder", "-o", "out.wav"], "folder is a folder, not a recording."),
    (["empty.wav", "-o", "out.wav"], "empty.wav is empty (0 bytes)."),
    (["text.wav", "-o", "out.wav"], "text.wav is not an audio file that can be read"),
    (["nosamples.wav", "-o", "out.wav"], "nosamples.wav has a header but no samples."),
    (["slow.wav", "-o", "out.wav"], "slow.wav has a sample rate of 4000 Hz; it must lie from 8000 to 192000"),
    (["cut.flac", "-o", "out.wav"], "cut.flac is damaged or truncated: after"),
    (["cut.wav", "-o", "out.wav"], "cut.wav is truncated: its header promises"),
    (["nan.wav", "-o", "out.wav"], "nan.wav has 1 of 11025 samples that are not finite numbers"),
    (["inf.wav", "-o", "out.wav"], "inf.wav has 1 of 11025 samples that are not finite numbers"),
    (["in.wav", "-o", "in.wav"], "in.wav is an input and is not written over; give the output another"),
    (["in.wav", "-o", "./folder/../in.wav"], "is an input and is not written over"),
    (["in.wav", "-o", "out.xyz"], "out.xyz cannot be written: a file that ends in .xyz is not a known"),
    (["in.wav", "-o", "nowhere/out.wav"], "nowhere/out.wav cannot be written: there is no folder nowhere."),
    (["in.wav", "-o", "whole.wav/out.wav"], "out.wav cannot be written: whole.wav is a file, not a folder."),
    (["in.wav", "-o", "folder"], "folder is a folder; give a file name in it."),
    (["in.wav", "-o", "out.wav", "--eq-out", "out.wav"], "out.wav is given as --output and as --eq-out"),
    (["in.wav", "-o", "out.wav", "--eq-out", "in.wav"], "in.wav is an input and is not written over"),
    (["in.wav", "-o", "out.wav", "--eq-out", "nowhere/eq.json"], "there is no folder nowhere"),
    (["in.wav", "-o", "out.wav", "--report", "whole.wav"], "whole.wav is a file; --report needs the name"),
    (["in.wav", "-o", "out.wav", "--report", "nowhere/report"], "there is no folder nowhere"),
    (["in.wav", "-o", "out.wav", "--report", "out.wav"], "out.wav is given as --output and as --report"),
    (["in.wav", "-o", "out.wav", "--target", "missing.txt"], "missing.txt"),
    (["in.wav", "-o", "out.wav", "--target", "curve.txt"], "curve.txt cannot be used as a target: line 2"),
    (["in.wav", "-o", "out.wav", "--target", "curve.txt", "--eq-out", "curve.txt"], "curve.txt is an input"),
    (["in.wav", "-o", "out.wav", "--preset", "kazoo"], "There is no preset called 'kazoo'; there are: "),
    (["in.wav", "-o", "out.wav", "--preset", "tenor-gigli"], "weights of preset tenor-gigli are not installed: get"),
    (["in.wav", "-o", "out.wav", "--set", "stepz=3"],
     "There is no setting called 'stepz' (did you mean 'steps'?); `babe2 settings`"),
    (["in.wav", "-o", "out.wav", "--set", "ltas_margin=1"], "There is no setting ltas_margin any more: what is the"),
    (["in.wav", "-o", "out.wav", "--set", "steps"], "--set needs NAME=VALUE, as in --set steps=20, not"),
    (["in.wav", "-o", "out.wav", "--set", "steps=many"], "steps must be a whole number, not 'many'."),
    (["in.wav", "-o", "out.wav", "--set", "xi=-1"], "xi must lie from 0 to 100, not -1."),
    (["in.wav", "-o", "out.wav", "--set", "ltas=loud"], "ltas must be one of off,"),
    (["in.wav", "-o", "out.wav", "--seed", "-1"], "seed must lie from 0"),
    (["in.wav", "-o", "out.wav", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
    (["in.wav", "-o", "out.wav", "--quality", "best"], "argument --quality: invalid choice: 'best'"),
    (["in.wav", "-o", "out.wav", "--baseline", "eq"], "argument --baseline: invalid choice: 'eq'"),
    (["in.wav", "-o", "out.wav", "--loud"], "unrecognized arguments: --loud"),
    (["in.wav"], "the following arguments are required: -o/--output"),
]


@pytest.mark.parametrize("args, sentence", MISTAKES, ids=[" ".join(args) for args, _ in MISTAKES])
def test_a_mistake_is_answered_by_a_sentence_and_changes_nothing(folder, make_notes, capsys, args, sentence):
    write_bad_files(make_notes)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert cli.main(["restore", *DRAFT[:4], *args]) == cli.MISTAKE
    out, err = capsys.readouterr()
    assert sentence in err and "Traceback" not in err and out == ""
    assert err.startswith(("babe2: ", "usage: "))
    if err.startswith("babe2: "):
        assert err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert list((folder / "folder").iterdir()) == []


def test_no_arguments_at_all_are_answered(capsys):
    assert cli.main([]) == cli.MISTAKE
    assert "usage: babe2" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_said_so(notes_wav, monkeypatch, capsys):
    import torch
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert restore(notes_wav, "-o", "out.wav") == cli.OK
    assert restore(notes_wav, "-o", "gpu.wav", "--device", "cuda") == cli.MISTAKE
    assert "There is no CUDA GPU" in capsys.readouterr().err


# ---------------------------------------------------------------------- recordings that are odd but welcome

@pytest.mark.parametrize("rate, channels, subtype", [
    (8000, 1, "PCM_16"), (22050, 2, "PCM_24"), (44100, 1, "FLOAT"), (48000, 6, "PCM_16"),
    (96000, 2, "PCM_24"), (192000, 1, "PCM_16"), (11025, 1, "PCM_U8")])
def test_rate_length_and_channels_come_back_as_they_were(folder, make_notes, rate, channels, subtype):
    audio = make_notes(rate, 0.7301, channels)
    soundfile.write("in.wav", audio.T, rate, subtype=subtype)
    assert restore("in.wav", "-o", "out.wav") == cli.OK
    given, info = soundfile.info("in.wav"), soundfile.info("out.wav")
    made = max(rate, RATE)  # the prior's, where the recording's own has no room for what is made
    assert (info.samplerate, info.channels, info.frames) == (made, channels, math.ceil(given.frames * made / rate))
    assert info.subtype == ("PCM_16" if subtype == "PCM_U8" else subtype)
    restored, _ = soundfile.read("out.wav")
    assert np.isfinite(restored).all() and np.abs(restored).max() > 0.01


def odd_recordings(make_notes):
    notes = make_notes(RATE, 1.0)
    half_silent = np.concatenate([notes, np.zeros((1, 8 * RATE), np.float32)], axis=1)
    return {"one sample": notes[:, 4000:4001], "two samples": notes[:, 4000:4002], "short": notes[:, :100],
            "clipped": np.clip(20 * notes, -1, 1), "offset": notes * 0.3 + 0.6,
            "only offset": notes * 0 + 0.5, "beyond full scale": 40 * notes, "faint": 1e-5 * notes,
            "mostly silent": half_silent, "one silent channel": np.concatenate([notes, 0 * notes]),
            "out of phase": np.concatenate([notes, -notes])}


@pytest.mark.parametrize("name", [
    "one sample", "two samples", "short", "clipped", "offset", "only offset", "beyond full scale", "faint",
    "mostly silent", "one silent channel", "out of phase"])
def test_odd_recordings_are_restored(folder, make_notes, name):
    audio = odd_recordings(make_notes)[name]
    soundfile.write("in.wav", audio.T, RATE, subtype="FLOAT")
    assert restore("in.wav", "-o", "out.wav", "--report", "report", "--eq-out", "eq.json") == cli.OK
    restored, rate = soundfile.read("out.wav", always_2d=True)
    assert restored.T.shape == audio.shape and rate == RATE and np.isfinite(restored).all()
    assert names(folder) == ["eq.json", "in.wav", "out.wav", "report"]


@pytest.mark.parametrize("channels, rate", [(1, 22050), (2, 96000), (6, 8000)])
def test_silence_comes_back_as_silence(folder, channels, rate):
    soundfile.write("in.wav", np.zeros((rate // 2, channels)), rate)
    assert restore("in.wav", "-o", "out.flac", "--report", "report", "--eq-out", "eq.json") == cli.OK
    restored, _ = soundfile.read("out.flac", always_2d=True)
    assert restored.shape == (max(rate, RATE) // 2, channels) and not restored.any()
    assert {"equalizer.png", "report.json", "spectrograms.png"} == set(names(folder / "report"))


# -------------------------------------------------------------------------------------------------- results

def test_the_learned_eq_and_the_report_are_written(notes_wav, folder, capsys):
    outputs = ("-o", "out.flac", "--eq-out", "eq.json", "--report", "report")
    assert restore(notes_wav, *outputs, "--seed", 7) == cli.OK
    assert names(folder) == ["eq.json", "in.wav", "out.flac", "report"]
    assert names(folder / "report") == ["equalizer.png", "report.json", "spectrograms.png"]
    eq = json.loads((folder / "eq.json").read_text())
    assert {"freqs_hz", "response_db", "breakpoints_hz", "slopes_db_per_octave", "reference_hz"} <= set(eq)
    assert len(eq["freqs_hz"]) == len(eq["response_db"]) > 100
    record = json.loads((folder / "report" / "report.json").read_text())
    assert record["seed"] == record["settings"]["seed"] == 7
    assert record["settings"]["steps"] == 2
    assert set(record["settings"]) == set(load_preset("piano").settings("draft").flat())
    assert record["input"]["path"] == "in.wav" and record["input"]["sample_rate"] == RATE
    assert record["duration_s"] == 1.0 and record["time_taken_s"] > 0 and record["device"] == "cpu"
    assert {"babe2-fx", "torch", "numpy", "python"} <= set(record["versions"])
    err = capsys.readouterr().err
    assert "block 1/" in err and "step 2/2" in err and "sigma" in err and "left" in err
    assert "Wrote out.flac" in err


def test_quiet_says_nothing(notes_wav, capfd):
    assert restore(notes_wav, "-o", "out.wav", "-q") == cli.OK
    assert capfd.readouterr() == ("", "")


def test_a_seed_repeats_a_run_to_the_bit_and_another_does_not(notes_wav, folder):
    for name, seed in (("a.wav", 3), ("b.wav", 3), ("c.wav", 4)):
        assert restore(notes_wav, "-o", name, "--seed", seed) == cli.OK
    a, b, c = ((folder / name).read_bytes() for name in ("a.wav", "b.wav", "c.wav"))
    assert a == b != c


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_run_and_what_the_user_sets_goes_over_them(notes_wav, folder, name):
    options = ("--baseline", name, "--set", "channels=independent", "--report", "report")
    assert cli.main(["restore", notes_wav, "-o", "out.wav", *PIANO, *options]) == cli.OK
    record = json.loads((folder / "report" / "report.json").read_text())
    expected = BASELINES[name] | {"channels": "independent"}
    assert {key: record["settings"][key] for key in expected} == expected and record["baseline"] == name


def test_a_target_changes_the_result(notes_wav, folder):
    (folder / "dull.csv").write_text("Hz,dB\n50,0\n1000,-20\n10000,-70\n")
    for name, target in (("a.wav", ()), ("b.wav", ("--target", "dull.csv"))):
        assert cli.main(["restore", notes_wav, "-o", name, *PIANO, "--baseline", "ltas-eq", *target]) == cli.OK
    highs = [np.abs(np.diff(soundfile.read(name)[0])).mean() for name in ("a.wav", "b.wav")]
    assert highs[1] < highs[0]


def test_an_existing_output_is_replaced(notes_wav, folder):
    (folder / "out.wav").write_text("an earlier result")
    assert restore(notes_wav, "-o", "out.wav") == cli.OK
    assert soundfile.info("out.wav").frames == RATE


# ------------------------------------------------------------------------------------------------- failures

STOPS = [
    (KeyboardInterrupt(), cli.INTERRUPTED, "Stopped"),
    (MemoryError(), cli.FAILED, "not enough memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte"),
     cli.FAILED, "not enough memory"),
    (OSError(errno.ENOSPC, "No space left on device", "/a/b"), cli.MISTAKE, "/a/b: No space left on device."),
    (PermissionError(errno.EACCES, "Permission denied", "/a/b"), cli.MISTAKE, "/a/b: Permission denied."),
]


@pytest.mark.parametrize("error, code, sentence", STOPS, ids=[type(error).__name__ for error, *_ in STOPS])
def test_a_run_that_stops_half_way_says_why_in_a_line_and_leaves_nothing(
        notes_wav, folder, monkeypatch, capsys, error, code, sentence):
    real = babe2_fx.restoration.Restorer.run

    def stops(*args):
        yield next(real(*args))
        raise error
    monkeypatch.setattr(babe2_fx.restoration.Restorer, "run", lambda *args: Run(stops(*args)))
    (folder / "out.wav").write_text("an earlier result")
    assert restore(notes_wav, "-o", "out.wav", "--eq-out", "eq.json", "--report", "report") == code
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert names(folder) == ["in.wav", "out.wav"] and (folder / "out.wav").read_text() == "an earlier result"


def test_a_disk_that_fills_while_the_result_is_written_simulated_by_a_failing_write(
        notes_wav, folder, monkeypatch, capsys):
    calls = []

    def fills(*args):
        calls.append(args)
        if len(calls) > 1:  # the first is the trial before the render
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(writing, "_write_samples", fills)
    assert restore(notes_wav, "-o", "out.wav") == cli.MISTAKE
    said = capsys.readouterr().err
    assert "out.wav could not be written: no space left on device." in said and "--resume goes on" in said
    assert names(folder) == ["in.wav", "out.wav.unfinished"]
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(babe2_fx.effect, "shared_prior", lambda path, device="auto": tiny_prior())
    assert restore(notes_wav, "-o", "out.wav", "--resume") == cli.OK
    assert "1 finished block of the earlier run was taken over." in capsys.readouterr().err
    assert names(folder) == ["in.wav", "out.wav"]


# --------------------------------------------------------------------------------------- the other commands

def test_settings_are_listed_with_what_they_do(capsys):
    assert cli.main(["settings"]) == cli.OK
    listed = capsys.readouterr().out
    values = Settings().flat()
    for name, setting in NAMES.items():
        assert f"\n{name}{f' = {values[name]}' if name in values else ': '}" in listed and setting.help in listed


def test_settings_of_a_preset_and_quality_are_those_that_a_run_would_have(capsys):
    assert cli.main(["settings", "--preset", "piano", "--quality", "paper", "--set", "xi=0.5"]) == cli.OK
    listed = capsys.readouterr().out
    expected = load_preset("piano").settings("paper", xi=0.5)
    assert f"\nsteps = {expected.solver.steps}\n" in listed and "\nxi = 0.5\n" in listed


def test_presets_are_listed(capsys):
    assert cli.main(["presets"]) == cli.OK
    listed = capsys.readouterr().out
    assert f"piano            embedded               {load_preset('piano').title}\n" in listed
    assert f"piano-maestro    weights not installed  {load_preset('piano-maestro').title}\n" in listed


def test_help_does_not_wait_for_torch():
    script = ("import sys\nfrom babe2_host.cli import main\n"
              "assert main(['--help']) == 0 and main(['restore', '--help']) == 0 and main(['settings']) == 0\n"
              "assert not {'torch', 'numpy', 'pedalboard', 'matplotlib'} & set(sys.modules)")
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
    assert "--preset" in done.stdout and "babe2 settings" in done.stdout


# ------------------------------------------------------------------------------- the real thing, in a process

def run_python(*args, **kwargs):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=env, **kwargs)


@pytest.mark.parametrize("args, code, sentence", [
    (["restore", "missing.wav", "-o", "out.wav", "--preset", "piano"], 2, "There is no file missing.wav."),
    (["restore", "in.wav", "-o", "out.wav", "--preset", "kazoo"], 2, "There is no preset called 'kazoo'"),
    (["--version"], 0, "babe2-fx ")])
def test_the_command_in_a_process_of_its_own(notes_wav, folder, args, code, sentence):
    done = run_python("-m", "babe2_host.cli", *args, cwd=folder)
    assert done.returncode == code
    assert sentence in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert names(folder) == ["in.wav"]


def test_the_embedded_prior_restores_two_seconds(tmp_path, make_notes):
    audio = make_notes(44100, 2.0)
    soundfile.write(tmp_path / "in.flac", audio.T, 44100)
    done = run_python("-m", "babe2_host.cli", "restore", "in.flac", "-o", "out.flac", "--eq-out", "eq.json",
                      *DRAFT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    restored, rate = soundfile.read(tmp_path / "out.flac")
    assert rate == 44100 and restored.shape == audio[0].shape and np.isfinite(restored).all()
    assert np.corrcoef(restored, audio[0])[0, 1] > 0.3  # the music is still there, on the same samples
    assert np.isfinite(json.loads((tmp_path / "eq.json").read_text())["response_db"]).all()


def test_eq_export_writes_the_correction_or_says_what_is_wrong(tmp_path, capsys):
    eq = tmp_path / "eq.json"
    hz = np.geomspace(20, 11025, 200)
    falling_db = -6 * np.log2(np.maximum(hz / 1000, 1))
    eq.write_text(json.dumps({"freqs_hz": hz.tolist(), "response_db": falling_db.tolist()}))
    for kind, ending in (("csv", "csv"), ("graphic-eq", "txt"), ("fir", "wav"), ("parametric", "txt")):
        output = tmp_path / f"{kind}.{ending}"
        assert cli.main(["eq", "export", str(eq), "--as", kind, "-o", str(output)]) == 0
        assert output.stat().st_size > 100 and f"Wrote {output}." in capsys.readouterr().out
    assert cli.main(["eq", "export", str(tmp_path / "none.json"), "--as", "csv", "-o", str(tmp_path / "x.csv")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_whole_number_that_is_not_finite_is_a_mistake(capsys):
    assert cli.main(["settings", "--set", "steps=inf"]) == 2
    assert "steps must lie from" in capsys.readouterr().err
