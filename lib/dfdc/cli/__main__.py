"""``python -m dfdc.cli``: the command ``dfdc`` where it is not installed."""

import sys

from dfdc.cli.main import main

sys.exit(main())
