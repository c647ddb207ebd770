"""The leaderboard as a page: the tables in, one HTML file out that needs no network, no server and no build."""

from collections.abc import Mapping

import polars as pl

from joulebench.config.services import Service, Targets
from joulebench.site.assemble import assemble
from joulebench.site.document import document

TABLES = ("points", "pareto", "recommendations", "footprint")
"""Names in tables.TABLES of what the page is made from, for each piece of hardware."""


def page(
    tables: Mapping[str, Mapping[str, pl.DataFrame]],
    publish_flagged: bool = False,
    targets: Targets | None = None,
    services: Mapping[str, Service] | None = None,
    card_spread: Mapping[str, float] | None = None,
) -> str:
    """The page of `tables`: hardware -> name in TABLES -> its rows. The same tables give the same text.

    `publish_flagged`: whether the leaderboard takes flagged points, as analysis.leaderboard does; the page then shows
    them when it is opened. `targets`: task -> its latency target; `services`: by their names in the recommendations.
    `card_spread`: hardware -> the share by which its cards differ (analysis.choices.tied). Raises UserError where
    the JavaScript library is not the expected one.
    """
    return assemble(document(tables, publish_flagged, targets or {}, services or {}, card_spread or {}))
