# Every command that a developer needs, with one line of help each: make help
.DEFAULT_GOAL := help
.PHONY: help run test model chaos contract reference fuzz pictures check fmt tools

# The workspace is built as a whole: a part of it by itself has other features, and would be built again.
BUILD := cargo build --quiet --workspace --bins
# What searches or hammers for a while is optimised.
FAST := cargo build --quiet --profile fast -p conversation-tests -p conversation-local --bins
LOCAL := $(or $(CARGO_TARGET_DIR),target)/debug/conversation-local
CONTRACT := $(or $(CARGO_TARGET_DIR),target)/debug/contract
TOOLS := $(or $(CARGO_TARGET_DIR),target)/tools
CARGO_DENY := cargo-deny@0.20.2

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Set up and serve the API locally on private real servers (PORT, LOCAL_DIR, DATABASE_URL, REDIS_URL)
	@$(BUILD)
	@exec $(LOCAL) run

test: ## Set up and run all tests
	@$(BUILD)
	@exec $(LOCAL) test

model: ## Search the states of the cache protocol, then without each of its defences (ARGS: --short, --long, --defence NAME)
	@cargo run --quiet --profile fast --package conversation-model -- $(ARGS)

check: $(TOOLS)/bin/cargo-deny ## Formatting, lints, documentation, licences, the contract against routes, template and reference
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	$(TOOLS)/bin/cargo-deny --offline check --hide-inclusion-graph licenses bans sources
	@$(BUILD)
	$(CONTRACT) check

chaos: ## Hold every read against the history while all goes wrong that may (DURATION s, SEED, PROTOCOL)
	@$(FAST)
	@exec $(or $(CARGO_TARGET_DIR),target)/fast/chaos

contract: ## Send generated requests and hold every answer against infra/openapi.yaml (MAX_EXAMPLES, SEED)
	@$(BUILD)
	@exec $(CONTRACT) try

reference: ## Write docs/api.md from infra/openapi.yaml
	@$(BUILD)
	@$(CONTRACT) reference

fuzz: ## Give what reads from outside inputs that nobody would send (DURATION s or RUNS for each target, TARGETS)
	@fuzz/run

pictures: ## Make the pictures in docs/ anew
	@$(BUILD)
	@SCREENSHOT=$(CURDIR)/docs/console.png $(LOCAL) test console::
	@RECORDING=$(CURDIR)/docs/import.svg MESSAGES=60000 $(LOCAL) test recording::

fmt: ## Format the code
	cargo fmt --all

# Without its advisory database, which needs git and the network: what is checked here is checked offline.
$(TOOLS)/bin/cargo-deny:
	@echo 'Building $(CARGO_DENY), once'
	@cargo install --quiet --locked --debug --no-default-features --root $(TOOLS) $(CARGO_DENY)
