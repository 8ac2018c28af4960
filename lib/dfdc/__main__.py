"""``python -m dfdc``: the command ``dfdc`` without installation."""

import sys

from dfdc.cli.main import main

sys.exit(main())
