# Every command that a developer needs, with one line of help each: make help
.DEFAULT_GOAL := help
.PHONY: help run test model chaos soak dashboard contract reference fuzz pictures bench bench-peers bench-compare check check-infra build deploy restore upgrade destroy fmt tools

# The workspace is built as a whole: a part of it by itself has other features, and would be built again.
BUILD := cargo build --quiet --workspace --bins
# What searches or hammers for a while is optimised.
FAST := cargo build --quiet --profile fast -p conversation-tests -p conversation-local --bins
LOCAL := $(or $(CARGO_TARGET_DIR),target)/debug/conversation-local
CONTRACT := $(or $(CARGO_TARGET_DIR),target)/debug/contract
TOOLS := $(or $(CARGO_TARGET_DIR),target)/tools
# What is measured is what is deployed: the functions by themselves have the features that they are deployed with.
FUNCTIONS := cargo build --quiet --release -p conversation-functions --bins
RELEASE := $(FUNCTIONS) && cargo build --quiet --release -p conversation-bench -p conversation-local --bins
BENCH := $(or $(CARGO_TARGET_DIR),target)/release/conversation-bench
# What builds, deploys and checks infra/.
INFRA := .venv-infra
ON_AWS := PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(INFRA)/bin/python
SAM := PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(INFRA)/bin/sam
TEMPLATES := target/infra/template.yaml
ENV := dev
CARGO_DENY := cargo-deny@0.20.2

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

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
	cargo fetch --locked --quiet
	$(TOOLS)/bin/cargo-deny --offline check --hide-inclusion-graph licenses bans sources
	@$(BUILD)
	$(CONTRACT) check
	@python3 core/data/rds_roots.py check

check-infra: $(INFRA)/requirements.installed ## Lint and test the templates, deploy them to a mock, and run a function as Lambda would
	@infra/check
	@$(BUILD)
	@$(LOCAL) test -- emulator

build: $(INFRA)/requirements.installed ## Zips of all functions for arm64 and x86_64, in target/lambda (ARCHITECTURES)
	@PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" infra/build $(ARCHITECTURES)

deploy: $(TEMPLATES) ## Build and deploy to AWS, as samconfig.toml says (ENV: dev, staging, prod)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/deploy.py $(ENV)

restore: $(TEMPLATES) ## Bring an environment back to a moment, into a stack beside it (ENV, TIME or latest, INTO, DRILL=1)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/restore.py $(ENV) $(or $(TIME),$(error TIME is missing, like 2026-11-26T12:00:00Z)) $(if $(INTO),--as $(INTO)) $(if $(DRILL),--drill)

upgrade: $(TEMPLATES) ## Bring Postgres to another major version, after a snapshot (ENV, POSTGRES)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/upgrade.py $(ENV) $(or $(POSTGRES),$(error POSTGRES is missing, like 18))

destroy: $(INFRA)/requirements.installed ## Delete what was deployed, leaving a snapshot of Postgres (ENV)
	@$(SAM) delete --config-env $(ENV)

chaos: ## Hold every read against the history while all goes wrong that may (DURATION s, SEED, PROTOCOL, PROFILE)
	@$(FAST)
	@exec $(or $(CARGO_TARGET_DIR),target)/fast/chaos

soak: ## Send mixed traffic for a while, with faults, and look that nothing is lost or grows (MINUTES, RATE, SEED)
	@$(FUNCTIONS)
	@cargo build --quiet --release -p conversation-tests -p conversation-local --bins
	@exec $(or $(CARGO_TARGET_DIR),target)/release/soak

dashboard: .venv-tests/requirements.installed ## Draw the dashboard from the metrics of the last make soak, into docs/dashboard.png
	@.venv-tests/bin/python docs/dashboard.py

contract: ## Send generated requests and hold every answer against infra/openapi.yaml (MAX_EXAMPLES, SEED)
	@$(BUILD)
	@exec $(CONTRACT) try

reference: ## Write docs/api.md from infra/openapi.yaml
	@$(BUILD)
	@$(CONTRACT) reference

bench: ## Measure, each figure against something in the same run (ONLY, ROUNDS, SCALE messages, ARGS=--short)
	@$(RELEASE)
	@exec $(BENCH) run $(ARGS)

bench-peers: ## Measure other libraries that keep conversations beside this one (ROUNDS)
	@$(RELEASE)
	@exec $(BENCH) peers

bench-compare: ## Name every figure of the last make bench that is over 10 % worse than the one kept in bench/baseline.json
	@$(RELEASE)
	@exec $(BENCH) compare

fuzz: ## Give what reads from outside inputs that nobody would send (DURATION s or RUNS for each target, TARGETS)
	@fuzz/run

pictures: ## Make the pictures in docs/ anew
	@$(BUILD)
	@SCREENSHOT=$(CURDIR)/docs/console.png $(LOCAL) test console::
	@RECORDING=$(CURDIR)/docs/import.svg MESSAGES=60000 $(LOCAL) test recording::

fmt: ## Format the code
	cargo fmt --all

# The templates with every function written out, which are those that are deployed.
$(TEMPLATES): $(wildcard infra/*.yaml) infra/macros.jinja infra/render.py $(INFRA)/requirements.installed
	@$(INFRA)/bin/python infra/render.py

# Python packages, pinned with all that they need. local/src/wheels.rs makes .venv-tests in the same way, where it is missing.
.venv-%/requirements.installed: %/requirements.txt
	@echo 'Installing $<, once'
	@python3 -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --disable-pip-version-check --no-deps -r $<
	@cp $< $@

# Without its advisory database, which needs git and the network: what is checked here is checked offline.
$(TOOLS)/bin/cargo-deny:
	@echo 'Building $(CARGO_DENY), once'
	@cargo install --quiet --locked --debug --no-default-features --root $(TOOLS) $(CARGO_DENY)
