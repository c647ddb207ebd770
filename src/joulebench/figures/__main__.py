"""`python -m joulebench.figures` prints docs/figures.md: the figures, what they show, and their targets."""

from joulebench.figures import FIGURES

_BEFORE = """# Figures

Each figure is a target in three forms: SVG, PNG (two pixels a point), and a page that stands alone and can be hovered
over. `snakemake --cores all results/h100/figures/energy_per_response.svg` makes one. This page is made from the code:
`python -m joulebench.figures > docs/figures.md`.

"""

_AFTER = """
## Of a study

`results/{hardware}/figures/study_{study}` is drawn of `studies/{study}.csv` ([studies](studies.md)): the energy of a
response over what the study varies, a line a model, with each knee and its interval below; the whole of a point as a
full line, its steady part alone as a dashed one; and which share of a point's energy its ramp, its steady part and its
drain took. Pale points were flagged or voided by a check.

## Snakemake's own report

    snakemake --cores all all --report results/report.html

(or `make report [HARDWARE=h100]`, which makes first what is missing) puts the figures by category, with what they show,
and the leaderboard, the frontier and the recommendations as CSV into one page, beside the rules, the times that they
took and the parameters. It needs no network, neither to be made nor to be read: Snakemake's wheel holds the scripts and
styles that it puts into the page. A name that ends in `.zip` gives a folder with the files beside the page. Files that
came with a clone have no record of who made them: Snakemake says "Missing metadata" of each, which does no harm.
`docs/report/` holds its texts, and a style without which the top of a tall figure could not be scrolled to.
"""


def markdown() -> str:
    rows = ["| of | target | what it shows | drawn from |", "|---|---|---|---|"]
    for category in dict.fromkeys(figure.category for figure in FIGURES.values()):
        for name, figure in FIGURES.items():
            if figure.category == category:
                place = "results/figures" if figure.across else "results/{hardware}/figures"
                tables = ", ".join(f"{table}.csv" for table in figure.tables)
                of = "all hardware's " if figure.across else ""
                rows.append(f"| {category} | `{place}/{name}` | {figure.caption} | {of}{tables} |")
    return _BEFORE + "\n".join(rows) + "\n" + _AFTER


if __name__ == "__main__":
    print(markdown(), end="")
