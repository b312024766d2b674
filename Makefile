# Every command that a developer needs: make help
.DEFAULT_GOAL := help
.PHONY: help run watch test model chaos soak dashboard contract reference fuzz pictures bench bench-peers bench-compare check check-infra clients build deploy restore upgrade destroy fmt tools

# The workspace is built as a whole: a part of it by itself has other features, and would be built again.
BUILD := cargo build --quiet --workspace --bins
# Programs that search or send load for a while are optimised.
FAST := cargo build --quiet --profile fast --workspace --bins
LOCAL := $(or $(CARGO_TARGET_DIR),target)/debug/conversation-local
CONTRACT := $(or $(CARGO_TARGET_DIR),target)/debug/contract
TOOLS := $(or $(CARGO_TARGET_DIR),target)/tools
# Built by themselves, the functions have the features that they are deployed with.
FUNCTIONS := cargo build --quiet --release -p conversation-functions --bins
# What is measured is built as it is deployed, and what searches for faults to be fast. With dev both are what the tests have built already,
# to see that they run.
PROFILE_MEASURED := release
PROFILE_SEARCHED := fast
folder = $(if $(filter dev,$(1)),debug,$(1))
SEARCHED := $(if $(filter dev,$(PROFILE_SEARCHED)),$(BUILD),$(FAST))
MEASURED := $(if $(filter dev,$(PROFILE_MEASURED)),$(BUILD),$(FUNCTIONS) && cargo build --quiet --release -p conversation-bench -p conversation-local --bins)
BENCH := $(or $(CARGO_TARGET_DIR),target)/$(call folder,$(PROFILE_MEASURED))/conversation-bench
# The tools that build, deploy and check infra/.
INFRA := .venv-infra
ON_AWS := PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(INFRA)/bin/python
SAM := PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(INFRA)/bin/sam
TEMPLATES := target/infra/template.yaml
ENV := dev
CARGO_DENY := cargo-deny@0.20.2

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

run: ## Serve the API locally on private real servers (PORT, LOCAL_DIR, DATABASE_URL, REDIS_URL)
	@$(BUILD)
	@exec $(LOCAL) run

watch: ## Serve the same through cargo lambda watch, which rebuilds a function when its code is saved
	@$(BUILD)
	@exec $(LOCAL) watch

test: ## Run all tests, or those whose names contain NAME
	@$(BUILD)
	@exec $(LOCAL) test -- $(if $(filter command,$(origin NAME)),$(NAME))

model: ## Model-check the cache protocol, then with each rule disabled (ARGS: --short, --long, --defence NAME)
	@cargo build --quiet --profile fast -p conversation-model
	@exec $(or $(CARGO_TARGET_DIR),target)/fast/conversation-model $(ARGS)

check: $(TOOLS)/bin/cargo-deny ## Check formatting, lints, documentation, licences, and the contract against routes, template and reference
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

clients: .venv-clients/requirements.installed ## Build the packages of the clients in target/clients: a wheel, a tarball, a crate
	@rm -rf target/clients && mkdir -p target/clients
	@cd clients/python && ../../.venv-clients/bin/hatchling build -t wheel -d ../../target/clients
	@cd clients/typescript && npm ci --ignore-scripts --no-audit --no-fund --silent && npm pack --silent --pack-destination ../../target/clients
	@cargo package --quiet --no-verify --allow-dirty --package conversation-client --target-dir target/clients/crate
	@mv target/clients/crate/package/*.crate target/clients && rm -r target/clients/crate

build: $(INFRA)/requirements.installed ## Build the Lambda zips for arm64 and x86_64, in target/lambda (ARCHITECTURES, ONLY)
	@PATH="$(CURDIR)/$(INFRA)/bin:$$PATH" infra/build $(ARCHITECTURES)

deploy: $(TEMPLATES) ## Build and deploy to AWS with the settings in samconfig.toml (ENV: dev, staging, prod)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/deploy.py $(ENV)

restore: $(TEMPLATES) ## Restore an environment to a point in time, as a second stack beside it (ENV, TIME or latest, INTO, DRILL=1)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/restore.py $(ENV) $(or $(TIME),$(error TIME is missing, like 2026-11-26T12:00:00Z)) $(if $(INTO),--as $(INTO)) $(if $(DRILL),--drill)

upgrade: $(TEMPLATES) ## Upgrade Postgres to another major version, after a snapshot (ENV, POSTGRES)
	@$(SAM) build --config-env $(ENV)
	@$(ON_AWS) infra/upgrade.py $(ENV) $(or $(POSTGRES),$(error POSTGRES is missing, like 18))

destroy: $(INFRA)/requirements.installed ## Delete a deployment, leaving a snapshot of Postgres (ENV)
	@$(SAM) delete --config-env $(ENV)

chaos: ## Inject faults and verify every read, a linearizability-style check (DURATION s, SEED, PROTOCOL, PROFILE)
	@$(SEARCHED)
	@exec $(or $(CARGO_TARGET_DIR),target)/$(call folder,$(PROFILE_SEARCHED))/chaos

soak: ## Run mixed traffic with faults and check for lost messages and leaks (MINUTES, RATE, SEED)
	@$(FUNCTIONS)
	@cargo build --quiet --release -p conversation-tests -p conversation-local --bins
	@exec $(or $(CARGO_TARGET_DIR),target)/release/soak

dashboard: .venv-tests/requirements.installed ## Draw the dashboard from the metrics of the last make soak, as docs/dashboard.png
	@.venv-tests/bin/python docs/dashboard.py

contract: ## Send generated requests and check every answer against infra/openapi.yaml (MAX_EXAMPLES, SEED)
	@$(BUILD)
	@exec $(CONTRACT) try

reference: ## Generate docs/api.md from infra/openapi.yaml
	@$(BUILD)
	@$(CONTRACT) reference

bench: ## Run benchmarks against baselines in the same run (ONLY, ROUNDS, SCALE messages, ARGS=--short)
	@$(MEASURED)
	@exec $(BENCH) run $(ARGS)

bench-peers: ## Run benchmarks of other libraries that store conversations (ROUNDS)
	@$(MEASURED)
	@exec $(BENCH) peers

bench-compare: ## List the figures of the last make bench that are over 10 % worse than in bench/baseline.json
	@$(MEASURED)
	@exec $(BENCH) compare

fuzz: ## Fuzz the parsers (DURATION s or RUNS for each target, TARGETS)
	@fuzz/run

pictures: ## Generate the pictures in docs/
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
	$(install)
.venv-clients/requirements.installed: clients/python/tests/requirements.txt
	$(install)
define install
@echo 'Installing $<, once'
@python3 -m venv $(@D)
@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile -r $<
@cp $< $@
endef

# Checks offline: its advisory database would need git and the network.
$(TOOLS)/bin/cargo-deny:
	@echo 'Building $(CARGO_DENY), once'
	@CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --no-default-features --root $(TOOLS) $(CARGO_DENY)
