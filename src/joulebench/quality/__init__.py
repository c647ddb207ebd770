"""How good answers are: one module a metric, and one line in `METRICS`.

Its module has `check(prompts, dataset, asked)`, which raises UserError where answers could not be judged, before any is
asked for; and `asking(spec, prompts, asked)`, the run's spec and the prompts as the engine is to be asked. Of text it
has `right(answers, prompts, dataset, asked)`: of each answer whether it is right. Of images it has
`check_judge(name, folder)`, as `check`, of the model in `folder` that judges, and
`scores(images, prompts, folder, device, asked)`: of each image its score, and how many prompts that model read cut off.
`prompts` are the rows (records.PROMPTS) that are asked, `dataset` the config's block, `asked` the config's block of the
metric.
"""

from joulebench.quality import clip_score, exact_match, pass_at_1

METRICS = {"pass-at-1": pass_at_1, "exact-match": exact_match, "clip-score": clip_score}
