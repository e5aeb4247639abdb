"""`python -m babe2_host.service`: the job service in this process."""

import sys

from .server import main

sys.exit(main())
