"""A render of a file loses nothing: killed anywhere, on a full disk, or with other files in its way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx import GenerativeEQ
from babe2_fx.files import FileError, NotInPlaceError
from babe2_fx.priors import save_prior
from babe2_host import Board, cli
from babe2_host.audio.recording import read_recording
from babe2_host.rendering.render import render_destination, render_file
from babe2_host.stopping import NAMES, Stopped, signals_as_ctrl_c
from standin import TINY, save_tiny_preset, tiny_prior

RATE = 22050
QUICK = {"steps": 3, "order": 1, "quality": "draft"}
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
RESTORE = ("--preset", "piano", "--quality", "draft", "--set", "steps=3", "--set", "order=1")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals, and goes by the names of folders")


@pytest.fixture(autouse=True)
def signals_as_a_new_process_has_them():
    """Ray, in whose process other tests have been by now, leaves a handler behind that ends it."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler or signal.SIG_DFL)


def restore(*args):
    return cli.main(["restore", *map(str, args), *RESTORE, "-q"])


def there(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# ------------------------------------------------------------------------------------------------------ killed

@posix
def test_kills_at_any_moment_leave_whole_files_or_none_and_nothing_else():
    """A few here; `python tests/kills.py 100` tries more."""
    kills = Path(__file__).parents[2] / "kills.py"
    done = subprocess.run([sys.executable, kills, "2", str(time.time_ns() % 1000)], env=ENV, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "restore: 2 kills" in done.stdout and "batch: 2 kills" in done.stdout


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_a_command_as_ctrl_c_does(folder, make_notes, monkeypatch, capsys, number):
    soundfile.write("in.wav", make_notes(RATE, 3.0).T, RATE)
    before, read = signal.getsignal(number), GenerativeEQ.run

    def run(self, *args, **options):
        steps = read(self, *args, **options)
        for now in steps:
            yield now
            if now.block == 2:
                os.kill(os.getpid(), number)
        return steps.value
    monkeypatch.setattr(GenerativeEQ, "run", run)
    assert restore("in.wav", "-o", "out.wav") == 128 + number
    said = capsys.readouterr().err
    assert "Finished blocks are kept in" in said and "Stopped; nothing was left half-written." in said
    assert sorted(path.name for path in folder.iterdir()) == ["in.wav", "out.wav.unfinished"]
    assert signal.getsignal(number) == before


@posix
def test_signals_that_are_ignored_stay_so_and_a_second_one_does_not_disturb_the_end():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        ended = False
        with pytest.raises(Stopped) as stop, signals_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                ended = True
        assert ended and stop.value.exit_code == 143 and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_a_terminal_that_is_closed_ends_a_command_tidily():
    """Where words to it would raise errors of their own."""
    import pty
    script = ("import time; from types import SimpleNamespace; from babe2_host import cli\n"
              "def run(args):\n"
              "    try:\n        print('begun', flush=True); time.sleep(60)\n"
              "    finally:\n        print('tidied up', flush=True)\n"
              "cli.build_parser = lambda: SimpleNamespace(parse_args=lambda argv: SimpleNamespace(run=run))\n"
              "raise SystemExit(cli.main([]))\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", script], ENV)
    assert os.read(terminal, 100).startswith(b"begun")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129


# --------------------------------------------------------------------------------------------------- a full disk

SMALL_DISK = """mount -t tmpfs -o size=800k none "$1" && cd "$1" && shift && exec "$@" """


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(*command): runs a command in a folder with 0.8 MB of room; returns it, and what it left there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    save_tiny_preset(tmp_path / "config", steps=2, order=1)

    def run(*command):
        own = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        if not Path("/proc").is_dir() or subprocess.run([*own, "sh", "-c", SMALL_DISK, "sh", disk, "true"],
                                                        capture_output=True).returncode:
            pytest.skip("needs leave to mount a small disk (unshare, tmpfs)")
        command = [sys.executable, "-m", "babe2_host.cli", *command, "--preset", "tiny"]
        script = '"$@"; code=$?; ls -A >&2; cat out.wav > ../made.wav; exit $code'
        return subprocess.run([*own, "sh", "-c", SMALL_DISK, "sh", disk, "sh", "-c", script, "sh", *command],
                              env=ENV | {"BABE2_CONFIG": str(tmp_path / "config")}, capture_output=True, text=True)
    return run


def test_blocks_leave_the_room_that_the_result_needs(tmp_path, small_disk, make_notes):
    """0.4 MB of a result and 1 MB of blocks, for which less than 0.4 MB are left."""
    soundfile.write(tmp_path / "in.wav", make_notes(RATE, 10.0).T, RATE)
    done = small_disk("restore", tmp_path / "in.wav", "-o", "out.wav")
    assert done.returncode == 0, done.stderr
    assert "could not be kept" in done.stderr and "no space left on device" in done.stderr
    assert done.stderr.splitlines()[-1] == "out.wav"  # all that is there
    assert soundfile.info(tmp_path / "made.wav").frames == 10 * RATE


def test_a_disk_too_small_for_the_result_is_found_out_before(tmp_path, small_disk, make_notes):
    soundfile.write(tmp_path / "in.wav", make_notes(RATE, 20.0).T, RATE)
    done = small_disk("restore", tmp_path / "in.wav", "-o", "out.wav", "-q")
    assert done.returncode == 2 and "out.wav cannot be written: no space left on device." in done.stderr
    assert ".part" not in done.stderr and ".unfinished" not in done.stderr


# -------------------------------------------------------------------------------------------- in its way

def test_a_file_that_appears_during_a_render_is_kept_and_so_is_the_result(folder, make_notes, capsys, monkeypatch):
    soundfile.write("in.wav", make_notes(RATE, 3.0).T, RATE)
    assert restore("in.wav", "-o", "whole.wav") == cli.OK
    from babe2_host.commands import render
    watch = render.watch

    def appears(run, quiet):
        (folder / "out.wav").write_text("somebody's work")
        (folder / "eq.json").write_text("somebody's work")
        return watch(run, quiet)
    monkeypatch.setattr(render, "watch", appears)
    assert restore("in.wav", "-o", "out.wav", "--eq-out", "eq.json") == cli.FAILED
    assert f"out.wav appeared or was changed while its result was being made, and is not replaced; the result is " \
           f"{folder / 'out (2).wav'}." in capsys.readouterr().err
    assert there(folder).keys() == {"in.wav", "whole.wav", "out.wav", "eq.json", "out (2).wav"}
    assert (folder / "out.wav").read_text() == (folder / "eq.json").read_text() == "somebody's work"
    assert (folder / "out (2).wav").read_bytes() == (folder / "whole.wav").read_bytes()
    assert not (folder / "out.wav.unfinished").exists()


@posix
def test_an_output_that_was_there_is_replaced_with_its_permissions_and_through_a_link(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 1.0).T, RATE)
    (folder / "real.wav").write_text("earlier")
    (folder / "real.wav").chmod(0o640)
    (folder / "out.wav").symlink_to("real.wav")
    assert restore("in.wav", "-o", "out.wav") == cli.OK
    assert (folder / "out.wav").is_symlink() and soundfile.info("real.wav").frames == RATE
    assert (folder / "real.wav").stat().st_mode & 0o777 == 0o640


