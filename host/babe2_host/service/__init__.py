"""The job service: renders in the background for DAWs and scripts, with priors that stay loaded.

It listens on a socket in the user's own folder (where there are none, on a loopback address), to those who can read a
token in that folder, and uses only files in the folders that the user allows.
Jobs survive the program that submitted them, and the service itself.
"""

from .client import Client, ServiceError

__all__ = ["Client", "ServiceError"]
