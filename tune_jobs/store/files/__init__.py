"""File systems as the store needs them: local folders and buckets behind one protocol, with locks.

Does not know tables, rows or studies.

Doors: `protocol` (the interface, and the choice by path or URL), `file_urls` (a folder named by a URL),
`objects` (buckets, opened only here), `bucket_blobs` (files in buckets that hold no rows), `real_folders`
(removal without following links), `holders` (the holder of a lock, in words). Private: `local` (folders),
`swapping`, `lease` (a lock in a bucket), `processes` (whether a holder lives).
"""
