"""Objects in a bucket that hold no rows: put whole, listed by trial, removed only under names of our own."""

from __future__ import annotations

import pytest
from bucket_testing import bucket_away, moody_url

from tune_jobs.store.files.bucket_blobs import BucketPlace, bucket_place


@pytest.fixture
def place() -> BucketPlace:
    return bucket_place(moody_url())


def test_bytes_come_back_and_go(place: BucketPlace) -> None:
    place.write_bytes("3/a.pt", b"one")
    place.write_bytes("12/a.pt", b"three")
    place.write_bytes("notes/b", b"")
    assert place.read_bytes("3/a.pt") == b"one"
    assert place.folders() == ["12", "3"]
    assert place.sizes("12") == {"a.pt": 5}
    assert place.sizes("4") == {}
    place.remove_object("3/a.pt")
    place.remove_object("3/a.pt")
    assert place.folders() == ["12"]


def test_a_local_copy_has_the_same_bytes(place: BucketPlace) -> None:
    place.write_bytes("3/a.pt", b"one")
    assert place.fetch("3", "a.pt").read_bytes() == b"one"
    with pytest.raises(OSError, match=r"b\.pt"):
        place.fetch("3", "b.pt")


def test_objects_of_others_stay_and_are_named(place: BucketPlace) -> None:
    for name in ("1-a.pt", "notes.txt"):
        place.write_bytes(f"3/{name}", b"x")
    removed = place.remove("3", lambda name: name.endswith(".pt"))
    assert (removed.num_files, removed.failed) == (1, ())
    assert removed.foreign == (f"{place.root}/3/notes.txt was not made by this store",)
    assert place.sizes("3") == {"notes.txt": 1}


def test_every_error_of_the_client_is_an_os_error(place: BucketPlace) -> None:
    place.write_bytes("3/a.pt", b"one")
    calls = (
        lambda: place.read_bytes("3/a.pt"),
        lambda: place.write_bytes("3/b.pt", b""),
        lambda: place.sizes("3"),
        lambda: place.remove_object("3/a.pt"),
    )
    with bucket_away():
        for call in calls:
            with pytest.raises(OSError, match=r"could not .*NotThereError"):
                call()
        assert place.remove_if_empty().failed
    assert place.remove_if_empty().failed == ()
