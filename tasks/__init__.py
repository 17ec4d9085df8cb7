"""When things are done: what the queue may ask for, and nothing of how it is done. The only room with Celery.

classes (one row a queue), app (settings, starting a worker), consumer (what is a message at all), task (the wrapper
around every job), guard (the lease), seat (what a process has in hand), broom (the scratch of its host), life (signals
of a process), relay (the guarantee behind the doorbell), schedule (duties), embedded (the same in one process),
entrance (what other backends may send); then the jobs by subject: uploads, retention, privacy.
"""
