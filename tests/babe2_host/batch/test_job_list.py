"""The jobs of folders as users have them, and of lists; mistakes in them are sentences."""

import errno
import os
import shutil

import numpy as np
import pytest
import soundfile

from babe2_host import cli
from babe2_host.audio.recording import read_recording
from babe2_host.batch import job_list
from babe2_host.batch.job_list import BatchError, Job, jobs_of_folder, jobs_of_list
from babe2_host.batch.run import run_batch
from babe2_host.rendering.recipe import Recipe
from batches import ALL, BOARD, QUICK, batch, results, there


def test_links_that_loop_are_followed_once(shelf):
    (shelf / "in" / "disc 1" / "up").symlink_to(shelf / "in")
    (shelf / "in" / "self").symlink_to("self")
    (shelf / "in" / "loop.wav").symlink_to("loop.wav")
    (shelf / "more").mkdir()
    shutil.copy("in/a.wav", "more/c.wav")
    (shelf / "in" / "0 linked").symlink_to(shelf / "more")
    (shelf / "in" / "0 same").symlink_to(shelf / "in" / "disc 1")  # before it by its name
    jobs, problems = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    assert {job.name for job in jobs} == ALL | {"0 linked/c.wav", "loop.wav"} and problems == []
    assert [at.reason for at in run_batch(jobs, "out", {}) if at.state == "failed"] == [
        "in/loop.wav is not there, or is not a regular file."]


def test_results_and_unfinished_renders_in_the_folder_are_not_taken_for_recordings(shelf):
    assert batch("in", "-o", "in/restored", *BOARD, "-q") == cli.OK
    (shelf / "in" / "x.wav.unfinished").mkdir()
    shutil.copy("in/a.wav", "in/x.wav.unfinished/a.wav")
    assert batch("in", "-o", "in/restored", *BOARD, "-q") == cli.OK
    assert results(shelf / "in" / "restored") == ALL


def test_a_folder_that_cannot_be_looked_into_is_reported_and_the_rest_is_done(shelf, monkeypatch, capsys):
    def scandir(path, scan=os.scandir):
        if os.fspath(path).endswith("disc 1"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)
    monkeypatch.setattr(os, "scandir", scandir)
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert capsys.readouterr().err == "babe2: in/disc 1 cannot be read: permission denied.\n"
    assert results(shelf / "out") == {"a.wav"}


def test_a_pipe_does_not_hold_the_batch_up(shelf, capsys):
    os.mkfifo("in/pipe.wav")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED
    assert "pipe.wav is not there, or is not a regular file." in capsys.readouterr().err
    assert results(shelf / "out") == ALL


@pytest.mark.parametrize("args, sentence", [
    (("in", "-o", "out"), "Give --preset or --board"),
    (("nowhere", "-o", "out", *BOARD), "There is no folder nowhere."),
    (("no.csv", "-o", "out", *BOARD), "There is no list no.csv."),
    (("empty", "-o", "out", *BOARD), "There are no recordings in empty."),
    (("in", "-o", "in", *BOARD), "in cannot be both"),
    (("in/disc 1", "-o", "in", *BOARD, "--format", "WAV"), None),  # it only looks like the one before
    (("in/a.wav", "-o", "out", *BOARD), "in/a.wav is neither a folder nor a list; lists end in .csv or .toml."),
    (("in", "-o", "gain.toml", *BOARD), "gain.toml is not a folder"),
    (("in", "-o", "out", *BOARD, "--format", "doc"), "out/a.doc cannot be written: .doc is not a known format."),
    (("in", "-o", "out", "--preset", "kazoo"), "There is no preset called 'kazoo'"),
    (("in", "-o", "out", "--board", "no.toml"), "There is no board no.toml."),
    (("in", "-o", "out", *QUICK, "--target", "no.csv"), "There is no target file no.csv."),
    (("in", "-o", "out", *QUICK, "--target-match", "2"), "babe2: --target-match must lie from 0 to 1, not 2"),
    (("in", "-o", "out", *QUICK, "--rate", "7"), "babe2: --rate must lie from 8000 to 192000 Hz, not 7"),
    (("in", "-o", "out", *BOARD, "--set", "steps=4"), "steps cannot be changed for a board")])
