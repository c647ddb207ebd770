"""How good answers are: one module a metric, and one line in `METRICS`.

Its module has `right(answers, prompts, dataset, asked)`: of each answer whether it is right. `prompts` are the rows
(records.PROMPTS) that were asked, `dataset` the config's block, `asked` the config's block of the metric.
"""

from joulebench.quality import exact_match, pass_at_1

METRICS = {"pass-at-1": pass_at_1, "exact-match": exact_match}
