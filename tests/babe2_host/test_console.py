"""What is printed: nothing acts on a terminal, and a stream that is closed, narrow or full does not stop the work."""

import errno
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from babe2_host import cli

LTAS = ("--preset", "piano", "--baseline", "ltas-eq")
TERRIBLE = b"caf\xe9\x1b[31m\n\xe2\x80\xae".decode("utf-8", "surrogateescape")  # a right-to-left override last
SEEN = r"caf\xe9\x1b[31m\n\u202e"


class Failing(io.StringIO):
    """A stream that the system refuses to write to."""

    def __init__(self, code: int):
        super().__init__()
        self.code = code

    def write(self, text):
        raise OSError(self.code, os.strerror(self.code))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with in.wav, a second of noise, and eq.json, a learned response."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", 0.1 * np.random.default_rng(0).normal(size=22050), 22050)
    (tmp_path / "eq.json").write_text(json.dumps({"freqs_hz": [20, 1000, 8000], "response_db": [-3, 0, -9]}))
    return tmp_path


def test_names_are_printed_so_that_every_character_is_seen(folder, capsys):
    assert cli.main(["restore", TERRIBLE, "-o", "out.wav", *LTAS]) == cli.MISTAKE
    assert capsys.readouterr().err == f"babe2: There is no file {SEEN}.\n"
    assert cli.main(["restore", "in.wav", "-o", TERRIBLE + ".wav", *LTAS]) == cli.OK
    said = capsys.readouterr().err
    assert f"Wrote {SEEN}.wav (" in said and "\x1b" not in said and os.path.exists(TERRIBLE + ".wav")
    assert cli.main(["eq", "export", "eq.json", "--as", "csv", "-o", TERRIBLE]) == cli.OK
    assert capsys.readouterr().out.endswith(f"Wrote {SEEN}.\n")
    assert cli.main(["restore", "in.wav", TERRIBLE]) == cli.MISTAKE  # what argparse says
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_narrow_terminal_gets_what_it_does_not_have_escaped(folder, monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stderr", stream)
    assert cli.main(["restore", "絆.wav", "-o", "out.wav", *LTAS]) == cli.MISTAKE
    assert stream.detach().getvalue() == b"babe2: There is no file \\u7d46.wav.\n"


@pytest.mark.parametrize("stream", [None, Failing(errno.ENOSPC), Failing(errno.EPIPE), Failing(errno.EIO)],
                         ids=["closed", "full", "left", "hung up"])
def test_a_result_is_made_wherever_stderr_goes(folder, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert cli.main(["restore", "in.wav", "-o", "out.wav", *LTAS]) == cli.OK
    assert soundfile.info("out.wav").frames == 22050


@pytest.mark.parametrize("stream, code", [(None, cli.OK), (Failing(errno.EPIPE), cli.OK),
                                          (Failing(errno.ENOSPC), cli.MISTAKE)], ids=["closed", "left", "full"])
def test_what_was_asked_for_is_not_lost_unsaid_but_where_nobody_reads_it(folder, monkeypatch, capsys, stream, code):
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["settings"]) == code
    assert capsys.readouterr().err == ("babe2: The system: No space left on device.\n" if code else "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_no_file_gets_the_number_of_a_closed_stream():
    """Else the result would be given what C libraries print."""
    script = ("from babe2_host.console import safe_streams\n"
              "with safe_streams():\n    raise SystemExit(0 if open('/dev/null').fileno() > 2 else 3)")
    closed = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(closed, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).returncode == 0


def test_what_a_command_says_names_its_options_and_what_python_says_its_parameters(folder, capsys):
    from babe2_host import Board
    from babe2_host.boards.plugins import BoardError
    board = 'format = "babe2-board-1"\n[[plugins]]\nplugin = "VST3Plugin"\npath = "x.vst3"\n'
    (folder / "board.toml").write_text(board)
    for command in (["render", "in.wav", "-o", "out.wav"], ["batch", ".", "-o", "out"]):
        assert cli.main([*command, "--board", "board.toml"]) == cli.MISTAKE
        said = capsys.readouterr().err
        assert said.startswith("babe2: board.toml, plugin 1 (VST3Plugin): x.vst3 is a program")
        assert said.endswith(" The option --allow-external allows it.\n") and "allow_external" not in said
    with pytest.raises(BoardError, match="allow_external=True") as refused:
        Board.load("board.toml")
    assert refused.value.code == "external-plugin" and "--allow-external" not in str(refused.value)


@pytest.mark.parametrize("command, option", [
    ("restore in.wav -o out.wav --preset piano --rate 5", "--rate must lie from 8000 to 192000 Hz, not 5."),
    ("render in.wav -o out.wav --board piano-78 --rate 999999", "--rate must lie from"),
    ("batch . -o out --preset piano --target-match nan", "--target-match must lie from 0 to 1, not nan."),
    ("jobs submit in.wav --preset piano --rate 1", "--rate must lie from"),
    ("watch . -o out --preset piano --target-match 3", "--target-match must lie from"),
    ("eq export eq.json --as csv -o x.csv --limit-db 0", "--limit-db must lie from 1 to 60 dB, not 0."),
    ("eq export eq.json --as fir -o x.wav --sample-rate 5", "--sample-rate must lie from"),
    ("eq export eq.json --as parametric -o x.txt --bands 99", "--bands must lie from 1 to 20, not 99."),
])
def test_a_number_out_of_range_is_said_by_its_option(folder, capsys, command, option):
    assert cli.main(command.split()) == cli.MISTAKE
    assert capsys.readouterr().err.startswith(f"babe2: {option}")
