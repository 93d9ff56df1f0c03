"""Training of one recipe, once: an iterator that yields one report per epoch and can be saved between epochs.

Starts no process, searches nothing and writes to no store.

Doors: `recipe` (what to train), `loop` (`fit`), `snapshot` (save and load), `final_evaluation` (the test
set), `final_fit` (training that ends with it), `step_load` (memory and time of a step); `trained` and
`exporting` for the use of trained networks elsewhere.
"""
