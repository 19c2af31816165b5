# The pinned Node of node_modules comes first: recipes run `node` and the tools by name.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help setup demo up down status clean test check bench chaos simulate bench-fill bench-join bench-load \
  bench-restart bench-fresh bench-soak bench-peer bench-recovery bench-group

help:
	@echo 'make demo     start the stack and run the demonstration on it'
	@echo 'make up       start the stack (fetches it first): PostgreSQL, Kafka, Connect, registry, S3, catalog, Trino'
	@echo 'make status   what runs, and on which port'
	@echo 'make down     stop the stack, keep its data'
	@echo 'make clean    stop the stack, remove its data'
	@echo 'make test     every test; the stack tests bring up a stack of their own'
	@echo 'make check    format, lint, types and unit tests'
	@echo 'make simulate the pipeline under random faults, all in memory: SEED=n SCHEDULES=n'
	@echo 'make bench    a quick measurement; docs/benchmarks.md tells of the others:'
	@echo '  bench-join bench-load bench-restart bench-fresh bench-soak bench-peer bench-recovery bench-group, with ARGS=...'
	@echo 'make chaos    faults on a real stack of its own: SEED=n ROUNDS=n FAULTS=name,name; FAULTS=list'
	@echo '  its ports start 3000 above those of the stack; TRIBUTARY_CHAOS_PORT_OFFSET=n in the environment moves them'

setup: node_modules/.package-lock.json

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

up: setup
	@node stack/main.ts up

demo: up
	@./tributary demo

down: setup
	@node stack/main.ts down

status: setup
	@node stack/main.ts status && ./tributary status || true

clean: setup
	@node stack/main.ts down --wipe

test: setup
	@vitest run --reporter=default --reporter=./test/closing-line-reporter.ts

check: setup
	npm run check

simulate: setup
	@node test/simulation/main.ts --seed '$(or $(SEED),1)' --schedules '$(or $(SCHEDULES),100000)'

bench: up
	@node --disable-warning=TimeoutNegativeWarning bench/main.ts

chaos: setup
	@node --disable-warning=TimeoutNegativeWarning test/chaos/main.ts --seed '$(SEED)' --rounds '$(ROUNDS)' --faults '$(FAULTS)'

bench-fill bench-join bench-load bench-restart bench-fresh bench-soak bench-peer bench-recovery bench-group: bench-%: up
	@node --disable-warning=TimeoutNegativeWarning bench/$*.ts $(ARGS)
