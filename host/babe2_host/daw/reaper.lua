-- Generative EQ for REAPER: restores the active take of every selected item, and adds the result as a new take.
--
-- The restored take has the same start, length, rate, pitch, volume and effects as its original, which stays. All takes
-- of a run come in together, as one step of undo. Rendering goes on if the window or REAPER is closed: run the script
-- again in that project, and what has ended comes in.
local COMMAND = --[[@COMMAND@]] nil
local FOLDER = --[[@FOLDER@]] nil
local PRESETS = --[[@PRESETS@]] nil
--[[@CLIENT@]]
local jobs = jobs_client(COMMAND, FOLDER)

local TITLE = "Generative EQ"
local MARK = "REAPER " -- labels of its jobs: this, the original take's GUID, and where in the source the result begins
local ENDED = {done = true, failed = true, cancelled = true}
local KEPT = {"D_VOL", "D_PAN", "D_PANLAW", "D_PLAYRATE", "D_PITCH", "B_PPITCH", "I_CHANMODE", "I_PITCHMODE",
              "I_CUSTOMCOLOR"} -- of a take
local LOOK_S = 0.5 -- seconds between looks at the jobs

local function say(text) reaper.ShowMessageBox(text, TITLE, 0) end

-- What an item plays of a file: path, first sample, samples, and where that begins in the take's source (seconds).
-- Nil and a reason if its active take cannot be restored.
local function part_of(item, take)
  local glue = ": glue the item first (Item > Glue items)"
  if not take or reaper.TakeIsMIDI(take) then return nil, "it has no audio" end
  if reaper.GetTakeNumStretchMarkers(take) > 0 then return nil, "it has stretch markers" .. glue end
  local source = reaper.GetMediaItemTake_Source(take)
  local length_s = reaper.GetMediaSourceLength(source)
  local base_s, file = 0, reaper.GetMediaSourceParent(source)
  if file then -- the source is a section of a file
    local is_section, offset_s, _, reversed = reaper.PCM_Source_GetSectionInfo(source)
    if reversed then return nil, "it is reversed" .. glue end
    if not is_section or reaper.GetMediaSourceParent(file) then
      return nil, "its source is not a plain file" .. glue
    end
    base_s = offset_s
  end
  file = file or source
  local path, rate = reaper.GetMediaSourceFileName(file, ""), reaper.GetMediaSourceSampleRate(file)
  if path == "" or rate <= 0 then return nil, "its source is not an audio file" .. glue end
  local from_s = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local to_s = from_s + reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
    * reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
  if (from_s < 0 or to_s > length_s) and reaper.GetMediaItemInfo_Value(item, "B_LOOPSRC") == 1 then
    from_s, to_s = 0, length_s -- it is played more than once
  end
  from_s, to_s = math.max(from_s, 0), math.min(to_s, length_s)
  if from_s >= to_s then return nil, "it plays nothing of its file" end
  local first = math.floor((base_s + from_s) * rate + 1e-6) -- whole samples: nothing is resampled
  local last = math.ceil((base_s + to_s) * rate - 1e-6)
  return {path = path, first = first, samples = last - first, origin_s = first / rate - base_s}
end

local function submit(item, options)
  local take = reaper.GetActiveTake(item)
  local part, problem = part_of(item, take)
  if not part then return nil, problem end
  local _, guid = reaper.GetSetMediaItemTakeInfo_String(take, "GUID", "", false)
  return jobs.submit(part.path, {
    first = part.first, samples = part.samples, depth = "float", preset = options.preset, quality = options.quality,
    target = options.target, label = MARK .. guid .. string.format(" %.17g", part.origin_s)})
end

-- The take that a job is about, if it is in this project, and where in its source the result begins.
local function original_of(record)
  local guid, origin = record.label:match("^" .. MARK .. "(%b{}) (%S+)$")
  if guid then return reaper.GetMediaItemTakeByGUID(0, guid), tonumber(origin) end
end

-- Copies a result to the project's media folder, under a name that is free; returns its path, or nil and why not.
local function keep(path, name)
  local folder = reaper.GetProjectPath("")
  reaper.RecursiveCreateDirectory(folder, 0)
  local stem, number = folder .. "/" .. name:gsub('[/\\:*?"<>|%c]', "_") .. " (restored)", 1
  local copy = stem .. ".wav"
  while reaper.file_exists(copy) do
    number = number + 1
    copy = stem .. " " .. number .. ".wav"
  end
  local from, problem = io.open(path, "rb")
  if not from then return nil, problem end
  local to, closed
  to, problem = io.open(copy, "wb")
  if to then
    local piece = from:read(1 << 20)
    while piece and to:write(piece) do piece = from:read(1 << 20) end
    closed = to:close() and not piece
  end
  from:close()
  if closed then return copy end
  if to then os.remove(copy) end
  return nil, "the result could not be copied to " .. (problem or copy)
end

-- Adds the result of a job to the item of its original; returns false and why if that cannot be.
local function place(record)
  local take, origin_s = original_of(record)
  local name = reaper.GetTakeName(take)
  local path, problem = keep(record.output, name)
  local source = path and reaper.PCM_Source_CreateFromFile(path)
  if not source then return false, problem or "REAPER cannot read the result" end
  local restored = reaper.AddTakeToMediaItem(reaper.GetMediaItemTake_Item(take))
  reaper.SetMediaItemTake_Source(restored, source)
  for _, key in ipairs(KEPT) do
    reaper.SetMediaItemTakeInfo_Value(restored, key, reaper.GetMediaItemTakeInfo_Value(take, key))
  end
  local offset_s = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS") -- the item may have been trimmed
  reaper.SetMediaItemTakeInfo_Value(restored, "D_STARTOFFS", offset_s - origin_s)
  reaper.GetSetMediaItemTakeInfo_String(restored, "P_NAME", name .. " (restored)", true)
  for effect = 0, reaper.TakeFX_GetCount(take) - 1 do
    reaper.TakeFX_CopyToTake(take, effect, restored, effect, false)
  end
  reaper.SetActiveTake(restored)
  return true
