"""REAPER's script, against a stand-in of the functions of REAPER that it calls. REAPER itself does not run here."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx.files import FileError
from babe2_host.audio.excerpt import cut
from babe2_host.daw import reaper
from babe2_host.daw.scripts import filled, lua_string
from babe2_host.service import Client
from babe2_host.service.places import jobs_folder

HERE = Path(__file__).parent
RATE = 44100
PRINT = """
local function json(value)
  if type(value) == "string" then
    return '"' .. value:gsub('[%c"\\\\]', function(c) return string.format("\\\\u%04x", c:byte()) end) .. '"'
  end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  if #value > 0 then
    for _, inner in ipairs(value) do parts[#parts + 1] = json(inner) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, inner in pairs(value) do
    if key ~= "item" then parts[#parts + 1] = json(key) .. ":" .. json(inner) end -- a take's item: a circle
  end
  return "{" .. table.concat(parts, ",") .. "}"
end
print(json({items = PROJECT.items, said = SAID}))
"""
# Stands in for `babe2`: `jobs submit` makes a job whose result is the input itself; the rest is as small.
COMMAND = """
import json, os, pathlib, secrets, shutil, sys
from babe2_host.cutting import cut
from babe2_host.service.places import jobs_folder
STATE = os.environ.get("STATE", "done")

def standin(words):
    action, folder = words[1], jobs_folder()
    if action == "submit":
        options = dict(word[2:].split("=", 1) for word in words[3:])
        if options["preset"] == "none":
            print("babe2: There is no preset none.", file=sys.stderr)
            return 2
        job = secrets.token_hex(8)
        (folder / job).mkdir()
        cut(pathlib.Path(words[2]), int(options.pop("first")), int(options.pop("samples")), folder / job / "input.wav")
        shutil.copyfile(folder / job / "input.wav", folder / job / "result.wav")
        record = {"id": job, "state": STATE, "share_done": 0.5, "message": "It \\"is\\" so.", "left_s": 12.5,
                  "output": str(folder / job / "result.wav"), "created": str(len(list(folder.iterdir()))), **options}
        save(folder, record)
        print(job)
    elif action == "list":
        for path in folder.glob("*/job.json"):
            print(path.parent.name, " done  IN -> OUT")
    elif action == "cancel":
        save(folder, json.loads((folder / words[2] / "job.json").read_text()) | {"state": "cancelled"})
    elif action == "remove":
        shutil.rmtree(folder / words[2])
    return 0

def save(folder, record):
    (folder / record["id"] / "job.json").write_text(json.dumps(record, indent=1, ensure_ascii=False))

sys.exit(standin(sys.argv[1:]))
"""


def lua(value) -> str:
    """A value of Python's as an expression of Lua's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {lua(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return lua_string(str(value)) if isinstance(value, (str, Path)) else repr(value)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """REAPER's resource folder with the script installed, and a folder of jobs of its own."""
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    (tmp_path / "REAPER").mkdir()
    (tmp_path / "media").mkdir()
    reaper.install(tmp_path / "REAPER")
    return tmp_path


@pytest.fixture
def run(home):
    """run(items, inputs, keys, **environment): runs the script; returns the items afterwards and what it said."""
    if not shutil.which("lua5.4"):
        pytest.skip("needs lua5.4")
    (home / "babe2.py").write_text(COMMAND)
    script = home / "REAPER/Scripts/Generative EQ.lua"
    real, text = f"{shlex.quote(sys.executable)} -P -m babe2_host.cli", script.read_text()
    assert lua_string(real) in text
    script.write_text(text.replace(lua_string(real), lua_string(shlex.join([sys.executable, str(home / "babe2.py")]))))

    def run(items, inputs=("piano", "draft", ""), keys=(), **environment):
        answers = {"keys": list(keys)} | ({"inputs": list(inputs)} if inputs else {})
        driver = home / "driver.lua"
        driver.write_text(f"PROJECT = {lua({'media': home / 'media', 'items': items})}\nANSWERS = {lua(answers)}\n"
                          f"dofile({lua(HERE / 'reaper_standin.lua')})\nrun({lua(script)})\n{PRINT}")
        done = subprocess.run(["lua5.4", driver], capture_output=True, text=True, timeout=300,
                              env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        return outcome["items"], outcome["said"]
    return run


@pytest.fixture
def source(home, make_notes):
    """A file of three seconds of notes in stereo."""
    path = home / "it's \"né\".wav"
    soundfile.write(path, make_notes(RATE, 3.0, channels=2).T, RATE, subtype="FLOAT")
    return path


def an_item(source, length_s=1.0, take=None, **values):
    take = {"guid": "{11111111-AAAA-BBBB-CCCC-123456789ABC}", "name": 'Aria "1"',
            "source": {"path": source, "rate": RATE, "length_s": 3.0}} | (take or {})
    return {"D_POSITION": 10.0, "D_LENGTH": length_s, "B_LOOPSRC": 0, "selected": True, "takes": [take]} | values


def test_a_restored_take_plays_what_its_original_does_to_the_sample(run, home, source):
    take = {"D_STARTOFFS": 0.7123457, "D_PLAYRATE": 1.25, "D_VOL": 0.5, "D_PAN": -0.25, "D_PITCH": 2.0, "B_PPITCH": 0,
            "I_CHANMODE": 3, "I_CUSTOMCOLOR": 0x1FF0000, "fx": ["ReaEQ", "ReaComp"]}
    (item,), said = run([an_item(source, take=take)])
    original, restored = item["takes"]
    assert item["active"] == 2 and (item["D_POSITION"], item["D_LENGTH"]) == (10.0, 1.0)
    assert restored["name"] == 'Aria "1" (restored)' and restored["fx"] == ["ReaEQ", "ReaComp"]
    assert {name: restored[name] for name in take} == take | {"D_STARTOFFS": restored["D_STARTOFFS"]}
    assert {name: original[name] for name in take} == take

    path = Path(restored["source"]["path"])
    assert path == home / "media/Aria _1_ (restored).wav"
    audio, result = soundfile.read(source, dtype="float32")[0], soundfile.read(path, dtype="float32")[0]
    first = round((take["D_STARTOFFS"] - restored["D_STARTOFFS"]) * RATE)  # sample 0 of the result in the source
    assert abs((take["D_STARTOFFS"] - restored["D_STARTOFFS"]) * RATE - first) < 1e-6
    assert 0 <= restored["D_STARTOFFS"] < 1 / RATE
    np.testing.assert_array_equal(result, audio[first:first + len(result)])
    assert len(result) / RATE >= restored["D_STARTOFFS"] + 1.25

    assert said["undo"] == ["Generative EQ"] and said["console"] == 'Aria "1": It "is" so.\n' and not said["messages"]
    assert not list(jobs_folder().iterdir()) and not said["window"]
    assert "piano" in said["asked"] and said["states"]["babe2/options"] == "piano\ndraft\n"


def test_sections_of_files_and_looped_items_keep_their_place(run, source):
    section = {"guid": "{22222222-AAAA-BBBB-CCCC-123456789ABC}", "name": "section", "D_STARTOFFS": 0.25,
               "source": {"path": source, "rate": RATE, "length_s": 1.0, "file_length_s": 3.0,
                          "section": {"offset_s": 1.5}}}
    looped = an_item(source, length_s=8.0, take={"D_STARTOFFS": 0.5}, B_LOOPSRC=1)
    (one, two), said = run([an_item(source, 0.5, take=section), looped])
    audio = soundfile.read(source, dtype="float32")[0]
    restored = one["takes"][1]
    np.testing.assert_array_equal(soundfile.read(restored["source"]["path"], dtype="float32")[0],
                                  audio[round(1.75 * RATE):round(2.25 * RATE)])
    assert restored["D_STARTOFFS"] == pytest.approx(0, abs=1e-9)
    restored = two["takes"][1]
    np.testing.assert_array_equal(soundfile.read(restored["source"]["path"], dtype="float32")[0], audio)
    assert restored["D_STARTOFFS"] == 0.5
    assert said["undo"] == ["Generative EQ"]  # one step for both


def test_what_cannot_be_restored_is_said_and_left_alone(run, source):
    items = [an_item(source, take={"name": "midi", "midi": True}),
             an_item(source, take={"name": "marked", "stretch_markers": 2}),
             an_item(source, take={"name": "backwards", "source": {
                 "path": source, "rate": RATE, "length_s": 3.0, "section": {"offset_s": 0.0, "reversed": True}}}),
             an_item(source, take={"name": "late", "D_STARTOFFS": 4.0}),
             an_item(source.with_name("gone.wav"), take={"name": "gone"}),
             an_item(source, takes=[])]
    after, said = run(items)
    assert [len(item["takes"]) for item in after] == [1, 1, 1, 1, 1, 0] and not said["undo"]
    message, = said["messages"]
    assert [line.split(": ")[0] for line in message.split("\n")] == [
        "midi", "marked", "backwards", "late", "gone", "An empty item"]
    assert "gone.wav cannot be read" in message and message.count("glue the item first") == 2


def test_a_refusal_of_the_host_is_shown(run, source):
    _, said = run([an_item(source)], inputs=("none", "draft", ""))
    assert said["messages"] == ['Aria "1": There is no preset none.'] and not list(jobs_folder().iterdir())


def test_without_items_or_answers_nothing_happens(run, source):
    _, said = run([an_item(source, selected=False)])
    assert said["messages"] == ["Select the items to restore first."]
    (item,), said = run([an_item(source)], inputs=None)
    assert len(item["takes"]) == 1 and not said["messages"] and not said["undo"]


def test_esc_cancels_and_the_original_stays(run, source):
    (item,), said = run([an_item(source)], keys=[0, 27], STATE="running")
    assert len(item["takes"]) == 1 and said["messages"] == ['Aria "1": cancelled'] and not list(jobs_folder().iterdir())
    assert 'Aria "1": It "is" so., 13 s left' in said["drawn"] and not said["undo"]


def test_what_ends_after_reaper_was_closed_comes_in_at_the_next_run(run, source):
    item = an_item(source, take={"D_STARTOFFS": 0.5})
    (after,), said = run([item], keys=[0, -1], STATE="running")  # the window is closed
    assert len(after["takes"]) == 1 and not said["messages"]
    record_path, = jobs_folder().glob("*/job.json")
    record_path.write_text(record_path.read_text().replace('"running"', '"done"'))

    _, said = run([an_item(source, take={"guid": "{OTHER}"}, selected=False)])  # another project
    assert said["messages"] == ["Select the items to restore first."] and record_path.exists()

    # Meanwhile the item was trimmed by a quarter of a second at its start.
    (after,), said = run([an_item(source, 0.75, take={"D_STARTOFFS": 0.75}, selected=False)])
    assert after["takes"][1]["D_STARTOFFS"] == pytest.approx(0.25, abs=1 / RATE) and said["undo"] == ["Generative EQ"]
    assert not record_path.exists()


def test_results_do_not_replace_files_of_the_project(run, home, source):
    taken = home / "media/Aria _1_ (restored).wav"
    taken.write_bytes(b"mine")
    (item,), _ = run([an_item(source)])
    assert taken.read_bytes() == b"mine"
    assert item["takes"][1]["source"]["path"] == str(home / "media/Aria _1_ (restored) 2.wav")


def test_the_script_restores_with_the_real_service(run, home, source):
    reaper.install(home / "REAPER")  # with the real command again
    item = an_item(source, length_s=0.5)
    try:
        (after,), said = run([item])
        assert not Client().jobs()
    finally:
        Client().stop()
    assert not said["messages"]
    restored, rate = soundfile.read(after["takes"][1]["source"]["path"], dtype="float32")
    assert restored.shape == (22050, 2) and rate == RATE
    assert np.isfinite(restored).all() and 0.01 < np.abs(restored).max() < 2
    assert any("step" in text for text in said["drawn"])


def test_a_cut_holds_the_samples_asked_for_and_silence_beyond_the_end(tmp_path, make_notes):
    audio = make_notes(48000, 2.0, channels=3).T
    soundfile.write(tmp_path / "in.flac", audio, 48000, subtype="PCM_24")
    audio = soundfile.read(tmp_path / "in.flac", dtype="float32")[0]
    cut(tmp_path / "in.flac", 12345, 96000, tmp_path / "out.wav")
    result, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == 48000 and soundfile.info(tmp_path / "out.wav").subtype == "FLOAT"
    np.testing.assert_array_equal(result, np.concatenate([audio[12345:], np.zeros((12345, 3), np.float32)]))


def test_files_that_reaper_may_begin_elsewhere_are_refused(tmp_path, make_notes):
    soundfile.write(tmp_path / "in.mp3", make_notes(44100, 1.0).T, 44100)
    with pytest.raises(FileError, match="in.mp3 is an MP3"):
        cut(tmp_path / "in.mp3", 0, 100, tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_the_script_is_installed_filled_in(home):
    assert filled("reaper.lua").count("--[[@") == 0
    text = (home / "REAPER/Scripts/Generative EQ.lua").read_text()
    assert "babe2_host.cli" in text and "--[[@" not in text
    assert "not in REAPER itself" in reaper.install(home / "REAPER")[-1]
    with pytest.raises(reaper.ReaperError, match="Start REAPER once"):
        reaper.install(home / "nowhere")
