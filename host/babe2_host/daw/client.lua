-- What every DAW script needs of the job service: hand a job in, read its record, cancel it, forget it.
--
--   local jobs = jobs_client(COMMAND, FOLDER)
--   local id, problem = jobs.submit("/path/in.wav", {preset = "piano", quality = "draft", label = "..."})
--   local record = jobs.record(id)          -- e.g. record.state == "done", record.output
--
-- `command` is a command line, quoted already, that runs babe2; `folder` is where the jobs lie. `shell`, if
-- given, replaces io.popen: it takes a whole command line, and returns what that wrote and if it succeeded.
-- Plain Lua 5.3. Nothing here raises an error: what fails returns nil and a sentence for the user.
local function jobs_client(command, folder, shell)
  local windows = os.getenv("OS") == "Windows_NT"
  local separator = windows and "\\" or "/"
  local jobs = {}

  -- `text` as one argument of a command line.
  function jobs.quote(text)
    if windows then -- no file name has a quotation mark there; a backslash before the last would escape it
      return '"' .. text:gsub('["\r\n]', "'"):gsub("\\+$", "%0%0") .. '"'
    end
    return "'" .. text:gsub("'", "'\\''") .. "'"
  end

  local function popen(line)
    if windows then line = '"' .. line .. '"' end -- cmd takes the outermost pair away
    local pipe, problem = io.popen(line, "r")
    if not pipe then return problem, false end
    local output = pipe:read("a")
    return output, pipe:close() == true
  end

  -- babe2 jobs ARGUMENTS: what it printed, or nil and its complaint.
  function jobs.run(...)
    local words = {command, "jobs"}
    for _, word in ipairs({...}) do words[#words + 1] = jobs.quote(word) end
    words[#words + 1] = "2>&1"
    local output, succeeded = (shell or popen)(table.concat(words, " "))
    if succeeded then return output end
    local sentence = output:match("babe2: ([^\r\n]+)") or output:match("([^\r\n]+)%s*$")
    return nil, sentence or ("babe2 did not answer. Does this command still run in a terminal?\n" .. command)
  end

  -- The id of a new job that restores the file at `path`. Options by their names on the command line (preset,
  -- quality, target, label, depth, ...); those that are nil or empty are left to the host.
  function jobs.submit(path, options)
    local words, names = {"submit", path}, {}
    for name in pairs(options) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      local value = tostring(options[name])
      if value ~= "" then words[#words + 1] = "--" .. name:gsub("_", "-") .. "=" .. value end
    end
    local output, problem = jobs.run(table.unpack(words))
    if not output then return nil, problem end
    local id = ("\n" .. output):match("\n(%x+)%s*$") -- the last line: a warning may come before it
    if not id or #id ~= 16 then return nil, "babe2 jobs submit answered without a job's id: " .. output end
    return id
  end

  local escapes = {n = "\n", t = "\t", r = "\r", b = "\b", f = "\f"}

  local function json_value(text)
    local inner = text:match('^"(.*)"$')
    if inner then
      -- Escaped backslashes are read in the same pass as the rest, so that "\\n" stays a backslash and an n.
      return (inner:gsub("\\(.)(%x?%x?%x?%x?)", function(letter, hex)
        if letter == "u" and #hex == 4 then return utf8.char(tonumber(hex, 16)) end
        return (escapes[letter] or letter) .. hex
      end))
    end
    if text == "true" or text == "false" then return text == "true" end
    return tonumber(text) -- and null is nil
  end

  -- What is known of a job: a table with the names in its job.json, or nil and why not.
  function jobs.record(id)
    local path = folder .. separator .. id .. separator .. "job.json"
    local file, problem = io.open(path, "r")
    if not file then return nil, "Cannot read the job's record: " .. problem end
    local record = {}
    for line in file:lines() do
      local name, value = line:match('^%s*"([%w_]+)":%s*(.-),?%s*$')
      if name then record[name] = json_value(value) end
    end
    file:close()
    if not record.state then return nil, "The job's record is no record: " .. path end
    return record
  end

  -- The records of all jobs whose label begins with `prefix`, oldest first.
  function jobs.labelled(prefix)
    local output, problem = jobs.run("list")
    if not output then return nil, problem end
    local found = {}
    for line in output:gmatch("[^\r\n]+") do
      local id = line:match("^%s*(%x+)%f[^%x]")
      local record = id and #id == 16 and jobs.record(id)
      if record and (record.label or ""):sub(1, #prefix) == prefix then found[#found + 1] = record end
    end
    table.sort(found, function(a, b) return a.created < b.created end)
    return found
  end

  -- Of one job or several, by their ids.
  function jobs.cancel(...) return jobs.run("cancel", ...) end

  function jobs.remove(...) return jobs.run("remove", ...) end

  return jobs
end
