"""`babe2 compare`: the page as a browser sees it."""

import argparse
import base64
import io
import json
import os
import re
import select
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional as AF

from babe2_fx.audio.reading import AudioFile
from babe2_fx.errors import UserError
from babe2_host.commands import compare
from babe2_host.tools.compare_page import comparison_page, names

RATE = 22050


def run(*args):
    parser = argparse.ArgumentParser()
    compare.add(parser.add_subparsers())
    chosen = parser.parse_args(["compare", *map(str, args)])
    chosen.run(chosen)


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))


def audio_of(version):
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(version["audio"])), always_2d=True)
    return audio.T, rate


@pytest.fixture
def pair(make_notes, tmp_path):
    """One recording twice: as it is, and dull and soft at another rate."""
    bright = make_notes(RATE, 3.0)
    soundfile.write(tmp_path / "bright.wav", bright.T, RATE)
    dull = 0.1 * make_notes(44100, 3.0)
    dull[:, 1:] = (dull[:, 1:] + dull[:, :-1]) / 2
    soundfile.write(tmp_path / "dull.flac", dull.T, 44100)
    return tmp_path / "bright.wav", tmp_path / "dull.flac"


def test_the_page_holds_all_versions_at_one_loudness_and_needs_nothing_else(pair, tmp_path):
    page = tmp_path / "out.html"
    run(*pair, "--html", page)
    data = data_of(page)
    assert [v["name"] for v in data["versions"]] == ["bright", "dull"]
    loudness, peaks = [], []
    for version, source in zip(data["versions"], pair):
        audio, rate = audio_of(version)
        assert (audio.shape[1], rate) == (soundfile.info(source).frames, soundfile.info(source).samplerate)
        loudness.append(float(AF.loudness(torch.from_numpy(audio), rate)))
        peaks.append(np.abs(audio).max())
    assert loudness[0] == pytest.approx(loudness[1], abs=0.1)
    assert max(peaks) < 1 and (max(peaks) > 0.95 or loudness[0] == pytest.approx(-16, abs=0.1))
    assert not re.search(r'(src|href)="?(https?:|//|file:)|@import|url\(', page.read_text(encoding="utf-8"))


