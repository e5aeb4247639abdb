ardour {
  ["type"]    = "EditorAction",
  name        = "Generative EQ",
  license     = "GPL",
  author      = "BABE-2 FX",
  description = [[
Restores the selected audio regions: learns what an old
medium did to them and makes what is missing of the music.
A restored take lies on its region, to the sample, and the
region is muted beneath it.
]]
}

-- Ardour keeps nothing of a script but this function, so all else lies in it.
function factory ()
  local COMMAND = --[[@COMMAND@]] nil
  local FOLDER = --[[@FOLDER@]] nil
  local PRESETS = --[[@PRESETS@]] nil

  --[[@CLIENT@]]

  local TITLE = "Generative EQ"
  local BLOCK = 8192 -- samples that are read at once
  local join, now, sleep = ARDOUR.LuaAPI.build_filename, ARDOUR.LuaAPI.monotonic_time, ARDOUR.LuaAPI.usleep
  local preset, quality = PRESETS[1] and PRESETS[1][1], "standard" -- as chosen last
  local busy = false
  local progress -- the window that is shown, if one is

  -- Waits until done() is true, for so many seconds at most, while Ardour plays and draws on.
  -- Returns what it got of done().
  local function wait_until(done, text, longest_s)
    local window = progress or LuaDialog.ProgressWindow(TITLE, false)
    local answer, limit = done(), now() + 1000000 * longest_s
    while not answer and now() < limit do
      sleep(30000)
      window:progress(-1, text)
      answer = done()
    end
    if not progress then window:done() end
    return answer
  end

  -- Runs a command line beside Ardour, as the command takes a second, and its service some seconds to start.
  local function shell(line)
    local path, text, status = os.tmpname(), "", nil
    io.popen("{ " .. line .. "; echo status $?; } >" .. path .. " 2>&1 &"):close()
    wait_until(function()
      local file = io.open(path, "r")
      text = file and file:read("a") or ""
      if file then file:close() end
      status = text:match("status (%d+)\n$")
      return status
    end, "One moment", 60)
    os.remove(path)
    return text:gsub("status %d+\n$", ""), status == "0"
  end

  -- Ardour's own libraries are none of the command's business.
  local windows = os.getenv("OS") == "Windows_NT"
  local jobs = windows and jobs_client(COMMAND, FOLDER)
    or jobs_client("env -u LD_LIBRARY_PATH " .. COMMAND, FOLDER, shell)

  local function say(text, kind)
    LuaDialog.Message(TITLE, text, kind or LuaDialog.MessageType.Info, LuaDialog.ButtonType.Close):run()
  end

  local function complain(text) say(text, LuaDialog.MessageType.Error) end

  -- A job's label says which session and which region it is of, and where that lay. ------------------------

  local function label_prefix() return "Ardour | " .. join(Session:path(), Session:name()) .. " | region " end

  local function label_of(region)
    return string.format("%s%s | track %s | position %d | start %d | %s", label_prefix(),
      region:to_stateful():id():to_s(), region:playlist():get_orig_track_id():to_s(),
      region:position():samples(), region:start():samples(), region:name())
  end

  local function place_of(label)
    local region, track, position, start, name =
      label:sub(#label_prefix() + 1):match("^(%d+) | track (%d+) | position (%d+) | start (%-?%d+) | (.*)$")
    return {region = region, track = track, position = tonumber(position), start = tonumber(start),
      name = name}
  end

  -- From the session to a file -----------------------------------------------------------------------------

  local function selected_regions()
    local found = {}
    for region in Editor:get_selection().regions:regionlist():iter() do
      if not region:to_audioregion():isnil() then found[#found + 1] = region end
    end
    return found
  end

  -- Writes a region's sound as it is before the region's gain, envelope and fades, which its take gets too.
  -- watch(share) is called now and then; where it returns true, this stops. Returns true, or nil and why not.
  local function write_wav(region, path, watch)
    local readable = region:to_audioregion():to_readable()
    local channels, length = readable:n_channels(), region:length():samples()
    local rate, bytes = Session:nominal_sample_rate(), 4 * channels * length
    if bytes > 0xffffff00 then
      return nil, region:name() .. " is too long for one WAV file (4 GB). Split the region first."
    end
    local file, problem = io.open(path, "wb")
    if not file then return nil, "Cannot write the sound of the region: " .. problem end
    local header = string.pack("<c4I4c4c4I4I2I2I4I4I2I2c4I4", "RIFF", 36 + bytes, "WAVE", "fmt ", 16, 3,
      channels, rate, 4 * channels * rate, 4 * channels, 32, "data", bytes)
    local written, why = file:write(header)
    local memory = ARDOUR.DSP.DspShm(BLOCK)
    local buffer = memory:to_float(0)
    for position = 0, length - 1, BLOCK do
      local count = math.min(BLOCK, length - position)
      local samples = {}
      for channel = 0, channels - 1 do
        if readable:read(buffer, position, count, channel) ~= count then
          file:close()
          return nil, "Ardour could not read all of " .. region:name() .. "."
        end
        for i, sample in ipairs(buffer:get_table(count)) do
          samples[(i - 1) * channels + channel + 1] = sample
        end
      end
      written, why = written and file:write(string.pack("<" .. ("f"):rep(#samples), table.unpack(samples)))
      if not written then break end
      if watch(position / length) then why = "" break end
    end
    file:close()
    if why then return nil, why ~= "" and "Cannot write the sound of the region: " .. why or nil end
    return true
  end

  -- The user's target lies anywhere; jobs may read what lies in their folder.
  local function copy_file(from, to)
    local source, problem = io.open(from, "rb")
    if not source then return nil, "Cannot read the target: " .. problem end
    local copy, why = io.open(to, "wb")
    if not copy then source:close() return nil, "Cannot copy the target: " .. why end
    local block = source:read(1 << 20)
    while block and copy:write(block) do block = source:read(1 << 20) end
    source:close()
    copy:close()
    return true
  end

  -- Renders and submits. Returns ids of jobs.
  local function hand_in(regions, options)
    local ids, trouble = {}, nil
    progress = LuaDialog.ProgressWindow(TITLE, true)
    for i, region in ipairs(regions) do
      local stem = join(FOLDER, string.format("ardour-%d-%s", os.time(), region:to_stateful():id():to_s()))
      local path, target = stem .. ".wav", nil
      local good, problem = write_wav(region, path, function(share)
        return progress:progress((i - 1 + share) / #regions, "Rendering " .. region:name())
      end)
      if good and options.target ~= "" then
        target = stem .. "-target" .. (options.target:match("%.%w+$") or "")
        good, problem = copy_file(options.target, target)
      end
      local id
      if good then
        progress:progress(i / #regions, "Handing over " .. region:name())
        id, problem = jobs.submit(path, {preset = options.preset, quality = options.quality, target = target,
          depth = "float", label = label_of(region)})
      end
      if id then
        ids[#ids + 1] = id
      else
        os.remove(path)
        if target then os.remove(target) end
        trouble = problem
        break
      end
    end
    progress:done()
    progress = nil
    if trouble then complain(trouble) end
    return ids
  end

  -- From files to the session ------------------------------------------------------------------------------

  -- Ardour's Lua can set a region's fades but not read them; a snapshot of the session has them.
  -- Returns a function (region's id, "FadeIn" or "FadeOut") -> shape, length in samples; or nil where there
  -- is none to set.
  local function fades()
    local name = "generative-eq-" .. os.time()
    Session:save_state(name, false, false, false)
    local path = join(Session:path(), name)
    local file = io.open(path .. ".ardour", "r")
    local text = file and file:read("a") or ""
    if file then file:close() end
    os.remove(path .. ".ardour")
    os.remove(path .. ".history")
    local ticks = Temporal.superclock_ticks_per_second() / Session:nominal_sample_rate()
    return function(id, which)
      local _, head = text:find('<Region [^>]- id="' .. id .. '"[^>]*>')
      local tail = head and text:find("</Region>", head, true)
      local events = tail and text:sub(head, tail):match("<" .. which .. ">.-<events>(.-)</events>")
      if not events then return nil end
      local length, levels = nil, {}
      for time, level in events:gmatch("a(%d+) (%S+)") do
        length = math.floor(time / ticks + 0.5)
        levels[#levels + 1] = tonumber(level)
      end
      -- Ardour draws every shape with as many points; its two logarithmic ones differ in the middle.
      local shapes = {[2] = "FadeLinear", [10] = "FadeSymmetric", [33] = "FadeConstantPower",
        [32] = (levels[16] or 0) < 0.05 and "FadeFast" or "FadeSlow"}
      local shape = shapes[#levels]
      if shape then return ARDOUR.FadeShape[shape], length end
    end
  end

  local function regions_by_id()
    local found = {}
    for id, region in pairs(ARDOUR.RegionFactory.regions():table()) do found[tonumber(id:to_s())] = region end
    return found
  end

  -- Copies files into the session. Returns a whole-file region for each, in their order, or nil.
  local function import(paths)
    local files = C.StringVector()
    for _, path in ipairs(paths) do files:push_back(path) end
    local before = regions_by_id()
    -- Where a session has files of integers, Ardour clips what is above 0 dB. FLAC files can be nothing else,
    -- and a recording's format had better not change in its midst.
    local config = Session:cfg()
    local format, header = config:get_native_file_data_format(), config:get_native_file_header_format()
    local floats = header ~= ARDOUR.HeaderFormat.FLAC and not Session:actively_recording()
    if floats then config:set_native_file_data_format(ARDOUR.SampleFormat.Float) end
    Editor:do_import(files, Editing.ImportDistinctFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
      ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
      Temporal.timepos_t(0), ARDOUR.PluginInfo(), ARDOUR.Track(), false)
    if floats then config:set_native_file_data_format(format) end
    local ids = {}
    for id, region in pairs(regions_by_id()) do
      if not before[id] and region:whole_file() then ids[#ids + 1] = id end
    end
    if #ids ~= #paths then return nil end
    table.sort(ids) -- ids are given out in the order of making
    local found, all = {}, regions_by_id()
    for i, id in ipairs(ids) do found[i] = all[id] end
    return found
  end

  -- Lays a take on its region. It has the region's samples, restored, and is heard as that is: with its gain,
  -- envelope and fades. Returns nil and why, if there is no place for it.
  local function lay(place, source, fade)
    local take = ARDOUR.RegionFactory.clone_region(source, true, true)
    take:set_name(place.name .. " restored")
    local sound = take:to_audioregion()
    local region = ARDOUR.RegionFactory.region_by_id(PBD.ID(place.region))
    local playlist = not region:isnil() and region:playlist()
    if not playlist or playlist:isnil() then -- deleted meanwhile, or never saved
      local route = Session:route_by_id(PBD.ID(place.track))
      if route:isnil() then return nil, place.name .. " and its track are no longer in this session." end
      playlist = route:to_track():playlist()
      playlist:to_stateful():clear_changes()
      playlist:add_region(take, Temporal.timepos_t(place.position), 1, false, 0, 0, false)
      Session:add_stateful_diff_command(playlist:to_statefuldestructible())
      return true
    end

    local original = region:to_audioregion()
    sound:set_scale_amplitude(original:scale_amplitude())
    playlist:to_stateful():clear_changes()
    region:to_stateful():clear_changes()
    local moved = region:start():samples() - place.start
    if moved == 0 and region:length():samples() == take:length():samples() then
      local from, to = original:envelope(), sound:envelope()
      to:clear_list()
      to:set_interpolation(from:interpolation())
      for event in from:events():iter() do to:add(event.when, event.value, false, true) end
      sound:set_envelope_active(original:envelope_active())
      local shape, length = fade(place.region, "FadeIn")
      if shape then sound:set_fade_in_shape(shape) sound:set_fade_in_length(length) end
      shape, length = fade(place.region, "FadeOut")
      if shape then sound:set_fade_out_shape(shape) sound:set_fade_out_length(length) end
      sound:set_fade_in_active(original:fade_in_active())
      sound:set_fade_out_active(original:fade_out_active())
      take:set_opaque(region:opaque())
      take:set_muted(region:muted())
      playlist:add_region(take, region:position(), 1, false, 0, 0, false)
      while take:layer() > region:layer() + 1 do -- beneath what lay over the region
        local layer = take:layer()
        take:lower()
        if take:layer() >= layer then break end
      end
      region:set_muted(true)
    else -- trimmed meanwhile: only over it, where it sounds the same
      local position = math.max(0, region:position():samples() - moved)
      playlist:add_region(take, Temporal.timepos_t(position), 1, false, 0, 0, false)
    end
    Session:add_stateful_diff_command(playlist:to_statefuldestructible())
    Session:add_stateful_diff_command(region:to_statefuldestructible())
    return true
  end

  -- Jobs that have ended leave nothing behind.
  local function forget(records)
    local ids = {}
    for i, record in ipairs(records) do
      ids[i] = record.id
      for _, path in ipairs({record.input, record.target}) do
        os.remove(join(FOLDER, path:match("[^/\\]+$")))
      end
    end
    if #ids > 0 then jobs.remove(table.unpack(ids)) end
  end

  -- Renames results, as imports keep the names of files, to names that the session does not have yet.
  local function named(records)
    local taken, paths = {}, {}
    for _, region in pairs(regions_by_id()) do taken[region:name()] = true end
    for i, record in ipairs(records) do
      local stem = place_of(record.label).name:gsub("[/\\:%%%c]", "_") .. " restored"
      local name, count = stem, 1
      while taken[name] do count = count + 1 name = stem .. " " .. count end
      taken[name] = true
      paths[i] = join(FOLDER, record.id, name .. ".wav")
      if not os.rename(record.output, paths[i]) then
        return nil, "The result is not there: " .. record.output
      end
    end
    return paths
  end

  local function bring_in(records)
    local fade = fades()
    local paths, problem = named(records)
    if not paths then return complain(problem) end
    local sources = import(paths)
    if not sources then
      for i, record in ipairs(records) do os.rename(paths[i], record.output) end
      return complain("Ardour did not import the results. They are kept; choose " .. TITLE .. " again.")
    end
    Session:begin_reversible_command(TITLE)
    local worked, trouble = pcall(function()
      for i, record in ipairs(records) do
        local laid, why = lay(place_of(record.label), sources[i], fade)
        if not laid then complain(why .. " Its take is in the list of sources: " .. sources[i]:name()) end
      end
    end)
    if not Session:abort_empty_reversible_command() then Session:commit_reversible_command(nil) end
    if not worked then return complain(trouble) end
    forget(records)
  end

  -- Between the two ----------------------------------------------------------------------------------------

  local function ended(record) return record.state ~= "waiting" and record.state ~= "running" end

  local function ended_of(ids)
    local found = {}
    for _, id in ipairs(ids) do
      local record = jobs.record(id)
      if record and ended(record) then found[#found + 1] = record end
    end
    return found
  end

  local function stop(ids)
    jobs.cancel(table.unpack(ids))
    wait_until(function() return #ended_of(ids) == #ids end, "Stopping", 10) -- at its next step
    forget(ended_of(ids))
  end

  -- Shows progress while Ardour plays and draws on. Where its window is closed, all of Ardour can be used.
  -- Returns "ended" when all have, "gone" when the session is not open any more, "cancelled" if the user has
  -- had enough.
  local function watch(ids)
    local session = label_prefix()
    local window = LuaDialog.ProgressWindow(TITLE, true)
    local next_look, share, text, left = 0, 0, "Waiting", #ids
    local cancelled, gone
    repeat
      if now() >= next_look then
        next_look, share, left = now() + 300000, 0, 0
        for i, id in ipairs(ids) do
          local record = jobs.record(id)
          if record and not ended(record) then
            left = left + 1
            share = share + record.share_done
            if record.state == "running" then
              text = (#ids > 1 and i .. " of " .. #ids .. ": " or "") .. record.message
              local left_s = record.left_s and math.ceil(record.left_s)
              if left_s then text = text .. ", about " .. left_s .. " s left" end
            end
          else
            share = share + 1
          end
        end
      end
      sleep(20000)
      cancelled = window:progress(share / #ids, text)
      gone = not Session or label_prefix() ~= session
    until gone or cancelled or left == 0
    window:done()
    return gone and "gone" or left == 0 and "ended" or "cancelled"
  end

  local function choose(heading, values, first)
    return (LuaDialog.Dialog(TITLE, {
      {type = "heading", title = heading, align = "left"},
      {type = "dropdown", key = "answer", title = "", values = values, default = first},
    }):run() or {}).answer
  end

  -- Waits for jobs and brings in what they made, or does what the user wants instead.
  local function follow(ids)
    collectgarbage() -- so that nothing is held of a session that is closed meanwhile
    local state = watch(ids)
    while state == "cancelled" do
      local leave = "Leave it running, to be collected with " .. TITLE
      local answer = choose("It is not finished. What now?", {
        [leave] = "leave", ["Stop it"] = "stop", ["Wait on"] = "wait"}, leave)
      if answer == "stop" then return stop(ids) end
      if answer == "leave" then return end
      state = watch(ids)
    end
    if state == "gone" then return end -- they are collected when it is open again
    local done, rest = {}, {}
    for _, id in ipairs(ids) do
      local record, problem = jobs.record(id)
      if not record then
        complain(problem)
      elseif record.state == "done" then
        done[#done + 1] = record
      else
        rest[#rest + 1] = record
        if record.state == "failed" then complain(record.message) end
      end
    end
    forget(rest)
    if #done > 0 then bring_in(done) end
  end

  local function ask(count)
    local titles, shown = {}, nil
    for _, each in ipairs(PRESETS) do
      titles[each[2]] = each[1]
      if each[1] == preset then shown = each[2] end
    end
    local qualities = {Draft = "draft", Standard = "standard", ["Paper (slow)"] = "paper"}
    local shown_quality
    for text, name in pairs(qualities) do
      if name == quality then shown_quality = text end
    end
    local answer = LuaDialog.Dialog(TITLE, {
      {type = "heading", title = "Restore " .. count .. (count == 1 and " region" or " regions"),
        align = "left"},
      {type = "dropdown", key = "preset", title = "Music", values = titles, default = shown},
      {type = "dropdown", key = "quality", title = "Quality", values = qualities, default = shown_quality},
      {type = "file", key = "target", title = "Target (a curve or recording; may be left empty)"},
    }):run()
    if answer then preset, quality = answer.preset, answer.quality end
    return answer
  end

  local function main()
    local earlier, problem = jobs.labelled(label_prefix())
    if not earlier then return complain(problem) end
    local ids, done = {}, 0
    for _, record in ipairs(earlier) do
      ids[#ids + 1] = record.id
      if ended(record) then done = done + 1 end
    end
    if #ids > 0 then
      local collect = "Bring them in; wait for what is not finished"
      local answer = choose(string.format("Left from before: %d finished, %d not", done, #ids - done), {
        [collect] = "collect", ["Leave them for now"] = "leave", ["Stop and forget them"] = "stop"}, collect)
      if answer == "collect" then return follow(ids) end
      if answer == "stop" then stop(ids) end
      if not answer then return end
    end
    local regions = selected_regions()
    if #regions == 0 then
      if #ids == 0 then say("Select the audio regions to restore, and choose " .. TITLE .. " again.") end
      return
    end
    local options = ask(#regions)
    if not options then return end
    ids, regions = hand_in(regions, options), nil
    if #ids > 0 then follow(ids) end
  end

  return function()
    if busy then return end -- called by the Script Manager; from the menu, it comes when the other has ended
    busy = true
    local worked, trouble = pcall(main)
    busy = false
    if not worked then complain(trouble) end
  end
end
