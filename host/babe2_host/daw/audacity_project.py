"""A project file that Audacity imports: restored tracks at their places, and labels that say what was done.

It is of Audacity's old XML format, which refers to audio files and which Audacity 3 imports as one step of its undo.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from babe2_fx.texts import printable

FLOAT = 262159  # 32-bit floating point, in Audacity's project files
BLOCK = 262144  # samples, the most in one block there


@dataclass(frozen=True)
class Clip:
    """A stretch of sound: its first sample in the project, number of samples, and the points of its envelope (s from
    its start, factor)."""

    first: int
    samples: int
    envelope: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Passage:
    """What is selected of one track: the file with its samples, where in the project they begin (in samples at the
    track's rate), and what its restored track needs so that it is heard in the same way."""

    name: str
    path: Path
    rate: int
    channels: int
    first: int
    samples: int
    gain: float
    pan: float
    clips: tuple[Clip, ...]

    @property
    def restored(self) -> Path:
        """The file that its restored samples go to."""
        return self.path.with_stem(self.path.stem + "_restored")


def write_project(folder: Path, passages: list[Passage], recipe: dict) -> Path:
    """A project file for Audacity to import: the restored tracks, and labels that say what was done."""
    (folder / "restored_data").mkdir(exist_ok=True)  # Audacity refuses a project without its folder
    tracks, labels = [], []
    for number, passage in enumerate(passages):
        name = quoteattr(printable(f"{passage.name} (restored)"))
        for channel in range(passage.channels):
            linked = int(channel == 0 and passage.channels == 2)
            side = 2 if passage.channels == 1 else channel
            tracks.append(f'<wavetrack name={name} channel="{side}" linked="{linked}" mute="0" solo="0" '
                          f'rate="{passage.rate}" gain="{passage.gain!r}" pan="{passage.pan!r}">'
                          + "".join(_clip(passage, clip, f"{number}_{channel}", channel) for clip in passage.clips)
                          + "</wavetrack>")
        start_s, end_s = passage.first / passage.rate, (passage.first + passage.samples) / passage.rate
        said = f"{passage.name}: {description(recipe)}, {clock(start_s)} to {clock(end_s)}"
        title = quoteattr(printable(said))
        labels.append(f'<label t="{start_s!r}" t1="{end_s!r}" title={title}/>')
    path = folder / "restored.aup"
    path.write_text('<?xml version="1.0" standalone="no" ?>\n'
                    '<project projname="restored_data" version="1.3.0" audacityversion="2.4.2">\n'
                    + "\n".join(tracks) + f'\n<labeltrack name="Generative EQ" numlabels="{len(labels)}">'
                    + "".join(labels) + "</labeltrack>\n</project>\n", encoding="utf-8")
    return path


def description(recipe: dict) -> str:
    """What was done, for a label."""
    said = [f"Generative EQ, {recipe.get('preset') or recipe.get('board')}"]
    said += [recipe["quality"]] if recipe.get("quality") else ["standard"] if recipe.get("preset") else []
    said += [f"target {Path(recipe['target']).name}"] if recipe.get("target") else []
    return ", ".join(said)


def clock(time_s: float) -> str:
    """A time as Audacity's ruler has it: 1:02.500."""
    minutes, seconds = divmod(round(max(0.0, time_s) * 1000), 60000)
    return f"{minutes}:{seconds // 1000:02}.{seconds % 1000:03}"


def _clip(passage: Passage, clip: Clip, name: str, channel: int) -> str:
    """A clip of one channel as XML. Audacity reads its samples from the restored file; every block has a name of its
    own, or Audacity takes two for one."""
    source, skipped = quoteattr(str(passage.restored)), clip.first - passage.first
    blocks = "".join(
        f'<waveblock start="{start}"><pcmaliasblockfile summaryfile="{name}_{skipped + start}.auf" aliasfile={source} '
        f'aliasstart="{skipped + start}" aliaslen="{min(BLOCK, clip.samples - start)}" aliaschannel="{channel}" '
        'min="0" max="0" rms="0"/></waveblock>' for start in range(0, clip.samples, BLOCK))
    points = "".join(f'<controlpoint t="{time_s!r}" val="{value!r}"/>' for time_s, value in clip.envelope)
    return (f'<waveclip offset="{clip.first / passage.rate!r}"><sequence maxsamples="{BLOCK}" sampleformat="{FLOAT}" '
            f'numsamples="{clip.samples}">{blocks}</sequence>'
            f'<envelope numpoints="{len(clip.envelope)}">{points}</envelope></waveclip>')