end

-- Brings in what has ended, as one step of undo, and forgets those jobs. What cannot be brought in is kept.
local function collect(records)
  local problems, notes, added = {}, {}, false
  reaper.PreventUIRefresh(1)
  for _, record in ipairs(records) do
    local take, placed, problem = original_of(record), nil, nil
    if not take then
      problem = "A take is not in this project (any more). Its result is kept: " .. record.output
    else
      local name = reaper.GetTakeName(take) .. ": "
      if record.state == "done" then
        if not added then reaper.Undo_BeginBlock() end
        added = true
        placed, problem = place(record)
      else
        problem = record.message
      end
      if record.state == "cancelled" then problem = "cancelled" end
      if problem then problem = name .. problem end
      if placed and (record.message or "") ~= "" then notes[#notes + 1] = name .. record.message .. "\n" end
      if placed or record.state ~= "done" then jobs.remove(record.id) end
    end
    problems[#problems + 1] = problem
  end
  reaper.PreventUIRefresh(-1)
  if added then
    reaper.Undo_EndBlock(TITLE, -1)
    reaper.UpdateArrange()
    reaper.Main_OnCommand(40047, 0) -- Peaks: Build any missing peaks
  end
  if #notes > 0 then reaper.ShowConsoleMsg(table.concat(notes)) end
  if #problems > 0 then say(table.concat(problems, "\n")) end
end

local function draw(records)
  gfx.setfont(1, "Arial", 15)
  for row, record in ipairs(records) do
    local y, take = 10 + (row - 1) * 44, original_of(record)
    local left = record.left_s and string.format(", %d s left", math.ceil(record.left_s)) or ""
    gfx.set(0.85, 0.85, 0.85)
    gfx.x, gfx.y = 10, y
    gfx.drawstr((take and reaper.GetTakeName(take) or "?") .. ": " .. (record.message or record.state) .. left)
    gfx.set(0.3, 0.3, 0.3)
    gfx.rect(10, y + 22, 500, 8, 1)
    gfx.set(0.3, 0.7, 0.4)
    gfx.rect(10, y + 22, 500 * (record.share_done or 0), 8, 1)
  end
  gfx.set(0.6, 0.6, 0.6)
  gfx.x, gfx.y = 10, 14 + #records * 44
  gfx.drawstr("Esc cancels. If this window is closed, rendering goes on: run the script again for the takes.")
  gfx.update()
end

-- Shows progress until all jobs have ended, then brings the takes in.
local function watch(ids)
  local look_at, records = 0, {}
  gfx.init(TITLE, 640, 44 + #ids * 44)
  local function step()
    local key = gfx.getchar()
    if key < 0 then return end
    if key == 27 then for _, id in ipairs(ids) do jobs.cancel(id) end end
    if reaper.time_precise() >= look_at then
      local open = 0
      look_at = reaper.time_precise() + LOOK_S
      for number, id in ipairs(ids) do
        local record = jobs.record(id) or records[number]
        records[number] = record or {id = id, label = "", state = "waiting"}
        if not ENDED[records[number].state] then open = open + 1 end
      end
      if open == 0 then
        gfx.quit()
        return collect(records)
      end
    end
    draw(records)
    reaper.defer(step)
  end
  step()
end

-- Preset, quality and target from a dialog; nil if it is cancelled.
local function ask()
  local names = {}
  for _, preset in ipairs(PRESETS) do names[#names + 1] = preset[1] end
  local last = reaper.GetExtState("babe2", "options")
  if last == "" then last = (names[1] or "piano") .. "\nstandard\n" end
  local answered, values = reaper.GetUserInputs(
    TITLE, 3, "Preset: " .. table.concat(names, " / ") .. ",Quality: draft / standard / paper,Target file or empty,"
    .. "extrawidth=260,separator=\n", last) -- the separator is that of the values: a path may have commas
  if not answered then return nil end
  reaper.SetExtState("babe2", "options", values, true)
  local preset, quality, target = values:match("^%s*(.-)%s*\n%s*(.-)%s*\n%s*(.-)%s*$")
  return {preset = preset, quality = quality, target = target}
end

local function main()
  local ended, open = {}, {}
  local records, problem = jobs.labelled(MARK)
  if not records then return say(problem) end
  for _, record in ipairs(records) do
    if original_of(record) then
      if ENDED[record.state] then ended[#ended + 1] = record else open[#open + 1] = record.id end
    end
  end
  if #ended > 0 then collect(ended) end
  local count = reaper.CountSelectedMediaItems(0)
  if count == 0 and #ended + #open == 0 then return say("Select the items to restore first.") end
  local options = count > 0 and ask()
  if options then
    local problems = {}
    for number = 0, count - 1 do
      local item = reaper.GetSelectedMediaItem(0, number)
      local id, why = submit(item, options)
      if id then open[#open + 1] = id else
        local take = reaper.GetActiveTake(item)
        problems[#problems + 1] = (take and reaper.GetTakeName(take) or "An empty item") .. ": " .. why
      end
    end
    if #problems > 0 then say(table.concat(problems, "\n")) end
  end
  if #open > 0 then watch(open) end
end

main()
