-- A stand-in for the functions of REAPER that the script calls, with REAPER's names, arguments and results (as its
-- ReaScript documentation has them): a project of items, takes and sources in tables. It is no REAPER: it plays, draws
-- and saves nothing.
--
-- The project is the global PROJECT = {media = folder, items = {{D_POSITION=, D_LENGTH=, B_LOOPSRC=, selected=, takes =
-- {{guid=, name=, source = {path=, rate=, length_s=, [section = {offset_s, reversed}]}, D_STARTOFFS=, ...}}}}}. What the
-- user does is in ANSWERS = {inputs = {...}, keys = {...}}; what the script does and says goes into SAID.
SAID = {messages = {}, console = "", undo = {}, drawn = {}, states = {}}
reaper, gfx = {}, {}

local deferred, in_block, keys = {}, 0, 0

local function expect(value, kind, place)
  local fits = kind == "integer" and math.type(value) == "integer" or type(value) == kind
  assert(fits, place .. " expects a " .. kind .. ", not " .. tostring(value))
  return value
end

local function is(object, kind, place)
  assert(type(object) == "table" and object.kind == kind, place .. " expects a " .. kind)
  return object
end

for _, item in ipairs(PROJECT.items) do
  item.kind = "item"
  item.active = item.active or 1
  for _, take in ipairs(item.takes) do
    take.kind, take.item, take.fx = "take", item, take.fx or {}
    if take.source then
      take.source.kind = "source"
      if take.source.section then
        take.source.parent = {kind = "source", path = take.source.path, rate = take.source.rate,
                              length_s = take.source.file_length_s}
      end
    end
  end
end

local item_values = {D_POSITION = 0, D_LENGTH = 0, B_LOOPSRC = 1}
local take_values = {D_STARTOFFS = 0, D_VOL = 1, D_PAN = 0, D_PANLAW = -1, D_PLAYRATE = 1, D_PITCH = 0, B_PPITCH = 1,
                     I_CHANMODE = 0, I_PITCHMODE = -1, I_CUSTOMCOLOR = 0}

