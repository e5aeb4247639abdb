"""Copies and pickles of Pedalboard's plugins, which Pedalboard itself has none of.

A plugin is copied by its class and parameters, as in a board file; what is still sounding in it is not. Importing this
module registers that with `copyreg`, so that `copy` and `pickle` know it wherever plugins are.
"""

from __future__ import annotations

import copyreg
from pathlib import Path

import pedalboard
from pedalboard import Chain, Convolution, Mix, Pedalboard, Plugin

from .plugins import EXTERNAL, NATIVE, changed_parameters, is_enum, load_plugin, origin_of, parameter_values


def _native(plugin: Plugin) -> tuple:
    values = {name: value.name if is_enum(value) else value for name, value in parameter_values(plugin).items()}
    return _native_again, (type(plugin).__name__, values)


def _native_again(name: str, values: dict) -> Plugin:
    kind, values = NATIVE[name], dict(values)
    plugin = Convolution(values.pop("impulse_response_filename")) if kind is Convolution else kind()
    for parameter, value in values.items():
        now = getattr(plugin, parameter)
        setattr(plugin, parameter, type(now).__members__[value] if is_enum(now) else value)
    return plugin


def _container(plugin: pedalboard.PluginContainer) -> tuple:
    return type(plugin), (list(plugin),), getattr(plugin, "__dict__", None) or None


def external(plugin: Plugin) -> tuple:
    """For a VST3 plugin or Audio Unit: its file and the parameters that were changed. Raises ValueError."""
    origin = origin_of(plugin)
    return _external_again, (type(plugin).__name__, origin.path, origin.plugin_name, changed_parameters(plugin, origin))


def _external_again(kind: str, path: str, plugin_name: str | None, parameters: dict) -> Plugin:
    return load_plugin(Path(path), parameters, plugin_name, kind)


for _kind in NATIVE.values():
    copyreg.pickle(_kind, _native)
for _kind in (Pedalboard, Chain, Mix):
    copyreg.pickle(_kind, _container)
for _name in EXTERNAL:
    if hasattr(pedalboard, _name):
        copyreg.pickle(getattr(pedalboard, _name), external)
