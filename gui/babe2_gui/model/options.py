"""How to render, as the user chose it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from babe2_fx.catalogue.presets import QUALITIES, load_preset
from babe2_fx.settings import NAMES, SettingError, Settings, check_values

DEVICES = ("auto", "cpu", "cuda")
BOARD_NAMES = ("preset", "quality", "device", "seed", "target_match")


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
        """All hyper-parameters in effect.

        Raises PresetError, or SettingError for values that do not go together or have no effect.
        """
        return load_preset(self.preset).settings(self.quality, **(self.expert | {"seed": self.seed}))

    def changed(self, **changes) -> tuple["RenderOptions", dict[str, str]]:
        """The options with some changed, without the expert settings that then have no effect; and why not, by name.

        Raises as `settings`, but not for settings without effect.
        """
        options = replace(self, **changes)
        expert, idle = with_effect(load_preset(options.preset).settings(options.quality), options.expert)
        return replace(options, expert=expert), idle

    def with_expert(self, name: str, value) -> dict:
        """The expert settings with one changed; a value that is the preset's own is not kept."""
        others = self.without_expert(name)
        own = self.changed(expert=others)[0].settings.flat().get(name)
        return others if value == own else others | {name: value}

    def without_expert(self, name: str) -> dict:
        """The expert settings with one as the preset has it."""
        return {key: value for key, value in self.expert.items() if key != name}

    def idle(self) -> dict[str, str]:
        """The settings without an effect, each with the reason as the end of a sentence. Raises as `settings`."""
        settings = self.settings
        return {name: why for name in NAMES if (why := settings.idle(name))}

    def board_values(self) -> dict:
        """As the parameters of `GenerativeEQ` in a board file."""
        return {name: getattr(self, name) for name in BOARD_NAMES} | self.expert

    def with_board(self, values: dict) -> tuple["RenderOptions", str | None]:
        """The options that a board file's `GenerativeEQ` has, and its target file.

        Raises SettingError or ValueError.
        """
        if not values:
            return self, None
        expert = {name: value for name, value in values.items() if name in NAMES and name != "seed"}
        own = {name: values[name] for name in BOARD_NAMES if name in values}
        return RenderOptions(**own, expert=expert), values.get("target")

    def summary(self) -> str:
        """In a few words, for lists."""
        more = f", {len(self.expert)} expert" if self.expert else ""
        match = f", match {self.target_match:.0%}" if self.target_match else ""
        return f"{self.preset}, {self.quality}, seed {self.seed}{match}{more}"


def with_effect(settings: Settings, changes: dict) -> tuple[dict, dict[str, str]]:
    """Those of the changes to settings that have an effect in the variants they choose; and why others do not, by name.

    Raises SettingError for values that cannot be or do not go together.
    """
    kept = dict(changes)
    while True:
        try:
            result = settings.replace(**kept)
        except SettingError as error:
            if error.code != "idle-setting":
                raise
            del kept[error.fields["name"]]
        else:
            return kept, {name: result.idle(name) for name in changes if name not in kept}
