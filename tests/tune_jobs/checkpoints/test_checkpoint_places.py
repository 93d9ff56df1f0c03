"""Where checkpoints lie: real folders of a store, or objects in a bucket."""

from __future__ import annotations

from pathlib import Path

from bucket_testing import moody_url

from tune_jobs.checkpoints.places import LocalPlace, place_of


def test_a_folder_and_a_bucket_list_the_same(tmp_path: Path) -> None:
    for place in (place_of(str(tmp_path), "checkpoints/s"), place_of(moody_url(), "checkpoints/s")):
        assert place.folders() == []
        if isinstance(place, LocalPlace):
            for name in ("3", "12", "notes"):
                (tmp_path / "checkpoints" / "s" / name).mkdir(parents=True)
            (tmp_path / "checkpoints" / "s" / "3" / "a.pt").write_bytes(b"one")
        else:
            place.write_bytes("3/a.pt", b"one")
            place.write_bytes("12/b.pt", b"")
        assert sorted(place.folders()) == ["12", "3"]
        assert place.sizes("3") == {"a.pt": 3}
        assert place.fetch("3", "a.pt").read_bytes() == b"one"
        assert place.remove("3", lambda name: name == "a.pt").num_files == 1
        assert place.sizes("3") == {}
