# Every target runs with the Node that package.json pins, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help test check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules: package.json package-lock.json
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch node_modules

test: node_modules ## Run every test that needs no root
	node --test 'pkg/**/*.test.ts'

check: node_modules ## Check types, format and lint
	tsc
	biome check .

clean: ## Remove what was installed and built
	rm -rf node_modules dist .cache
