"""How good answers are: one module a metric, and one line in `METRICS`.

Its module has `check(prompts, dataset, asked)`, which raises UserError where answers could not be judged, before any is
asked for; `asking(spec, prompts, asked)`, the run's spec and the prompts as the engine is to be asked; and
`right(answers, prompts, dataset, asked)`: of each answer whether it is right. `prompts` are the rows (records.PROMPTS)
that are asked, `dataset` the config's block, `asked` the config's block of the metric.
"""

from joulebench.quality import exact_match, pass_at_1

METRICS = {"pass-at-1": pass_at_1, "exact-match": exact_match}
