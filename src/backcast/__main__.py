"""`python -m backcast`."""

import sys

from backcast.cli import main

sys.exit(main())
