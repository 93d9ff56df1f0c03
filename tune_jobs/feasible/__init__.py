"""Cost of a proposal and the limits that refuse it, computed from the plan before anything is trained.

Draws no proposal for a search, and never builds a network.

Doors: `limits` (is it within?), `cost` (MACs, parameters, traffic), `macs_share` (a width that uses a share
of the limit), `reach` (can the space meet the limits at all?), `amounts` (amounts as people write them),
`largest` (the candidate that needs the most memory).
"""
