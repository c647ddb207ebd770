"""What comes over the network: the hub's files and commits, files at an address; what fails is one line.

`hub`: the Hugging Face hub's errors, its token, and which commit the name of a revision stands for. `urls`: files of
other hosts. `waiting`: how long is waited for either.
"""

from joulebench.downloads.hub import NoSuchFileError as NoSuchFileError
from joulebench.downloads.hub import explained as explained
from joulebench.downloads.hub import lacks_socks as lacks_socks

__all__ = ["NoSuchFileError", "explained", "lacks_socks"]
