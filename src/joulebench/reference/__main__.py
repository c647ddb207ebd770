"""`python -m joulebench.reference NAME` prints docs/reference/NAME.md."""

import argparse

from joulebench.reference import PAGES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("name", choices=PAGES)
print(PAGES[parser.parse_args().name](), end="")
