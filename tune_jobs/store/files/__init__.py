"""File systems as the store needs them: local folders and buckets behind one protocol, with locks.

Does not know tables, rows or studies.

Doors: `protocol` (what a file system must do), `local` (folders), `objects` (buckets, opened only here),
`bucket_places` (what lies in them beside rows), `lease` (a lock in a bucket), `holders` (who holds a lock).
"""