def test_mistakes_are_sentences_and_change_nothing(shelf, capsys, args, sentence):
    (shelf / "empty").mkdir()
    before = there(shelf)
    code, err = batch(*args, "-q"), capsys.readouterr().err
    if sentence is None:
        assert code == cli.OK and set(there(shelf)) - set(before) == {"in/b.wav", "in/ü.wav", "in/manifest.json"}
        return
    assert code == cli.MISTAKE and sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert there(shelf) == before


def test_two_files_that_differ_in_their_ending_alone_never_become_one(shelf, capsys):
    shutil.copy("in/disc 1/b.flac", "in/a.flac")
    assert batch("in", "-o", "out", *BOARD, "--format", "flac") == cli.MISTAKE
    assert "in/a.flac and in/a.wav would both become out/a.flac." in capsys.readouterr().err
    assert not os.path.exists("out")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    assert results(shelf / "out") == ALL | {"a.flac"}


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_output_that_is_an_input_by_another_name_is_refused(shelf, capsys, link):
    (shelf / "out").mkdir()
    link(shelf / "in" / "disc 1" / "ü.wav", shelf / "out" / "a.wav")
    before = there(shelf)
    assert batch("in", "-o", "out", *BOARD, "--overwrite") == cli.MISTAKE
    assert "out/a.wav is an input and is not written over" in capsys.readouterr().err and there(shelf) == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "babe2-batch-1"}', "[" * 100000, "\udcff"],
                         ids=["empty", "other", "list", "half", "deep", "binary"])
def test_a_file_that_is_no_manifest_is_left_alone(shelf, capsys, content):
    (shelf / "out").mkdir()
    data = content.encode("utf-8", "surrogateescape")
    (shelf / "out" / "manifest.json").write_bytes(data)
    assert batch("in", "-o", "out", *BOARD) == cli.FAILED
    assert "manifest.json" in capsys.readouterr().err and there(shelf / "out") == {"manifest.json": data}


def test_two_batches_do_not_work_in_one_folder(shelf):
    jobs, _ = jobs_of_folder("in", "out", Recipe(board="gain.toml"))
    first = run_batch(jobs, "out", {})
    next(first)
    with pytest.raises(BatchError, match="Another batch is at work in out"):
        next(run_batch(jobs, "out", {}))
    first.close()
    assert [at.state for at in run_batch(jobs, "out", {})] == ["as before", "done", "done"]


def test_a_list_gives_each_file_its_own_preset_target_seed_and_gain(shelf, capsys):
    (shelf / "curve.csv").write_text("100,0\n1000,-3\n8000,-20\n")
    (shelf / "shelf.csv").write_text(
        "\ufefffile;output;board;preset;target;seed;gain_db;s_churn\n"
        "in/a.wav;;;;;;;\n"
        "in/a.wav;louder/a.flac;gain.toml;;;;6;\n"
        "in/disc 1/b.flac;b.wav;;;curve.csv;7;;0.3\n;;;;;;;\n", encoding="utf-8")
    assert batch("shelf.csv", "-o", "out", *QUICK) == cli.OK, capsys.readouterr().err
    assert results(shelf / "out") == {"in/a.wav", "louder/a.flac", "b.wav"}
    np.testing.assert_allclose(soundfile.read("out/louder/a.flac")[0], soundfile.read("in/a.wav")[0], atol=2 ** -14)
    assert cli.main(["restore", "in/disc 1/b.flac", "-o", "b.wav", *QUICK, "--target", "curve.csv", "--seed", "7",
                     "--set", "s_churn=0.3", "-q"]) == cli.OK
    assert (shelf / "b.wav").read_bytes() == (shelf / "out" / "b.wav").read_bytes()


def test_csv_and_toml_lists_say_the_same(shelf):
    (shelf / "list.csv").write_text('file,preset,seed,gain_db,steps\n"in/a.wav",piano,3,-1.5,4\n')
    (shelf / "list.toml").write_text(
        '[[files]]\nfile = "in/a.wav"\npreset = "piano"\nseed = 3\ngain_db = -1.5\nsteps = 4\n')
    one, other = (jobs_of_list(name, Recipe(board="gain.toml")) for name in ("list.csv", "list.toml"))
    assert one == other == [Job("in/a.wav", one[0].source, Recipe(
        preset="piano", gain_db=-1.5, settings=(("seed", 3), ("steps", 4))))]


