"""Cost of a proposal and the limits that refuse it, computed from the plan before anything is trained.

Proposes no trial, and never builds a network.

Doors: `limits` (is a network within them?), `cost` (MACs, parameters, traffic), `macs_share` (a width that
uses a share of the limit), `reach` (can the space meet the limits at all?), `refusals` (counts of what was
refused), `passing` (the share that the limits admit), `largest` (the candidate that needs the most memory).
"""
