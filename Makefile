# Every target but help and clean sets the environment up first (fast when nothing changed).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run check lint test bench doctor clean
MAKEFLAGS += --no-print-directory
BIN := .venv/bin

export DO_NOT_TRACK := 1

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

# The tests and the benchmark hold the MPIs side by side; all else needs Intel's only under distributed.mpi: intelmpi.
test bench: export MPI := intelmpi

setup: ## venv in .venv, the packages pinned in constraints.txt, Horovod (MPI=intelmpi: one for Intel MPI, too)
	@setup/setup.sh

run: setup ## the main job on generated data
	@$(BIN)/kedro run

check: setup lint ## lint, types, rooms, and the tests that start no Spark, no rank and no server: two minutes
	@$(BIN)/pytest --light

test: setup lint ## lint, types, rooms and all tests
	@$(BIN)/pytest --durations=25

lint:
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## our training beside what a user would write instead
	@$(BIN)/python -m benchmarks

doctor: setup ## what is installed, built against what, bound how; fails when something does not fit
	@$(BIN)/tandem doctor

clean: ## remove the venv and what tools left behind (data and the cached Horovod stay)
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .viz spark-warehouse src/*.egg-info
	@find src tests setup -name __pycache__ -type d -prune -exec rm -rf {} +
