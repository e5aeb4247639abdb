"""Ardour's script without Ardour: where it is installed, and its client."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ardour_world import RATE
from babe2_host.daw import ardour
from babe2_host.daw.scripts import filled, lua_string


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
    command = f"'{sys.executable}' -P -m babe2_host.cli"
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
