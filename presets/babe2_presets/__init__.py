"""The presets that ship: one folder each, with preset.toml, prior.safetensors and CARD.md."""
