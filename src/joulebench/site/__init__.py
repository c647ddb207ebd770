"""The leaderboard as a page: the tables in, one HTML file out that needs no network, no server and no build."""

from joulebench.site.document import TABLES as TABLES
from joulebench.site.document import page as page