function reaper.ShowMessageBox(message, title, kind)
  expect(message, "string", "ShowMessageBox") expect(title, "string", "ShowMessageBox") expect(kind, "integer", "type")
  SAID.messages[#SAID.messages + 1] = message
  return 1
end

function reaper.ShowConsoleMsg(message) SAID.console = SAID.console .. expect(message, "string", "ShowConsoleMsg") end

function reaper.GetUserInputs(title, count, captions, values)
  expect(title, "string", "title") expect(count, "integer", "num_inputs") expect(captions, "string", "captions_csv")
  expect(values, "string", "retvals_csv")
  local fields = {}
  for field in (captions .. ","):gmatch("(.-),") do fields[#fields + 1] = field end
  assert(#fields == count + 2 and fields[4]:match("^extrawidth=%d+$") and fields[5] == "separator=\n", captions)
  SAID.asked = captions
  SAID.offered = values
  if not ANSWERS.inputs then return false, values end
  assert(#ANSWERS.inputs == count)
  return true, table.concat(ANSWERS.inputs, "\n")
end

function reaper.GetExtState(section, key) return SAID.states[section .. "/" .. key] or "" end

function reaper.SetExtState(section, key, value, persist)
  SAID.states[section .. "/" .. key] = expect(value, "string", "value")
  expect(persist, "boolean", "persist")
end

function reaper.CountSelectedMediaItems(project)
  assert(project == 0)
  local count = 0
  for _, item in ipairs(PROJECT.items) do count = count + (item.selected and 1 or 0) end
  return count
end

function reaper.GetSelectedMediaItem(project, number)
  assert(project == 0)
  expect(number, "integer", "selitem")
  for _, item in ipairs(PROJECT.items) do
    if item.selected then
      if number == 0 then return item end
      number = number - 1
    end
  end
end

function reaper.GetActiveTake(item) return is(item, "item", "GetActiveTake").takes[item.active] end

function reaper.SetActiveTake(take)
  for number, other in ipairs(is(take, "take", "SetActiveTake").item.takes) do
    if other == take then take.item.active = number end
  end
end

function reaper.GetMediaItemTakeByGUID(project, guid)
  assert(project == 0)
  expect(guid, "string", "guidGUID")
  for _, item in ipairs(PROJECT.items) do
    for _, take in ipairs(item.takes) do if take.guid == guid then return take end end
  end
end

function reaper.GetMediaItemTake_Item(take) return is(take, "take", "GetMediaItemTake_Item").item end

function reaper.GetMediaItemTake_Source(take) return is(take, "take", "GetMediaItemTake_Source").source end

function reaper.SetMediaItemTake_Source(take, source)
  is(take, "take", "SetMediaItemTake_Source").source = is(source, "source", "SetMediaItemTake_Source")
  return true
end

function reaper.AddTakeToMediaItem(item)
  assert(in_block > 0, "changes belong into an undo block")
  local take = {kind = "take", item = is(item, "item", "AddTakeToMediaItem"), name = "", guid = "{NEW}", fx = {}}
  item.takes[#item.takes + 1] = take
  return take
end

function reaper.TakeIsMIDI(take) return is(take, "take", "TakeIsMIDI").midi or false end

function reaper.GetTakeNumStretchMarkers(take)
  return is(take, "take", "GetTakeNumStretchMarkers").stretch_markers or 0
end

function reaper.GetTakeName(take) return is(take, "take", "GetTakeName").name end

function reaper.GetMediaItemInfo_Value(item, name)
  assert(item_values[name], name)
  return (is(item, "item", "GetMediaItemInfo_Value")[name] or item_values[name]) + 0.0
end

function reaper.GetMediaItemTakeInfo_Value(take, name)
  assert(take_values[name], name)
  return (is(take, "take", "GetMediaItemTakeInfo_Value")[name] or take_values[name]) + 0.0
end

function reaper.SetMediaItemTakeInfo_Value(take, name, value)
  assert(take_values[name] and in_block > 0, name)
  is(take, "take", "SetMediaItemTakeInfo_Value")[name] = expect(value, "number", name)
  return true
end

function reaper.GetSetMediaItemTakeInfo_String(take, name, value, set)
  is(take, "take", "GetSetMediaItemTakeInfo_String")
  local field = assert(({GUID = "guid", P_NAME = "name"})[name], name)
  if expect(set, "boolean", "setNewValue") then take[field] = expect(value, "string", name) end
  return true, take[field]
end

function reaper.TakeFX_GetCount(take) return #is(take, "take", "TakeFX_GetCount").fx end

function reaper.TakeFX_CopyToTake(take, effect, other, place, move)
  assert(move == false and place == #is(other, "take", "TakeFX_CopyToTake").fx)
  other.fx[#other.fx + 1] = assert(is(take, "take", "TakeFX_CopyToTake").fx[effect + 1])
end

function reaper.GetMediaSourceLength(source) return is(source, "source", "GetMediaSourceLength").length_s, false end

function reaper.GetMediaSourceSampleRate(source) return is(source, "source", "GetMediaSourceSampleRate").rate end

function reaper.GetMediaSourceParent(source) return is(source, "source", "GetMediaSourceParent").parent end

function reaper.GetMediaSourceFileName(source, _)
  return is(source, "source", "GetMediaSourceFileName").parent and "" or source.path
end

function reaper.PCM_Source_GetSectionInfo(source)
  local section = is(source, "source", "PCM_Source_GetSectionInfo").section
  if not section then return false, 0.0, 0.0, false end
  return true, section.offset_s, source.length_s, section.reversed or false
end

function reaper.PCM_Source_CreateFromFile(path)
  local file = io.open(expect(path, "string", "filename"), "rb")
  if not file then return nil end
  file:close()
  return {kind = "source", path = path}
end

function reaper.GetProjectPath(_) return PROJECT.media end

function reaper.RecursiveCreateDirectory(path, _)
  expect(path, "string", "path")
  return 0
end

function reaper.file_exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

function reaper.Undo_BeginBlock() in_block = in_block + 1 end

function reaper.Undo_EndBlock(name, flags)
  in_block = in_block - 1
  expect(flags, "integer", "extraflags")
  SAID.undo[#SAID.undo + 1] = expect(name, "string", "descchange")
end

function reaper.PreventUIRefresh(change) expect(change, "integer", "prevent_count") end

function reaper.UpdateArrange() end

function reaper.Main_OnCommand(command, flag) assert(command == 40047 and flag == 0) end

function reaper.time_precise() return os.clock() + SAID.waited end

function reaper.defer(step) deferred[#deferred + 1] = expect(step, "function", "defer") end

function gfx.init(name, width, height)
  expect(name, "string", "name") expect(width, "integer", "width") expect(height, "integer", "height")
  SAID.window = true
  return 1
end

function gfx.quit() SAID.window = false end
function gfx.setfont(number, name, size) expect(number, "integer", "idx") expect(size, "integer", "sz") end
function gfx.set(red, green, blue) return red + green + blue end
function gfx.rect(x, y, width, height, filled) return x + y + width + height + filled end
function gfx.drawstr(text) SAID.drawn[#SAID.drawn + 1] = expect(text, "string", "str") end
function gfx.update() end

function gfx.getchar()
  keys = keys + 1
  return (ANSWERS.keys or {})[keys] or 0
end

-- Runs a script as REAPER does: at once, then whatever it deferred, some thirty times a second.
SAID.waited = 0
function run(path)
  dofile(path)
  while #deferred > 0 do
    local steps = deferred
    deferred = {}
    for _, step in ipairs(steps) do step() end
    os.execute("sleep 0.03")
    SAID.waited = SAID.waited + 0.2
    assert(SAID.waited < 2000, "it does not end")
  end
  assert(in_block == 0, "an undo block was not ended")
end
