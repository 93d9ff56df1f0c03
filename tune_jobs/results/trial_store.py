"""The store as Python's users open it: all that `tune_jobs.store.reader` reads, and the results of a study.

`tune_jobs.TrialStore` is this class. The reader itself lies below, because it knows rows and no results.
"""

from __future__ import annotations

from eml_models.shown import html_table
from tune_jobs.results.of_study import Results
from tune_jobs.store import reader
from tune_jobs.study.definition import Study


class TrialStore(reader.TrialStore):
    __doc__ = reader.TrialStore.__doc__

    def results(self, study: str | Study) -> Results:
        """What a study came to, as the rows say at this instant.

        Args:
            study: its name, or the study itself; the results then know its training function too.

        Raises:
            UnknownNameError: there is no such study; the message lists the studies of the store.
        """
        given = study if isinstance(study, Study) else None
        known = self.read(study.name if isinstance(study, Study) else study)
        return Results(store=str(self.path), known=known, given=given)

    def __repr__(self) -> str:
        return f"TrialStore({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """A row for each study: its name, its ended trials and the instant of its creation."""
        columns = ("study", "ended trials", "created")
        known = self.studies()[["study", "created_at"]].itertuples(index=False, name=None)
        rows = [(name, self.count_trials(name), f"{at:%Y-%m-%d %H:%M} UTC") for name, at in known]
        return html_table(f"TrialStore {self.path}", rows, columns=columns)
