"""A dashboard of our own for jobs, which keeps what it is asked and given; it starts none."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any


@dataclass
class Dashboard:
    """What a head's dashboard answers about its jobs; it starts none."""

    address: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    package: bytes = b""
    tokens: set[str | None] = field(default_factory=set)
    stopped: list[str] = field(default_factory=list)

    @property
    def sent(self) -> set[str]:
        """The files of the package that was put here."""
        names = zipfile.ZipFile(io.BytesIO(self.package)).namelist()
        return {name for name in names if not name.endswith("/")}

    def add(self, job: str, study: str, store: str, status: str = "RUNNING", start: int = 1) -> None:
        self._append(job, {"study": study, "store": store}, f"python -m tune_jobs run {study}", status, start)

    def _append(self, job: str, metadata: dict[str, str], words: str, status: str, start: int) -> None:
        about = {"type": "SUBMISSION", "submission_id": job, "status": status, "start_time": start}
        self.jobs.append({**about, "metadata": metadata, "entrypoint": words})

    def get(self, path: str) -> object | None:
        if path == "/api/version":
            return {"version": "4", "ray_version": version("ray")}
        if path == "/api/jobs/":
            return self.jobs
        return next((job for job in self.jobs if path == f"/api/jobs/{job['submission_id']}"), None)

    def post(self, path: str, body: bytes) -> object:
        if path.endswith("/stop"):
            self.stopped.append(path.split("/")[-2])
            self.jobs = [
                {**job, "status": "STOPPED"} if job["submission_id"] in self.stopped else job
                for job in self.jobs
            ]
            return {"stopped": True}
        asked = json.loads(body)
        self._append(asked["submission_id"], asked["metadata"], asked["entrypoint"], "PENDING", 1)
        return {"job_id": asked["submission_id"], "submission_id": asked["submission_id"]}
