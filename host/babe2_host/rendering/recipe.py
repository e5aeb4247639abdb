"""A recipe: how a recording is rendered, as plain values that can stand in a list, a record or a message."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shown

from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.errors import UserError
from babe2_fx.settings import check_values

NAMES = ("preset", "board", "target")  # the content counts, not the name
LOUDEST_DB = 60.0


class RecipeError(UserError):
    """A recipe that cannot be used; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """How a recording is rendered: by a preset, or by a board.

    quality, target, target_match: as in GenerativeEQ; None: those of the preset or board · settings: pairs of name
    and value, over the preset's; a board takes `seed` alone · operators: what was done to the recording, the first
    thing first, each a name and pairs of parameter and value; not with a board, which has its own · gain_db: by which
    the recording is raised first · rate, depth: of the output, None: as the board says, else as the input · device:
    "auto", "cpu" or "cuda" · allow_external: whether the board may load VST3 plugins and Audio Units, which are
    programs.
    """

    preset: str | None = None
    board: str | None = None
    quality: str | None = None
    target: str | None = None
    target_match: float | None = None
    settings: tuple[tuple[str, object], ...] = ()
    gain_db: float = 0.0
    rate: int | None = None
    depth: str | None = None
    device: str = "auto"
    operators: tuple[tuple[str, tuple[tuple[str, object], ...]], ...] = ()
    allow_external: bool = False

    def make(self):
        """The `Board` to render with. Raises a UserError for whatever is wrong with the recipe."""
        if (self.preset is None) == (self.board is None):
            raise RecipeError("It needs a preset or a board" + (", not both." if self.preset else "."))
        if not -LOUDEST_DB <= self.gain_db <= LOUDEST_DB:  # NaN too
            raise RecipeError(f"gain_db must lie from {-LOUDEST_DB:g} to {LOUDEST_DB:g}, not {shown(self.gain_db)}.")
        if self.quality not in (None, *QUALITIES):  # a board without a GenerativeEQ would not say so
            raise RecipeError(f"The quality must be one of {', '.join(QUALITIES)}, not {self.quality!r}.")
        if self.preset:  # before torch is imported, which takes seconds
            load_preset(self.preset).prior_path  # noqa: B018 - says how to get weights that are missing
        try:
            board = self._of_preset() if self.preset else self._of_board()
            if self.rate is not None:
                board = type(board)(board, title=board.title, sample_rate=self.rate, depth=board.depth)
        except UserError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise RecipeError(str(error)) from error
        for effect in board.effects("GenerativeEQ"):
            load_preset(effect.preset).prior_path  # noqa: B018
        if self.gain_db:
            from pedalboard import Gain
            board.insert(0, Gain(self.gain_db))
        return board

    def _of_preset(self):
        from babe2_fx import GenerativeEQ

        from ..boards.board import Board
        operators = [{"name": name, **dict(parameters)} for name, parameters in self.operators]
        return Board([GenerativeEQ(self.preset, self.quality or "standard", target=self.target,
                                   target_match=self.target_match or 0.0, device=self.device,
                                   operators=operators or None, **dict(self.settings))])

    def _of_board(self):
        from ..boards.board import Board
        from ..boards.board_files import read_board
        from ..boards.catalogue import find_board
        values = dict(self.settings)
        others = sorted(set(values) - {"seed"})
        if others:
            raise RecipeError(f"{others[0]} cannot be changed for a board; write it into the board's file.")
        if self.operators:
            raise RecipeError("Operators cannot be given for a board; write them into the board's file.")
        check_values(values)
        board = read_board(find_board(self.board), Board, allow_external=self.allow_external)
        values |= {name: value for name in ("quality", "target", "target_match")
                   if (value := getattr(self, name)) is not None}
        for effect in board.effects("GenerativeEQ"):
            effect.device = self.device
            for name, value in values.items():
                setattr(effect, name, value)
        return board

    def facts(self, board) -> dict:
        """All that a result depends on besides the recording, as plain values for JSON; `board` is what `make` gave.

        Weights, targets and boards are identified by the SHA-256 of their files; impulse responses and VST3 plugins
        that a board names are not.
        """
        effects = []
        for effect in board.effects("GenerativeEQ"):
            effects.append({"quality": effect.quality, "settings": effect.settings.flat(), "mix": effect.mix,
                            "output_gain_db": effect.output_gain_db, "target_match": effect.target_match,
                            "operators": repr(effect.operators),
                            "prior_sha256": _sha256_once(load_preset(effect.preset).prior_path)})
        facts = {"preset": self.preset, "board": self.board, "target": self.target, "effects": effects,
                 "gain_db": self.gain_db, "rate": self.rate, "depth": self.depth}
        if self.target:
            facts["target_sha256"] = sha256(self.target)
        if self.board:
            from ..boards.catalogue import find_board
            facts["board_sha256"] = sha256(find_board(self.board))
        return facts

    def sources(self, board) -> list[Path]:
        """The files that go into a result, none of which may be written over: of the preset or the board, its prior,
        its target. `board` is what `make` gave.
        """
        from ..boards.catalogue import find_board
        from ..boards.values import plugin_values
        files = [Path(self.target)] if self.target else []
        files += [find_board(self.board)] if self.board else []
        for effect in board.effects("GenerativeEQ"):
            preset = load_preset(effect.preset)
            files += [preset.file, preset.prior_path]
        with contextlib.suppress(UserError):  # plugins that a program has made, and that no file names
            files += _files_in(plugin_values(board, where="The board"))
        return files

    def work(self) -> "Recipe":
        """The recipe that represents all that take the same time."""
        settings = tuple(pair for pair in self.settings if pair[0] != "seed")
        return replace(self, settings=settings, target=None, target_match=None, gain_db=0.0)


def _files_in(values: list[dict]) -> Iterator[Path]:
    """The files that plugins name, given their values."""
    from ..boards.values import FILES
    for plugin in values:
        if isinstance(named := plugin.get(FILES.get(plugin["plugin"], "")), str):
            yield Path(named)
        yield from _files_in(plugin.get("plugins", []))


def facts_key(facts: dict) -> str:
    """A key of a recipe's facts: equal for recipes that give equal results."""
    counting = {name: value for name, value in facts.items() if name not in NAMES}
    return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()[:16]


def _sha256_once(path: Path) -> str:
    """Of a large file that many recipes have in common; read again only when it was replaced."""
    stat = path.stat()
    return _known_sha256(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(64)
def _known_sha256(path: Path, *stamp: int) -> str:
    return sha256(path)


def sha256(path) -> str:
    """Of a file, or of all files in a folder, as hexadecimal digits. Raises OSError."""
    path = Path(path)
    if path.is_dir():
        parts = [f"{file.name} {sha256(file)}" for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
