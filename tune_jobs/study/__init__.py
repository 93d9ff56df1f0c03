"""Vocabulary of a search as frozen values: space, objective, method, study, and the rows of a trial.

Takes no decision and knows no store. `instants` alone reads the clock; `code_digest` and `code_walk` alone
read files, which are source code.

Doors: `definition` (`Study` itself), `parameters` and `space` (what varies), `bindings` (names of parameters
that mean something to a study), `naming` (names of studies), `objective` and `method` (what to search for,
and how), `rows` (one value per row of the store), `events` (the details of events), `stored` (a study from
its stored JSON), `differences` (of two definitions), `words` (the command line's words for changes of a
study), `amounts` (MACs as people write them).
"""
