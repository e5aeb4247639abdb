"""Boards of plugins and offline effects, and the TOML files that they are kept in."""
