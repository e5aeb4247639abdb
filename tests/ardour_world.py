"""Ardour for tests: a running program, driven by a script, with a stand-in for the command."""

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

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
