"""Connection to a Ray, its nodes, and the room that they have for trials.

Knows neither studies nor what a trial trains.

Doors: `connect` (start or join), `reaching` (does the cluster answer?), `authentication` (the token), `room`
(how many trials fit), `openings` (which slots are free), `autoscaler` (will more nodes come?), `deaths`
(workers that died); `local_ray` and `private_folder`.
"""