def test_pictures_show_what_is_there(pair, tmp_path):
    from matplotlib.image import imread
    run(*pair, "--html", tmp_path / "out.html")
    data = data_of(tmp_path / "out.html")
    for version in data["versions"]:
        picture = imread(io.BytesIO(base64.b64decode(version["spectrogram"].split(",")[1])))
        darkness = 1 - picture[..., :3].mean(axis=(1, 2))
        assert darkness[-len(darkness) // 8:].mean() > 3 * darkness[:len(darkness) // 2].mean()  # the lows are below
        assert max(high for _, high in version["peaks"]) <= data["peak"] + 1e-3
    bright, dull = (np.array(version["ltas_db"]) for version in data["versions"])
    assert dull[np.array(data["ltas_hz"]) > 12000].mean() > bright[np.array(data["ltas_hz"]) > 12000].mean()


@pytest.mark.parametrize("change,says", [
    (lambda a: a[:, :RATE], "lasts 3.00 s and .*other.wav 1.00 s"), (lambda a: 0 * a, "other.wav is silent"),
    (lambda a: np.repeat(a, 6, axis=0), "other.wav has 6 channels")])
def test_what_cannot_be_compared_is_named(pair, tmp_path, make_notes, change, says):
    soundfile.write(tmp_path / "other.wav", change(make_notes(RATE, 3.0)).T, RATE)
    with pytest.raises(UserError, match=says):
        run(pair[0], tmp_path / "other.wav", "--html", tmp_path / "out.html")
    assert not (tmp_path / "out.html").exists()


def test_one_recording_or_one_that_is_the_page_is_refused(pair, tmp_path):
    with pytest.raises(UserError, match="two to 9 recordings, not 1"):
        run(pair[0], "--html", tmp_path / "out.html")
    before = pair[1].read_bytes()
    with pytest.raises(UserError, match="is an input"):
        run(*pair, "--html", pair[1])
    assert pair[1].read_bytes() == before


def test_names_of_one_kind_are_told_apart_by_their_folders(pair, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(pair[0], tmp_path / folder / "take </script><b>.wav".replace("/", "_"))
    run(*sorted(tmp_path.glob("?/take*.wav")), "--html", tmp_path / "out.html", "--title", "</script><i>&")
    data = data_of(tmp_path / "out.html")
    assert [v["name"] for v in data["versions"]] == ["a/take <_script><b>", "b/take <_script><b>"]
    assert data["title"] == "</script><i>&"


LISTEN = """(async () => {
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const gains = () => playing.tracks.map(track => Math.round(track.gain.gain.value));
  const press = key => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  const seen = {};
  for (let i = 0; i < 400 && !document.body?.dataset.ready; i++) await wait(50);
  seen.ready = document.body.dataset.ready;
  press(" ");
  for (let i = 0; i < 200 && position() < 0.2; i++) await wait(20);
  seen.moves = position() >= 0.2;
  seen.first = gains();
  press("2");
  await wait(150);
  seen.second = gains();
  seen.still_playing = document.body.dataset.playing;
  seen.heard = document.body.dataset.heard;
  seek(1.5);
  seen.sought = position();
  $("play").click();
  seen.label = $("play").textContent;
  $("blind").click();
  seen.blind = [...$("choices").children].map(button => button.textContent);
  seen.hidden = getComputedStyle(document.querySelector(".version")).display;
  seen.problem = $("problem").textContent;
  return JSON.stringify(seen);
})()"""


class Browser:
    """Chromium without a window, driven through its debugging pipe."""

    def __init__(self, program, profile):
        commands, self._in = os.pipe()
        self._out, answers = os.pipe()

        def pipes():  # the browser reads from 3 and writes to 4
            os.dup2(commands, 203)  # by way of numbers that neither pipe has
            os.dup2(answers, 204)
            os.dup2(203, 3)
            os.dup2(204, 4)
        self._process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self._rest, self._number = b"", 0

    def ask(self, method, session=None, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                ready = select.select([self._out], [], [], 60)[0]
                chunk = os.read(self._out, 1 << 16) if ready else b""
                assert chunk, "the browser does not answer"
                self._rest += chunk
            answer, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(answer)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, page, expression):
        """What an expression comes to in a page that is opened for it."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.navigate", session, url=page.as_uri())
        result = self.ask("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"]["value"]

    def close(self):
        self._process.terminate()
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)


def test_a_browser_plays_it_and_switches_while_it_plays(pair, tmp_path):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    run(*pair, "--html", tmp_path / "out.html")
    browser = Browser(program, tmp_path / "profile")
    try:
        seen = json.loads(browser.evaluate(tmp_path / "out.html", LISTEN))
    finally:
        browser.close()
    assert seen["ready"] == "3.000 3.000" and seen["problem"] == ""
    assert seen["moves"] and seen["still_playing"] == "true"
    assert seen["first"] == [1, 0] and seen["second"] == [0, 1] and seen["heard"] == "dull"
    assert seen["sought"] == pytest.approx(1.5, abs=0.05) and seen["label"] == "Play"
    assert seen["blind"] == ["Version A1", "Version B2"] and seen["hidden"] == "none"


def test_names_that_are_not_text_are_shown_escaped(make_notes):
    audio = make_notes(RATE, 1.0)
    pair = [AudioFile(Path(name), audio, RATE, "WAV", "PCM_16") for name in ("caf\udce9\u202e.wav", "絆.wav")]
    assert names(pair) == [r"caf\xe9\u202e", "絆"]
    page = comparison_page(pair, "caf\udce9")
    assert '"title":"caf\\\\xe9"' in page and page.encode("utf-8")