@posix
def test_a_render_whose_folder_is_swapped_for_a_link_writes_nothing_elsewhere(folder, make_notes):
    soundfile.write("in.wav", make_notes(RATE, 3.0).T, RATE)
    recording, board = read_recording("in.wav"), Board([GenerativeEQ(**QUICK)])
    for name in ("granted", "private"):
        (folder / name).mkdir()
    with render_destination(recording, folder / "granted" / "out.wav", board, follow=False) as place:
        with render_file(recording, place, board) as run:
            for now in run:
                if now.block == 2 and (folder / "private").exists() and not (folder / "granted").is_symlink():
                    (folder / "granted").rename(folder / "moved")
                    (folder / "granted").symlink_to("private")
                if now.share_done == 1:
                    break
            with pytest.raises(NotInPlaceError, match="moved"):
                run.finish()
    assert list((folder / "private").iterdir()) == []
    assert [path.name for path in (folder / "moved").iterdir()] == ["out.wav"]
    with pytest.raises(FileError), render_destination(recording, folder / "granted" / "out.wav", board, follow=False):
        pass
    assert list((folder / "private").iterdir()) == []


@pytest.mark.parametrize("option", ["-o", "--eq-out", "--report"])
def test_no_file_that_a_render_is_made_by_can_be_an_output(folder, tmp_path, make_notes, capsys, option):
    """Those of a folder of targets, the target, the preset and its prior."""
    audio = make_notes(RATE, 1.0)
    (folder / "targets").mkdir()
    names = {"-o": "a.wav", "--eq-out": "eq.json", "--report": "report.json"}
    for path in ("in.wav", "targets/a.wav"):
        soundfile.write(path, audio.T, RATE)
    soundfile.write("targets/" + names[option], audio.T, RATE, format="WAV")
    presets = tmp_path / "config" / "presets"
    presets.mkdir(parents=True)
    prior = tiny_prior()
    save_prior(presets / "eq.json", prior.network.state_dict(), TINY, prior.sigma_data, prior.level, prior.ltas, None,
               {})
    (presets / "mine.toml").write_text('title = "Mine"\ndescription = "Random weights."\nprior = "eq.json"\n')
    before = there(folder / "targets") | there(presets)

    def attempt(output, *more):
        options = {"-o": "out.wav", option: output}
        return cli.main(["restore", "in.wav", *(word for pair in options.items() for word in pair), *more, "-q"])
    output = "targets" if option == "--report" else f"targets/{names[option]}"
    quick = RESTORE[2:]
    assert attempt(output, "--target", "targets", "--preset", "piano", *quick) == cli.MISTAKE
    assert "is an input and is not written over" in capsys.readouterr().err
    assert attempt(output, "--target", f"targets/{names[option]}", "--preset", "piano", *quick) == cli.MISTAKE
    if option == "--eq-out":
        for path in ("eq.json", "mine.toml"):
            assert attempt(str(presets / path), "--preset", "mine", *quick) == cli.MISTAKE
    assert there(folder / "targets") | there(presets) == before and not (folder / "out.wav").exists()


def test_an_impulse_response_that_a_board_names_cannot_be_the_output(folder, capsys):
    soundfile.write("in.wav", np.ones(RATE) / 2, RATE)
    soundfile.write("room.wav", np.eye(1, 100)[0], RATE)
    (folder / "board.toml").write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "Convolution"\n'
                                       'impulse_response_filename = "room.wav"\n')
    before = there(folder)
    assert cli.main(["render", "in.wav", "-o", "room.wav", "--board", "board.toml"]) == cli.MISTAKE
    assert "room.wav is an input and is not written over" in capsys.readouterr().err and there(folder) == before
