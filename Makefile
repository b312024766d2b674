# Every command that a developer needs, with one line of help each: make help
.DEFAULT_GOAL := help
.PHONY: help run

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Set up and serve the API locally on private servers (PORT, LOCAL_DIR, DATABASE_URL, REDIS_URL)
	@cargo build --quiet --workspace --bins
	@exec $(or $(CARGO_TARGET_DIR),target)/debug/conversation-local run
