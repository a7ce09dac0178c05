# Commands for working with EduHub from a fresh clone. `make` alone lists them.

CARGO ?= cargo
# Builds the hub for the browser tests. `--test` names the smallest Rust test, so that cargo uses the features that the
# Rust tests need. Otherwise it would build most dependencies a second time.
BUILD_HUB = $(CARGO) build --locked --bin eduhub --test tidy
# Tests spend half of their time waiting for Plone or Chromium, so more of them run at once than there are processors.
PROCESSORS := $(shell nproc)
TESTS_AT_ONCE ?= $(shell expr 2 '*' $(PROCESSORS))
PAGE_TESTS_AT_ONCE ?= $(shell expr 2 '*' $(PROCESSORS))
# Tests with long computations are built with an optimized hub and the dependencies of the other tests. Overflows and
# debug assertions are still checked.
OPTIMIZED = --config 'profile.dev.package.eduhub.opt-level=3'

.DEFAULT_GOAL := help
.PHONY: help run test deny advisories sbom faults faults-soak faults-disks flood fuzz properties sim attack season test-cluster tests-installed tests-built browser-test layout chromium apache postgres nats pictures bench page-bench fmt components plone plone-template stop-plone run-plone

help: ## lists the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## builds the hub and serves the demonstration college on http://127.0.0.1:8000
	$(CARGO) build --release --locked
	target/release/eduhub serve --demo

# Every run of `make test` uses the same generated cases, so that its result depends on the change and not on chance.
# `make properties` uses new ones.
test: export PROPTEST_RNG_SEED ?= 1
test: export TEST_SEED ?= 1
test: components ## checks formatting, lints and documentation, and runs all tests
	$(CARGO) fmt --all --check
	@$(MAKE) --no-print-directory -j2 tests-installed tests-built
	RUST_TEST_THREADS=$(TESTS_AT_ONCE) $(CARGO) test --locked
	@$(MAKE) --no-print-directory browser-test

# Plone and Chromium are installed while the tests are built, because the installation waits for the network and the
# build for the processors.
tests-installed: plone-template chromium deny apache postgres nats
tests-built:
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items --quiet
	$(CARGO) test --locked --no-run

# Checks that need only the package registries; `make test` includes them.
deny: ## checks the licenses and the sources of the dependencies (deny.toml)
	@scripts/deny/install.sh
	target/tools/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources

# The database of advisories is in a repository on GitHub, which not every machine that runs `make test` can reach.
advisories: ## checks the dependencies for known vulnerabilities (RustSec; needs GitHub)
	@scripts/deny/install.sh
	target/tools/bin/cargo-deny --locked check advisories

# cargo-cyclonedx is built without optimization, which takes half as long; it runs for only a second.
sbom: ## writes the list of all dependencies (CycloneDX) to target/eduhub.cdx.json
	$(CARGO) install --quiet --locked --debug --root target/tools --version 0.5.9 cargo-cyclonedx
	PATH="target/tools/bin:$$PATH" $(CARGO) cyclonedx --format json --spec-version 1.5 --no-build-deps --override-filename eduhub.cdx
	mv eduhub.cdx.json target/

