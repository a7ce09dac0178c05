# What can be done with EduHub from a fresh clone. `make` alone lists it.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help run test bench fmt components

help: ## lists what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## builds the hub and serves the demonstration college on http://127.0.0.1:8000
	$(CARGO) build --release --locked
	target/release/eduhub serve --demo

test: components ## everything: formatting, lints, all tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked

bench: ## measures the hub beside what it is compared to
	$(CARGO) bench --locked --bench hub

fmt: ## formats the sources
	$(CARGO) fmt --all

# A toolchain that was installed in its smallest form lacks these two.
components:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
