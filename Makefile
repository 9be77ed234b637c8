# Daybook. `make` by itself lists what there is to make.
#
# Rust (by rustup), Node 20, and root or sudo are all that must be there: what else a target needs it installs once, saying so.
# What is built or installed lands under `target`, or under CARGO_TARGET_DIR. The work is done by small scripts in .build/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Set only where it was set before: cargo finds the default by itself, from any folder.
ifdef CARGO_TARGET_DIR
export CARGO_TARGET_DIR := $(TARGET)
endif

# More arguments for the command that a target runs: make run ARGS='--listen 0.0.0.0:8080 --allow-insecure-http'
ARGS ?=

.PHONY: help run run-split services services-stop build site test faults check e2e bench bench-split fmt lint clean tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve at http://127.0.0.1:3000, with demo data and quick to build (ARGS='…' is passed on)
	@.build/tools.sh bundle
	@.build/site.sh dev
	cargo run -p server --bin daybook -- serve --demo $(ARGS)

run-split: ## the same as processes apart: two command and two query nodes, PostgreSQL, Kafka, nginx; Ctrl-C ends all
	@.build/tools.sh bundle proxy
	@.build/site.sh dev
	cargo build -p server --bin daybook
	@.build/split.sh

services: ## start PostgreSQL, Kafka and nginx for processes apart and for tests, and print where they are
	@.build/services.sh start

services-stop: ## end exactly what `make services` started
	@.build/services.sh stop

build: site ## the release: one self-contained binary, target/release/daybook
	cargo build -p server --bin daybook --release
	@ls -lh $(TARGET)/release/daybook | awk '{ print "$(TARGET)/release/daybook: " $$5 }'

site: ## the browser's side as a release has it: small, hashed, compressed (target/site)
	@.build/tools.sh bundle shrink
	@.build/site.sh release

test: ## everything that CI runs: format, lint, boundaries, all tests, the browser
	@.build/test.sh

faults: ## the long run of faults: kills, outages, full disks under a bank at work, and one table of what was found
	@DAYBOOK_TEST_KILLS=$${DAYBOOK_TEST_KILLS:-200} DAYBOOK_TEST_FAULTS=$${DAYBOOK_TEST_FAULTS:-5} \
	DAYBOOK_TEST_OUTAGE=$${DAYBOOK_TEST_OUTAGE:-60} cargo test -p server --features app/ssr --test faults -- --nocapture $(ARGS)

e2e: ## the browser tests alone (ARGS='…' is passed to Playwright)
	@.build/tools.sh bundle browser
	@.build/site.sh dev
	cargo build -p server --bin daybook
	@.build/e2e.sh $(ARGS)

bench: site ## measure Daybook against its peers, half an hour (ARGS='append --rounds 9' for one of them)
	cargo bench -p server --bench measure -- $(ARGS)
	cargo bench -p server --bench import

bench-split: ## the same for PostgreSQL and Kafka, against other event stores too (ARGS='append --rounds 9')
	@.build/bench-split.sh $(ARGS)

fmt: ## format all Rust code
	cargo fmt --all

lint: ## format and lint checks, for the server and for the browser, and the boundaries
	@.build/tools.sh bundle
	@.build/lint.sh

clean: ## remove what was built; installed tools stay (target/tools)
	rm -rf $(addprefix $(TARGET)/,debug release wasm wasm32-unknown-unknown site site-dev bound)
	rm -rf end2end/test-results end2end/playwright-report

tools: ## install all that the other targets need, now
	@.build/tools.sh
