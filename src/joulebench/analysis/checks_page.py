"""docs/checks.md, made from the table of checks: python -m joulebench.analysis.checks_page > docs/checks.md"""

from joulebench.analysis.checks import CHECKS


def markdown() -> str:
    """docs/checks.md: the table, and what is checked elsewhere."""
    rows = ["| check | of | flagged | invalid | what it means | where the limit is from |", "|---|---|---|---|---|---|"]
    for check in CHECKS:
        sign = "<" if check.at_least else ">"
        limits = [
            "" if limit is None else f"{sign} {words}" if (words := check.words(limit)) else "always"
            for limit in (check.flags, check.voids)
        ]
        rows.append(f"| {' | '.join((check.name, check.about, *limits, check.says, check.source))} |")
    return _BEFORE + "\n".join(rows) + _AFTER


_BEFORE = """# Checks

Each point of points.csv has a `verdict`: `valid`, or `flagged: ...` or `invalid: ...` with the checks that fired, what
was found and the limit. checks.csv has a row for each of them. `unchecked` names the checks whose facts the records
lack: these never fire. The leaderboard takes valid points alone; `publish_flagged: true` in the config lets flagged
ones in, invalid ones never. Where nothing measures energy at all, a point that passes every check is `no energy:
nothing measures it`: its latencies are as good as a valid point's, and are on the leaderboard. This page is made from
the code: `python -m joulebench.analysis.checks_page > docs/checks.md`.

"""

_AFTER = """

A fact, and never a fault: `power_capped_share`, the share of polls at the power limit. That is how a loaded GPU runs.

Checked where it is measured: a point fails, and has no figures, when vLLM's prefix cache was hit, the sampler fell
silent for 2 s or a counter stood still. A run is refused on a GPU in MIG mode or with another process on it.

Refused when the tables are made, by the file's name, with what was found and what was expected: records that do not
belong together. run.json's spec must give its hash, its device be the hardware's, and its points be those of the sweep,
each once, up to the one that ended it; each point.json must be run.json's entry, and each file of a point have the
SHA-256 that run.json has of it (records of an earlier version have none). Iterations and requests are numbered without
a gap; the iterations' finished requests, first tokens, prompt and output tokens are those of the requests, and no
request finishes after the iteration that tells of it; a batch of pictures or videos and its requests have the same
times. A request's times come one after the other. A device has one source of energy, read over the time of the point.
"""


if __name__ == "__main__":
    print(markdown(), end="")
