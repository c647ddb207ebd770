"""`python -m joulebench`: the command `joulebench`, where the package is not installed."""

import sys

from joulebench.commands.line import main

sys.exit(main())
