# make demo   installs what is missing, then takes a photo and a video from upload to observed erasure
# make test   installs what is missing, then runs every check and the tests, under five minutes; with WIDE=1, as in CI,
#             also those of buckets, whole collections and drills
# make quick  the developer's loop, under a minute: no type check, no slow tests, SQLite only; stops at a failure
# make corpus runs every file of the shared collections beside the project, where they are
# make lock   resolves the dependencies of pyproject.toml anew (UPGRADE=1: newer versions of everything)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: demo test quick corpus check lock

demo:
	@.ci/install demo
	.venv/bin/mayfly demo

test: check
	$(PYTEST) $(if $(WIDE),,-m "not wide")

quick:
	@.ci/install test
	.venv/bin/ruff check -q .
	$(PYTEST) -x -q -m "not slow"

corpus: check
	.venv/bin/python -m pytest --whole-corpus tests/flows/test_corpus_pictures.py tests/flows/test_corpus_videos.py \
		tests/flows/test_corpus_found.py tests/carriers/test_pictures.py tests/flows/test_carriers_video.py \
		tests/unit/test_image_large.py tests/unit/test_mutants.py tests/unit/test_bad_pictures.py \
		tests/e2e/test_main_job.py

# Three processes keep two processors busy, since tests wait for servers a third of their time; a file's tests stay
# together, since they share what they start, and the files come in the order of tests/conftest.py.
PYTEST := .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check:
	@.ci/install test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check -q .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

# The resolver lives apart: in .venv itself it would be one more thing that code could lean on without naming it.
COMPILE := .venv/lock/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url $(if $(UPGRADE),--upgrade)

# The project itself is built without isolation, so what builds it comes out of the lock as well.
BUILD := printf '%s\n' 'hatchling>=1.27' 'editables>=0.5'

lock:
	@.ci/install venv
	@test -x .venv/lock/bin/uv || { .venv/bin/python -m venv .venv/lock; .venv/lock/bin/python -m pip install -q uv; }
	$(BUILD) | $(COMPILE) pyproject.toml - --output-file docker/requirements.lock >/dev/null
	$(BUILD) | $(COMPILE) pyproject.toml - --group test --constraint docker/requirements.lock \
	    --output-file tests/requirements.lock >/dev/null
