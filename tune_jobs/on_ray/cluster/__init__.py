"""Connection to a Ray, its nodes, and the room that they have for trials.

Knows neither studies nor trainings.

Doors: `connect` (start or join), `reaching` (does the cluster answer?), `authentication` (the token), `room`
(how many trials fit), `openings` (which slots are open), `autoscaler` (will more nodes come?), `deaths`
(workers that died), `private_folder` (Ray's files on this machine). Inside: `local_ray` (a Ray of our own).
"""