def test_panels_of_one_set_of_files_with_their_own_step_sizes(shelf):
    """The panel tests of the 78 rpm work: the same tracks in several panels, with a step size for each."""
    rows = [f"in/a.wav,panel-{panel}/a.wav,{xi}" for panel, xi in ((1, 0.2), (2, 0.5))]
    (shelf / "panels.csv").write_text("\n".join(["file,output,xi", *rows]))
    options = ("--preset", "piano", "--set", "guidance=gradient", "--set", "steps=3", "-q")
    assert batch("panels.csv", "-o", "out", *options) == cli.OK
    one, two = (read_recording(f"out/panel-{panel}/a.wav").audio for panel in (1, 2))
    assert one.shape == two.shape and not np.array_equal(one, two)


@pytest.mark.parametrize("name, content, sentence", [
    ("x.csv", b"", "x.csv lists no files."),
    ("x.csv", b"file\n", "x.csv lists no files."),
    ("x.csv", b"\xff\xfe\x00", "x.csv is not a CSV file that can be read"),
    ("x.csv", b'file\n"in/a.wav\n', "x.csv is not a CSV file that can be read"),
    ("x.csv", b"flie\nin/a.wav\n", "x.csv, line 2: There is no column called 'flie'. Did you mean 'file'?"),
    ("x.csv", b"file,seed,seed\nin/a.wav,1,2\n", "x.csv has two columns called 'seed'."),
    ("x.csv", b"file,seed\nin/a.wav,1,2\n", "x.csv, line 2: there are more values than columns; the first is '2'."),
    ("x.csv", b"seed\n1\n", "x.csv, line 2: it names no file."),
    ("x.csv", b"file,seed\nin/a.wav,\nin/b.wav,high\n", "x.csv, line 3: seed must be a number, not 'high'."),
    ("x.csv", b"file,seed\nin/a.wav,-1\n", "in/a.wav cannot be rendered as asked: seed must lie from 0"),
    ("x.csv", b"file,quality\nin/a.wav,best\n", "The quality must be one of draft, standard, paper, not 'best'."),
    ("x.csv", b"file,gain_db\nin/a.wav,nan\n", "gain_db must lie from -60 to 60, not nan."),
    ("x.csv", b"file,preset,board\nin/a.wav,piano,gain.toml\n", "It needs a preset or a board, not both."),
    ("x.csv", b"file,output\nin/a.wav,../a.wav\n", "x.csv, line 2: output must be a plain name in the output folder"),
    ("x.csv", b"file,output\nin/a.wav,/tmp/a.wav\n", "x.csv, line 2: output must be a plain name"),
    ("x.csv", b"file\nin/a.wav\nin/a.wav\n", "in/a.wav and in/a.wav would both become out/in/a.wav."),
    ("x.csv", b"file,preset\nin/a.wav,kazoo\n", "There is no preset called 'kazoo'"),
    ("x.toml", b"file = 3\n", "x.toml is not a list: it must have a table [[files]] for each file"),
    ("x.toml", b"[[files]]\nfile = 'in/a.wav'\ngain_db = 1" + 400 * b"0", "a whole number of more than 18 digits"),
    ("x.toml", b"[[files]]\nseed = 1" + 5000 * b"0", "x.toml is not a TOML file that can be read"),
    ("x.toml", b"[[files]\n", "x.toml is not a TOML file that can be read"),
    ("x.toml", b"files = [3]\n", "x.toml, file 1: it must be a table, not 3."),
    ("x.toml", b"[[files]]\nfile = 3\n", "x.toml, file 1: file must be text, not 3."),
    ("x.toml", b"[[files]]\nfile = 'in/a.wav'\nseed = true\n", "x.toml, file 1: seed must be a number, not True.")])
def test_mistakes_in_lists_are_sentences_that_say_where(shelf, capsys, name, content, sentence):
    (shelf / name).write_bytes(content)
    before = there(shelf)
    assert batch(name, "-o", "out", *BOARD[:2]) == cli.MISTAKE
    err = capsys.readouterr().err
    assert sentence in err and err.startswith("babe2: ") and err.count("\n") == 1
    assert there(shelf) == before and not os.path.exists("out")


