"""The action for Ardour: its installation, and what it does in the real Ardour with a stand-in for `babe2`."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_host.daw import ardour
from babe2_host.daw.scripts import filled, lua_string

RATE = 48000

# A stand-in for `babe2`: what it makes of a recording is the recording. Jobs begin in the state that the file
# "state" names.
STAND_IN = r'''
import json, os, shutil, sys, pathlib
folder = pathlib.Path(__file__).parent
ask, *rest = sys.argv[2:]
if ask == "submit":
    if (folder / "refuse").exists():
        print("babe2: The stand-in takes nothing.", file=sys.stderr)
        sys.exit(2)
    options = dict(word[2:].split("=", 1) for word in rest[1:])
    job = f"{len(list(folder.glob('*/job.json'))) + 16:016x}"
    (folder / job).mkdir()
    state = (folder / "state").read_text()
    record = {"id": job, "state": state, "share_done": 0.5, "message": "as asked", "left_s": None,
              "input": rest[0], "output": str(folder / job / "result.wav"), "created": str(len(job)), **options}
    shutil.copy(rest[0], record["output"])
    (folder / job / "job.json").write_text("{\n" + ",\n".join(
        f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in record.items()) + "\n}\n")
    if "target" in options:
        shutil.copy(options["target"], folder / "target_seen")
    print(job)
elif ask == "list":
    for path in sorted(folder.glob("*/job.json")):
        print(path.parent.name, "state", "...")
elif ask == "cancel":
    for job in rest:
        path = folder / job / "job.json"
        path.write_text(path.read_text().replace('"running"', '"cancelled"'))
elif ask == "remove":
    for job in rest:
        shutil.rmtree(folder / job)
'''

# The function factory() of an EditorHook that runs what the test leaves for it, in Ardour's own thread.
DRIVER = r'''
local world = setmetatable({}, {__index = _ENV})
return function()
  local file = io.open(ASK, "r")
  if not file then return end
  local text = file:read("a")
  file:close()
  os.remove(ASK)
  local said = {}
  world.print = function(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    said[#said + 1] = table.concat(words, " ")
  end
  local chunk, problem = load(text, "test", "t", world)
  local worked = false
  if chunk then worked, problem = pcall(chunk) end
  if not worked then said[#said + 1] = "FAILED " .. tostring(problem) end
  local answer = io.open(ANSWER .. ".part", "w")
  answer:write(table.concat(said, "\n"))
  answer:close()
  os.rename(ANSWER .. ".part", ANSWER)
end
'''

# The action, with answers to its dialogs, and what a test needs to see of a session.
WORLD = r'''
answers, heard, impatient = {}, {}, false
local dialogs = setmetatable({
  Dialog = function(title, items)
    return {run = function()
      local answer = table.remove(answers, 1)
      if answer == nil then error("an unexpected dialog: " .. items[1].title) end
      return answer or nil
    end}
  end,
  ProgressWindow = function(...)
    local window = LuaDialog.ProgressWindow(...)
    return {
      progress = function(_, share, text)
        return window:progress(share, text) or impatient and text:find("as asked") ~= nil
      end,
      done = function() window:done() end,
    }
  end,
  Message = function(title, text) return {run = function() heard[#heard + 1] = text end} end,
}, {__index = LuaDialog})
local space = setmetatable({LuaDialog = dialogs, ardour = function() end}, {__index = _ENV})
local file = io.open(SCRIPT, "r")
load(file:read("a"), "action", "t", space)()
file:close()
local action = space.factory()

-- Chooses the action with these regions selected and these answers; prints what it says.
function act(regions, ...)
  answers, heard = {...}, {}
  local list = ArdourUI.SelectionList()
  for _, region in ipairs(regions) do list:push_back(Editor:regionview_from_region(region)) end
  Editor:set_selection(list, ArdourUI.SelectionOp.Set)
  action()
  for _, text in ipairs(heard) do print("said", text) end
  if #answers > 0 then print("not asked", #answers) end
end

function playlist(track) return Session:route_by_name(track):to_track():playlist() end

function lay(path, track, position, name)
  local known, files = {}, C.StringVector()
  for id in pairs(ARDOUR.RegionFactory.regions():table()) do known[id:to_s()] = true end
  files:push_back(path)
  Editor:do_import(files, Editing.ImportDistinctFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
    ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
    Temporal.timepos_t(0), ARDOUR.PluginInfo(), ARDOUR.Track(), false)
  for id, whole in pairs(ARDOUR.RegionFactory.regions():table()) do
    if not known[id:to_s()] then
      local region = ARDOUR.RegionFactory.clone_region(whole, true, true)
      region:set_name(name)
      playlist(track):add_region(region, Temporal.timepos_t(position), 1, false, 0, 0, false)
      return region
    end
  end
end

function show(track)
  local lines = {}
  for r in playlist(track):region_list():iter() do
    lines[#lines + 1] = string.format("%d %s at %d for %d%s", r:layer(), r:name(), r:position():samples(),
      r:length():samples(), r:muted() and " muted" or "")
  end
  table.sort(lines)
  for _, line in ipairs(lines) do print(line) end
end

-- What a track sounds like, before its plugins, into a file of floats for each channel.
function listen(track, from, to, path)
  local region = Session:route_by_name(track):to_track():bounce_range(from, to, ARDOUR.InterThreadInfo(),
    ARDOUR.LuaAPI.nil_proc(), false, "listen")
  local readable, memory = region:to_audioregion():to_readable(), ARDOUR.DSP.DspShm(8192)
  for channel = 0, readable:n_channels() - 1 do
    local file = io.open(path .. channel, "wb")
    for at = 0, to - from - 1, 8192 do
      local count = math.min(8192, to - from - at)
      readable:read(memory:to_float(0), at, count, channel)
      file:write(string.pack("<" .. ("f"):rep(count), table.unpack(memory:to_float(0):get_table(count))))
    end
    file:close()
  end
end
'''

NEW_SESSION = '''
AudioEngine:set_backend("None (Dummy)", "Unit-Test", "")
local session = create_session(FOLDER, "Piano side", 48000)
local last, normal = ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal
session:new_audio_track(1, 1, nil, 1, "Mono", last, normal, true, true)
session:new_audio_track(2, 2, nil, 1, "Stereo", last, normal, true, true)
session:save_state("", false, false, false)
close_session()
'''

CONFIG = '''<Ardour><Config>
<Option name="try-autostart-engine" value="1"/><Option name="hide-dummy-backend" value="0"/>
</Config><Extra><AudioMIDISetup><EngineStates>
<State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="" output-device=""
 sample-rate="48000" buffer-size="1024" n-periods="0" input-latency="0" output-latency="0" input-channels="0"
 output-channels="0" active="1" use-buffered-io="0" midi-option="1 in, 1 out, Silence" lru="1"><MIDIDevices/>
</State>
</EngineStates></AudioMIDISetup></Extra></Ardour>'''


class RunningArdour:
    """The real Ardour on a display that nobody sees, in a session with tracks of one channel and of two."""

    def __init__(self, folder: Path, display: str):
        self.folder, self.jobs = folder, folder / "jobs"
        self.jobs.mkdir()
        (self.jobs / "state").write_text("done")
        (self.jobs / "babe2.py").write_text(STAND_IN)
        settings = folder / "config" / "ardour7"
        settings.mkdir(parents=True)
        (settings / ".a7").touch()  # has been started before: no wizard
        (settings / "config").write_text(CONFIG)
        self._ask, self._answer = folder / "ask.lua", folder / "answer"
        hook = DRIVER
        for name, path in (("ASK", self._ask), ("ANSWER", self._answer)):
            hook = hook.replace(name, lua_string(str(path)))
        state = f's = {{}} s["f"] = {lua_string(hook)} s["s"] = "" s["n"] = "driver" s["a"] = {{}}'
        code, every_100_ms = base64.b64encode(state.encode()).decode(), "01" + "0" * 47
        (settings / "ui_scripts").write_text(
            f'<UIScripts><ActionHooks><LuaCallback lua="Lua 5.3" id="1" name="driver" signals="{every_100_ms}">'
            f'{code}</LuaCallback></ActionHooks></UIScripts>')

        session = folder / "session"
        (folder / "new.lua").write_text(NEW_SESSION.replace("FOLDER", lua_string(str(session))))
        place = os.environ | {"DISPLAY": display, "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
        subprocess.run(["ardour7-lua", folder / "new.lua"], check=True, timeout=60, capture_output=True, env=place)
        self._log = open(folder / "log.txt", "wb")
        self._process = subprocess.Popen(["ardour", "-n", "-a", session / "Piano side.ardour"],
                                         env=place, stdout=self._log, stderr=self._log)
        command = f"'{sys.executable}' '{self.jobs / 'babe2.py'}'"
        script = filled("ardour.lua")
        for name, value in (("COMMAND", command), ("FOLDER", str(self.jobs))):
            line = next(line for line in script.splitlines() if line.strip().startswith(f"local {name} = "))
            script = script.replace(line, f"local {name} = {lua_string(value)}")
        (folder / "action.lua").write_text(script)
        self.run(WORLD.replace("SCRIPT", lua_string(str(folder / "action.lua"))), patience_s=60)

    def run(self, lua: str, patience_s: float = 30) -> list[str]:
        """Runs a piece of Lua in Ardour; the lines that it printed."""
        self._answer.unlink(missing_ok=True)
        part = self._ask.with_suffix(".part")
        part.write_text(lua)
        part.replace(self._ask)
        until = time.monotonic() + patience_s
        while not self._answer.exists():
            alive = self._process.poll() is None
            assert alive and time.monotonic() < until, (self.folder / "log.txt").read_text()[-2000:]
            time.sleep(0.05)
        lines = self._answer.read_text().splitlines()
        assert not any(line.startswith("FAILED") for line in lines), lines
        return lines

    def hears(self, track: str, start: int, end: int) -> np.ndarray:
        """What a track sounds like, (channels, samples)."""
        path = self.folder / "heard"
        self.run(f'listen("{track}", {start}, {end}, {lua_string(str(path))})')
        channels = 1 if track == "Mono" else 2
        return np.stack([np.fromfile(f"{path}{channel}", "<f4") for channel in range(channels)])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    for program in ("ardour", "ardour7-lua", "Xvfb"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}: Ardour 7 and Xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"],
                              pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    program = None
    try:
        with os.fdopen(read) as number:
            program = RunningArdour(tmp_path_factory.mktemp("ardour"), f":{number.readline().strip()}")
        yield program
    finally:
        if program:
            program.close()
        server.terminate()
        server.wait()


@pytest.fixture
def recording(tmp_path, make_notes):
    """recording(channels): a WAV file of two seconds, named as recordings are."""
    def make(channels):
        path = tmp_path / f"Side A, l'été {channels}.wav"
        soundfile.write(path, make_notes(RATE, 2.0, channels).T, RATE, subtype="FLOAT")
        return path
    return make


CHOICE = '{preset = "piano", quality = "draft", target = ""}'


# ---------------------------------------------------------------------------------------- in the real program

def test_take_sounds_as_its_region_to_the_sample_and_one_undo_takes_it_back(running, recording):
    session = f'''
        a = lay({lua_string(str(recording(1)))}, "Mono", 30011, "Side A, l'été")
        a:trim_front(Temporal.timepos_t(31234))
        local sound, envelope = a:to_audioregion(), a:to_audioregion():envelope()
        sound:set_scale_amplitude(0.5)
        sound:set_fade_in_shape(ARDOUR.FadeShape.FadeSlow) sound:set_fade_in_length(9600)
        sound:set_fade_out_shape(ARDOUR.FadeShape.FadeSymmetric) sound:set_fade_out_length(14400)
        sound:set_envelope_active(true)
        envelope:clear_list()
        envelope:add(Temporal.timepos_t(0), 1, false, true)
        envelope:add(Temporal.timepos_t(30000), 0.25, false, true)
        envelope:add(Temporal.timepos_t(60000), 1.5, false, true)
        b = lay({lua_string(str(recording(2)))}, "Stereo", 777, "Both%L/R")
        show("Mono") show("Stereo")'''
    before = running.run(session)
    heard = running.hears("Mono", 20000, 140000), running.hears("Stereo", 0, 110000)
    assert np.abs(heard[0]).max() > 0.05 and np.abs(heard[1]).max() > 0.1

    assert running.run(f"act({{a, b}}, {CHOICE}) show('Mono') show('Stereo')") == [
        "0 Side A, l'été at 31234 for 94777 muted", "1 Side A, l'été restored at 31234 for 94777",
        "0 Both%L/R at 777 for 96000 muted", "1 Both%L/R restored at 777 for 96000"]
    np.testing.assert_array_equal(running.hears("Mono", 20000, 140000), heard[0])
    np.testing.assert_array_equal(running.hears("Stereo", 0, 110000), heard[1])
    assert not list(running.jobs.glob("*.wav")) and not list(running.jobs.glob("*/job.json"))

    assert running.run("Editor:undo(1) show('Mono') show('Stereo')") == before
    # Ardour rounds a gain envelope otherwise after it has undone anything of a region, be it only a mute.
    np.testing.assert_allclose(running.hears("Mono", 20000, 140000), heard[0], atol=2e-5)
    running.run("playlist('Mono'):remove_region(a) playlist('Stereo'):remove_region(b)")


@pytest.mark.parametrize("shape", ["FadeLinear", "FadeFast", "FadeSlow", "FadeConstantPower",
                                   "FadeSymmetric"])
def test_every_fade_is_carried_over(running, recording, shape):
    running.run(f'''
        a = lay({lua_string(str(recording(1)))}, "Mono", 5000, "Faded")
        local sound = a:to_audioregion()
        sound:set_fade_in_shape(ARDOUR.FadeShape.{shape}) sound:set_fade_in_length(24001)
        sound:set_fade_out_shape(ARDOUR.FadeShape.{shape}) sound:set_fade_out_length(33333)''')
    heard = running.hears("Mono", 0, 110000)
    running.run(f"act({{a}}, {CHOICE})")
    np.testing.assert_array_equal(running.hears("Mono", 0, 110000), heard)
    running.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")


@pytest.fixture
def track(running, recording):
    """A region on the track "Mono", known as `a`. Afterwards the track is empty, and jobs are done at once."""
    running.run(f'a = lay({lua_string(str(recording(1)))}, "Mono", 30000, "Side A")')
    yield running
    (running.jobs / "state").write_text("done")
    running.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")


def leave_running(running, state="done"):
    """Restores `a`, leaves it running, and has the job end."""
    (running.jobs / "state").write_text("running")
    running.run(f'impatient = true act({{a}}, {CHOICE}, {{answer = "leave"}}) impatient = false')
    (record,) = running.jobs.glob("*/job.json")
    record.write_text(record.read_text().replace('"running"', f'"{state}"'))


def test_what_was_left_running_is_collected_where_its_region_lies_by_then(track):
    heard = track.hears("Mono", 30000, 126000)
    leave_running(track)
    track.run("a:set_position(Temporal.timepos_t(47111))")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A at 47111 for 96000 muted", "1 Side A restored at 47111 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 47111, 143111), heard)


def test_take_of_a_region_trimmed_meanwhile_lies_where_it_sounds_the_same(track):
    heard = track.hears("Mono", 40000, 100000)
    leave_running(track)
    track.run("a:trim_front(Temporal.timepos_t(35000))")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A at 35000 for 91000", "1 Side A restored at 30000 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 40000, 100000), heard)


def test_take_of_a_region_deleted_meanwhile_lies_where_that_was(track):
    leave_running(track)
    assert track.run("playlist('Mono'):remove_region(a) act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A restored at 30000 for 96000"]
    track.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")
    (said,) = track.run("act({})")
    assert said.startswith("said Select the audio regions")


def test_a_job_that_is_stopped_or_fails_leaves_the_session_and_nothing_else(track):
    before = track.run("show('Mono')")
    (track.jobs / "state").write_text("running")
    track.run(f'impatient = true act({{a}}, {CHOICE}, {{answer = "stop"}}) impatient = false')
    assert track.run('show("Mono")') == before
    assert not list(track.jobs.glob("*.wav")) and not list(track.jobs.glob("*/job.json"))
    leave_running(track, "failed")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == ["said as asked", *before]
    assert not list(track.jobs.glob("*.wav")) and not list(track.jobs.glob("*/job.json"))


def test_a_refusal_is_shown(track):
    (track.jobs / "refuse").touch()
    before = track.run("show('Mono')")
    try:
        after = track.run(f"act({{a}}, {CHOICE}) show('Mono')")
        assert after == ["said The stand-in takes nothing.", *before]
    finally:
        (track.jobs / "refuse").unlink()
    assert not list(track.jobs.glob("*.wav"))


def test_target_is_handed_over(track, tmp_path):
    target = tmp_path / "the target's curve.csv"
    target.write_bytes(b"100, 0\r\n5000, -3\r\n")
    track.run(f'act({{a}}, {{preset = "piano", quality = "draft", target = {lua_string(str(target))}}})')
    assert (track.jobs / "target_seen").read_bytes() == target.read_bytes()
    assert not list(track.jobs.glob("*-target.csv"))


def test_regions_restored_again_and_beneath_others_get_their_own_takes(track, recording):
    before = track.run(f"""
        act({{a}}, {CHOICE})
        Editor:undo(1)
        c = lay({lua_string(str(recording(1)))}, "Mono", 60000, "Side B")
        d = lay({lua_string(str(recording(1)))}, "Mono", 70000, "Side C")
        show("Mono")""")
    heard = track.hears("Mono", 0, 200000)
    assert track.run(f"act({{a}}, {CHOICE}) show('Mono')") == [
        "0 Side A at 30000 for 96000 muted", "1 Side A restored at 30000 for 96000",
        "2 Side B at 60000 for 96000", "3 Side C at 70000 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 0, 200000), heard)
    assert track.run("Editor:undo(1) show('Mono')") == before


def test_peaks_above_full_scale_come_into_a_session_of_24_bit_whole(track, tmp_path, make_notes):
    soundfile.write(tmp_path / "loud.wav", 4 * make_notes(RATE, 1.0, 1).T, RATE, subtype="FLOAT")
    track.run(f'b = lay({lua_string(str(tmp_path / "loud.wav"))}, "Mono", 200000, "Loud")')
    heard = track.hears("Mono", 190000, 260000)
    assert np.abs(heard).max() > 1.9
    formats = track.run(f"""
        Session:cfg():set_native_file_data_format(ARDOUR.SampleFormat.Int24)
        act({{b}}, {CHOICE})
        print(Session:cfg():get_native_file_data_format(), ARDOUR.SampleFormat.Int24)
        Session:cfg():set_native_file_data_format(ARDOUR.SampleFormat.Float)""")[0].split()
    assert formats[0] == formats[1]
    np.testing.assert_array_equal(track.hears("Mono", 190000, 260000), heard)


# -------------------------------------------------------------------------------------------- without Ardour
@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The folder in which Ardours have their settings, on Linux."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("BABE2_DATA", str(tmp_path / "data"))
    return tmp_path


def test_install_puts_the_script_where_every_new_enough_ardour_looks(settings):
    for name in ("ardour6", "ardour7", "ardour10", "ardour-old", "babe2"):
        (settings / name).mkdir()
    said = "\n".join(ardour.install())
    for name in ("ardour7", "ardour10"):
        script = settings / name / "scripts" / "generative_eq.lua"
        assert str(script) in said
        assert "@" not in script.read_text() and str(settings / "data" / "jobs") in script.read_text()
    assert not (settings / "ardour6" / "scripts").exists()
    assert "Script Manager" in said and "Remove" not in said
    assert "Remove" in "\n".join(ardour.install())  # as Ardour has a copy of the first


def test_install_without_ardour_says_what_to_do(settings):
    (settings / "ardour6").mkdir()
    with pytest.raises(ardour.ArdourError, match="Start Ardour once"):
        ardour.install()


@pytest.fixture
def lua(tmp_path):
    """lua(text): runs a script that has the client, and returns the lines it printed."""
    if not shutil.which("lua5.4"):
        pytest.skip("needs lua5.4")

    def run(text):
        script = (Path(ardour.__file__).parent / "client.lua").read_text() + text
        done = subprocess.run(["lua5.4", "-"], input=script, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
    return run


def test_script_is_lua_and_all_of_it_in_its_factory(lua, settings):
    assert lua(f'''
        local known = {{}}
        for name in pairs(_G) do known[name] = true end
        function ardour(about) assert(about.type == "EditorAction" and about.name == "Generative EQ") end
        assert(load({lua_string(filled("ardour.lua"))}))()
        ardour = nil
        for name in pairs(_G) do if not known[name] then print(name) end end''') == ["factory"]


def test_client_reads_every_text_of_a_record(lua, tmp_path):
    record = {"id": "1", "state": "failed", "share_done": 0.25, "message": 'a "b" \\n c\\\nd\té', "left_s": None,
              "settings": {}, "label": "x: y,"}
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "job.json").write_text(json.dumps(record, indent=1, ensure_ascii=False))
    lines = lua(f'''
        local record = jobs_client("false", {lua_string(str(tmp_path))}).record("1")
        print(record.state, record.share_done, record.left_s, record.label)
        io.write(record.message)''')
    assert lines == ["failed\t0.25\tnil\tx: y,", *record["message"].splitlines()]
    assert "No such file" in lua(f'print(jobs_client("false", {lua_string(str(tmp_path))}).record("2"))')[0]


def test_client_has_the_real_service_restore(lua, tmp_path, monkeypatch, make_notes):
    monkeypatch.setenv("BABE2_DATA", str(tmp_path))
    command = f"'{sys.executable}' -m babe2_host.cli"
    folder = tmp_path / "jobs"
    folder.mkdir()
    audio = make_notes(RATE, 1.0, 1)
    soundfile.write(folder / "it's é.wav", audio.T, RATE, subtype="FLOAT")
    try:
        lines = lua(f'''
            local jobs = jobs_client({lua_string(command)}, {lua_string(str(folder))})
            local id, problem = jobs.submit({lua_string(str(folder / "it's é.wav"))},
              {{preset = "piano", quality = "draft", set = "ltas=only", depth = "float", target = "",
               label = "Test | é 'x'"}})
            print(id or problem)
            print(jobs.run("wait", id))
            local record = jobs.labelled("Test |")[1]
            print(record.id == id, record.state, record.label, #jobs.labelled("Other"))
            print(record.output)
            print(jobs.submit("/nowhere.wav", {{preset = "piano"}}))''')
        assert lines[-3] == "true\tdone\tTest | é 'x'\t0", lines
        restored, rate = soundfile.read(lines[-2], dtype="float32")
        assert rate == RATE and restored.shape == (RATE,) and not np.array_equal(restored, audio[0])
        assert lines[-1].startswith("nil\t") and "/nowhere.wav" in lines[-1]
    finally:
        subprocess.run([sys.executable, "-m", "babe2_host.cli", "jobs", "stop"], timeout=60)
