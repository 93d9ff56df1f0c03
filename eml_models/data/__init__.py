"""Image data sets: files on disk, arrays, a fixed validation split, and batches on the training device.

Does not decide which study uses which data set, and downloads nothing unless the caller asks for it.

Doors: `datasets` (data sets by name), `loading` (tensors and the split), `batches` (one epoch in batches),
`raw_data` (the form of a data set of your own).
"""
