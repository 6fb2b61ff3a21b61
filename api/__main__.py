"""Run the command line: `python -m api` is `motcua`."""

import sys

from api.cli import main

sys.exit(main())
