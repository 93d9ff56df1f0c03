"""Network architectures as plans: layers with shapes, from which both the module and its MACs come.

Holds no weights, trains nothing and measures no time.

Doors: `registry` (families by name), `plan` (layers and costs), `family` (how to write a family), `words` (a
network as text), `macs` (the independent count).
"""
