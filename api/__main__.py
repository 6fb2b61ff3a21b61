"""Run the command line: `python -m api` is `motcua`."""

import sys

from api.cli import main

if __name__ == "__main__":  # a spawned worker reads this file again, under another name
    sys.exit(main())
