"""How to render, as the user chose it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.settings import NAMES, Settings, check_values

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class RenderOptions:
    """preset, quality, device, seed: as `GenerativeEQ` has them · target_match: 0 to 1 · expert: the settings that
    the user changed, by name."""

    preset: str = "piano"
    quality: str = "standard"
    device: str = "auto"
    seed: int = 0
    target_match: float = 0.0
    expert: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.quality not in QUALITIES:
            raise ValueError(f"The quality must be one of {', '.join(QUALITIES)}, not {self.quality!r}.")
        if self.device not in DEVICES:
            raise ValueError(f"The device must be one of {', '.join(DEVICES)}, not {self.device!r}.")
        if not 0 <= self.target_match <= 1:
            raise ValueError(f"The target match must lie from 0 to 1, not {self.target_match!r}.")
        check_values({**self.expert, "seed": self.seed})

    @property
    def settings(self) -> Settings:
        """All hyper-parameters in effect. Raises PresetError, or ValueError for values that do not go together."""
        return load_preset(self.preset).settings(self.quality, **(self.expert | {"seed": self.seed}))

    def with_expert(self, name: str, value) -> "RenderOptions":
        """One expert setting changed; a value that is the preset's own is not kept."""
        own = load_preset(self.preset).settings(self.quality).flat().get(name)
        expert = {key: old for key, old in self.expert.items() if key != name}
        if value != own:
            expert[name] = value
        return replace(self, expert=expert)

    def without_expert(self, name: str) -> "RenderOptions":
        """One expert setting as the preset has it."""
        return replace(self, expert={key: value for key, value in self.expert.items() if key != name})

    def board_values(self) -> dict:
        """As the parameters of `GenerativeEQ` in a board file."""
        return {"preset": self.preset, "quality": self.quality, "device": self.device, "seed": self.seed,
                "target_match": self.target_match, **self.expert}

    def with_board(self, values: dict) -> tuple["RenderOptions", str | None]:
        """The options that a board file's `GenerativeEQ` has, and its target file. Raises ValueError."""
        if not values:
            return self, None
        own = {name: values[name] for name in ("preset", "quality", "device", "seed", "target_match") if name in values}
        expert = {name: value for name, value in values.items() if name in NAMES and name != "seed"}
        return RenderOptions(**own, expert=expert), values.get("target")

    def summary(self) -> str:
        """In a few words, for lists."""
        more = f", {len(self.expert)} expert" if self.expert else ""
        match = f", match {self.target_match:.0%}" if self.target_match else ""
        return f"{self.preset}, {self.quality}, seed {self.seed}{match}{more}"
