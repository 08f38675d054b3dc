"""``python -m airside`` is ``airside``."""

import sys

from airside.cli import main

sys.exit(main())