def test_a_list_that_cannot_be_read(shelf, monkeypatch, capsys):
    os.mkfifo("pipe.csv")
    assert batch("pipe.csv", "-o", "out", *BOARD) == cli.MISTAKE
    assert capsys.readouterr().err == "babe2: pipe.csv is not a regular file.\n"

    def refused(path, *args, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    (shelf / "x.csv").write_text("file\nin/a.wav\n")
    monkeypatch.setattr(job_list, "read_text", refused)
    assert batch("x.csv", "-o", "out", "--board", "gain.toml") == cli.MISTAKE
    assert capsys.readouterr().err == "babe2: x.csv cannot be read: permission denied.\n"
    assert not os.path.exists("out")


LATIN = os.fsdecode(b"caf\xe9.wav")  # a name that is not UTF-8, as on the disks of old archives


@pytest.mark.parametrize("name, content", [
    ("utf8.csv", "file;seed\nBär.wav;1\n".encode("utf-8-sig")),
    ("windows.csv", "file;seed\nBär.wav;1\n".encode("cp1252")),
    ("excel.csv", "file\tseed\r\nBär.wav\t1\r\n".encode("utf-16")), ("disk.csv", b"file,seed\ncaf\xe9.wav,1\n"),
    ("disk.toml", b'[[files]]\nfile = "caf\xe9.wav"\nseed = 1\n'),
    ("notepad.toml", '[[files]]\r\nfile = "Bär.wav"\r\nseed = 1\r\n'.encode("utf-8-sig"))])
def test_a_list_in_any_encoding_names_the_files_that_are_there(shelf, name, content):
    shutil.copy("in/a.wav", "Bär.wav")
    shutil.copy("in/a.wav", LATIN)
    (shelf / name).write_bytes(content)
    (job,) = jobs_of_list(name, Recipe("piano"))
    assert job.name == (LATIN if name.startswith("disk") else "Bär.wav")
    assert job.source.exists() and job.recipe.settings == (("seed", 1),)


def test_a_list_that_is_something_else_is_said_to_be(shelf):
    (shelf / "x.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(BatchError, match="is not a CSV file that can be read: it is a Git LFS pointer"):
        jobs_of_list("x.csv", Recipe("piano"))


def test_a_target_folder_may_hold_any_name(shelf):
    shutil.copy("in/a.wav", shelf / "in" / LATIN)
    assert Recipe("piano", target="in").facts(Recipe("piano").make())["target_sha256"]


def test_what_a_list_names_lies_beside_it(shelf, monkeypatch):
    (shelf / "lists").mkdir()
    shutil.move("gain.toml", "lists/gain.toml")
    (shelf / "lists" / "x.csv").write_text("file,board\n../in/a.wav,gain.toml\n")
    assert batch("lists/x.csv", "-o", "out", "-q") == cli.OK
    assert results(shelf / "out") == {"a.wav"}


def test_a_list_that_gives_neither_preset_nor_board(shelf, capsys):
    (shelf / "x.csv").write_text("file\nin/a.wav\n")
    assert batch("x.csv", "-o", "out") == cli.MISTAKE
    assert "in/a.wav cannot be rendered as asked: It needs a preset or a board." in capsys.readouterr().err


def test_recordings_with_other_endings_are_done_and_audio_that_cannot_be_read_is_counted(shelf, capsys):
    for name in ("in/transfer.bwf", "in/take.wave", "in/take 2"):
        shutil.copy("in/a.wav", name)
    (shelf / "in" / "notes.txt").write_text("Side A")
    (shelf / "in" / "old.ape").write_bytes(b"MAC ")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.FAILED  # for one is not done
    assert capsys.readouterr().err == (
        "babe2: 1 file in in with audio that cannot be read here was passed over: old.ape.\n")
    assert results(shelf / "out") == ALL | {"transfer.bwf", "take.wave", "take 2.flac"}
    assert (shelf / "out" / "transfer.bwf").read_bytes()[:4] == b"RIFF"


def test_a_name_that_is_not_utf_8_does_not_stop_the_others(shelf):
    name = os.fsdecode(b"caf\xe9.wav")
    shutil.copy("in/a.wav", f"in/{name}")
    assert batch("in", "-o", "out", *BOARD, "-q") == cli.OK
    assert results(shelf / "out") == ALL | {name}
