"""How the fonts of this folder were made: Liberation Sans 2.1.5 under a name that no system has.

    apt-get download fonts-liberation2=2.1.5-1 && dpkg-deb -x fonts-liberation2_2.1.5-1_all.deb there
    pip install fonttools==4.68.0
    python rename.py there/usr/share/fonts/truetype/liberation2

The family of this name in Debian 12's package fonts-liberation is another one (1.07.4, GPL 2, other widths).
"""

import hashlib
import sys
from pathlib import Path

from fontTools.ttLib import TTFont

FAMILY = "Joulebench Sans"
SHA256 = {
    "Regular": "8d91388f1d3604b3b8ae0e3ee2d140e50cd6122f9214514f4aca772540a4076d",
    "Bold": "ba0e0dc3f7aca5b0afbc31e800531ee43be3aa79ae35b2ef1f6470a9547765c4",
}
COPYRIGHT, ID, FULL, POSTSCRIPT, TRADEMARK = 0, 3, 4, 6, 7

for style, expected in SHA256.items():
    source = Path(sys.argv[1]) / f"LiberationSans-{style}.ttf"
    if hashlib.sha256(source.read_bytes()).hexdigest() != expected:
        sys.exit(f"{source}: not the file of fonts-liberation2 2.1.5-1; fetch it as this script says")
    font = TTFont(source, recalcTimestamp=False)
    names = font["name"]
    names.removeNames(nameID=TRADEMARK)
    changed = {
        COPYRIGHT: f"{names.getDebugName(COPYRIGHT)}\nModified for Joulebench: these names alone.",
        1: FAMILY,
        ID: f"{FAMILY} {style} 2.1.5",
        FULL: f"{FAMILY} {style}",
        POSTSCRIPT: f"JoulebenchSans-{style}",
    }
    for record in names.names:
        record.string = changed.get(record.nameID, record.toUnicode())
    font.save(Path(__file__).with_name(f"JoulebenchSans-{style}.ttf"))
