"""Scores of models that others published, from their own files: a block of the config."""

from typing import Annotated

from pydantic import Field, StringConstraints

from joulebench.inputs.checked import Strict, TableText

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[TableText, StringConstraints(min_length=1, max_length=400)]


class PublishedScores(Strict):
    """One column of a CSV file whose rows are models. It is of the published weights, whatever weights are measured."""

    file: Annotated[str, Field(min_length=1)] = Field(description="A CSV file with a line of column names.")
    model: Name = Field(description="The column of the models' ids, letter for letter as the hub has them.")
    score: Name = Field(description="The column of the scores; a row without a number there has none.")
    name: Words = Field(description="What the score is; it is shown beside it. Entries of one name are one score.")
    unit: Words | None = Field(None, description="Its unit, as it is to be shown: %.")
    source: Words = Field(description="Who published it, and where.")
    date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] = Field(
        description='The day that the scores are of, in quotes: "2025-03-13".'
    )
    where: dict[Name, str] = Field(
        default_factory=dict, description="Column -> the text that a row has in it; other rows are left out."
    )
