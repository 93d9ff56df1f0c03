"""Image data sets: files on disk, arrays, a fixed validation split, and batches on the training device.

Does not decide which study uses which data set, and downloads nothing unless the caller asks for it.

Doors: `datasets` (data sets by name), `loading` (tensors and the split), `batches` (an epoch as batches),
`augment` (random changes of images), `facts` (what a network must know of its data), `raw_data` (a data set
as arrays), `file_sets` (a user's files as a data set).
"""