# This reporter repeats the failed tests at the end.
browser-test: chromium apache ## tests the pages in a real Chromium: their functions, and their accessibility (axe-core)
	$(BUILD_HUB)
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	node --test --test-reporter=spec --test-concurrency=$(PAGE_TESTS_AT_ONCE) tests/browser/*.test.mjs

layout: chromium ## checks the layout of every state of every page at five widths
	$(BUILD_HUB)
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	LAYOUT=all node --test --test-reporter=spec tests/browser/layout.test.mjs

# The short form of these tests is part of `make test`. To repeat a run, use the seed that it printed:
# TEST_SEED=… make faults
# The ten minutes of load run in parallel with the other parts, which mostly wait for the disk.
faults: ## runs the fault suite in its long form: 200 images of a power failure, 100 kills, 60 damaged copies of each kind of file, failing disks, 10 minutes of load
	$(CARGO) test --locked --no-run --test faults --test system
	@$(MAKE) --no-print-directory -j2 faults-soak faults-disks

faults-soak:
	FAULT_SOAK_SECONDS=600 timeout 900 $(CARGO) test --locked --test faults soak -- --nocapture
faults-disks:
	FAULT_IMAGES=200 FAULT_DAMAGES=60 FAULT_CUTS=20 FAULT_SECONDS=20 FAULT_HISTORY_ROUNDS=8 timeout 1500 $(CARGO) test --locked --test faults -- --nocapture --skip soak
	FAULT_ROUNDS=100 timeout 900 $(CARGO) test --locked --test system crash -- --nocapture
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	SSO_STUDENTS=2000 timeout 900 node --test tests/browser/sso-students.test.mjs

# The short form is part of `make test`. Each test prints its seed, its number of responses, and the times of changes.
test-cluster: postgres nats ## runs the tests of three hubs on PostgreSQL and NATS in their long form: 2,000 students for each fault, and 3,000 clients that move between hubs
	$(CARGO) test $(OPTIMIZED) --locked --no-run --test system
	CLUSTER_STUDENTS=$(or $(STUDENTS),2000) CLUSTER_STOP_S=30 CLUSTER_CLIENTS=3000 CLUSTER_ALERTS=500 CLUSTER_CHANGES=1000 RUST_TEST_THREADS=1 $(CARGO) test $(OPTIMIZED) --locked --test system cluster:: -- --nocapture

# A failure prints its seed or its smallest case, for which a fixed test is then added.
properties: ## repeats the tests with generated cases ROUNDS=20 times with new seeds
	$(CARGO) test --locked --no-run --lib --test it
	@for round in $$(seq $(or $(ROUNDS),20)); do \
		export TEST_SEED=$$(shuf --random-source=/dev/urandom -i 1-2000000000 -n 1); \
		export PROPTEST_RNG_SEED=$$TEST_SEED; \
		echo "round $$round: seed $$TEST_SEED"; \
		$(CARGO) test --quiet --locked --lib || exit 1; \
		$(CARGO) test --quiet --locked --test it -- model:: import_fuzz:: || exit 1; \
	done

# A failure prints the seed and the number of the history, with which the run can be repeated: TEST_SEED=… SIM_FIRST=…
# COUNT=1 make sim
sim: ## plays COUNT=1000000 generated histories against the independent model, for at most SECONDS=3600
	$(CARGO) test $(OPTIMIZED) --locked --no-run --test it
	SIM_HISTORIES=$(or $(COUNT),1000000) SIM_SECONDS=$(or $(SECONDS),3600) $(CARGO) test --quiet $(OPTIMIZED) --locked --test it -- --nocapture model::simulation::generated

flood: ## measures registrations during a flood of uncached lists with the default limits: ROUNDS=5 of STUDENTS=1000, in a release build
	$(CARGO) build --release --locked
	$(CARGO) test --locked --no-run --test faults
	FAULT_BIN=$(CURDIR)/target/release/eduhub FLOOD_LIMIT=default FLOOD_STUDENTS=$(or $(STUDENTS),1000) FLOOD_ROUNDS=$(or $(ROUNDS),5) timeout 900 $(CARGO) test --locked --test faults floods_of_uncached -- --nocapture

attack: ## runs the attack by simultaneous requests in its long form: STUDENTS=500, in a release build
	$(CARGO) build --release --locked
	$(CARGO) test --locked --no-run --test system
	FAULT_BIN=$(CURDIR)/target/release/eduhub ATTACK_STUDENTS=$(or $(STUDENTS),500) timeout 1800 $(CARGO) test --locked --test system attack -- --nocapture

season: ## runs the registration season in its long form: STUDENTS=20000, FILE=docs/sample-schedule.csv, in a release build
	$(CARGO) build --release --locked
	$(CARGO) test --locked --no-run --test system
	FAULT_BIN=$(CURDIR)/target/release/eduhub SEASON_STUDENTS=$(or $(STUDENTS),20000) SEASON_FILE=$(or $(FILE),docs/sample-schedule.csv) timeout 7200 $(CARGO) test --locked --test system season -- --nocapture

# Coverage-guided, for SECONDS=600; the seeded run in `make test` is short. Needs the nightly compiler.
fuzz: ## searches for files that crash the schedule reader
	@test -x target/tools/bin/cargo-fuzz || $(CARGO) install --quiet --locked --root target/tools cargo-fuzz
	mkdir -p fuzz/corpus/schedule
	PATH="target/tools/bin:$$PATH" $(CARGO) +nightly fuzz run schedule fuzz/corpus/schedule tests/schedules tests/schedules/sheets tests/schedules/systems -- -max_total_time=$(or $(SECONDS),600) -rss_limit_mb=1024 -timeout=20

pictures: chromium ## takes pictures of all pages into target/pictures/, and those of the README into docs/pictures/
	$(BUILD_HUB)
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	node tests/browser/pictures.mjs

plone: plone-template ## installs a real Plone into .plone/, creates its site and serves it on http://127.0.0.1:8080/Plone
	@scripts/plone/start.sh

chromium:
	@scripts/browser/install.sh

apache:
	@scripts/apache/install.sh

postgres:
	@scripts/postgres/install.sh

nats:
	@scripts/nats/install.sh

plone-template: ## installs Plone and creates the site that the tests copy, without starting it
	@scripts/plone/install.sh

stop-plone: ## stops the Plone that `make plone` started; its content stays
	@scripts/plone/start.sh stop

run-plone: export EDUHUB_PLONE__URL = http://127.0.0.1:8080/Plone
run-plone: export EDUHUB_PLONE__USERNAME = eduhub
run-plone: export EDUHUB_PLONE__PASSWORD = eduhub-plone
run-plone: export EDUHUB_STORE__URL = sqlite:var/plone.db
run-plone: plone ## runs the hub in front of that Plone, on http://127.0.0.1:8000
	$(CARGO) build --release --locked
	target/release/eduhub serve --demo

bench: plone-template ## runs the benchmarks, with comparisons (one part: cargo bench --bench hub -- registrations)
	$(CARGO) bench --locked --bench hub

page-bench: chromium ## measures the student's page: the time to its first rows, and its work while 500 of 3,465 sections change each second for SECONDS=300
	$(CARGO) build --release --locked
	npm ci --prefix tests/browser --no-audit --no-fund --silent
	EDUHUB_BIN=$(CURDIR)/target/release/eduhub node tests/browser/page-bench.mjs

fmt: ## formats the sources
	$(CARGO) fmt --all

# A minimal installation of the toolchain lacks these two components.
components:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
