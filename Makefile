# Needs Go and make. What else is missing is installed or named when it is needed.

GO             ?= go
GOLANGCI_LINT  := .bin/golangci-lint-v2.15.0
REDOCLY        := 2.77.0
PACKAGES       ?= ./...
TESTFLAGS      ?=
ARGS           ?=
SOAK           ?= 10m
FUZZ           ?= 30s

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null)

BUILD   := github.com/txn-service/txn/pkg/build
LDFLAGS := -s -w -X $(BUILD).version=$(VERSION) -X $(BUILD).commit=$(COMMIT) -X $(BUILD).date=$(DATE)

# The race detector needs cgo and a C compiler.
RACE := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

.DEFAULT_GOAL := help
.PHONY: help build image run test fuzz soak lint generate schema bench clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build static binaries into bin/
	@echo "building bin/api, bin/dispatcher and bin/txnctl …" >&2
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

image: ## Build the container image txn:VERSION (needs Docker)
	docker build --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' --build-arg DATE='$(DATE)' -t 'txn:$(VERSION)' .

run: build ## Build, then run everything on this machine until Ctrl-C (ARGS=--help shows the flags)
	@bin/txnctl dev $(ARGS)

test: ## Run all tests against a private PostgreSQL and Redis (PACKAGES=./pkg/ledger TESTFLAGS=-v)
ifeq ($(RACE),)
	@echo "no C compiler found: testing WITHOUT the race detector (install gcc or clang to have it)" >&2
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -shuffle=on -timeout=15m $(TESTFLAGS) $(PACKAGES)
else
	CGO_ENABLED=1 $(GO) run ./pkg/devstack/testrun -- $(GO) test -race -shuffle=on -timeout=15m $(TESTFLAGS) $(PACKAGES)
endif
# Modules of their own. They read files outside of them, which the test cache would not notice: -count=1. Nothing in them
# runs at once, and they take long to compile: no race detector.
ifeq ($(PACKAGES),./...)
	cd helm && CGO_ENABLED=0 $(GO) test -count=1 -shuffle=on $(TESTFLAGS) ./...
	cd pkg/client/internal/gen && CGO_ENABLED=0 $(GO) test -count=1 $(TESTFLAGS) ./...
endif

# One target at a time, which is all that go test can. What fails is kept in testdata/fuzz: commit it.
fuzz: ## Look for input that nobody thought of (FUZZ=30s for each target)
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z]*' pkg | sed 's/:func / /' | sort | while read -r file target; do \
		echo "$$target …" >&2; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ) "./$$(dirname "$$file")" || exit 1; \
	done

soak: ## Look for what only time finds: random histories, abuse, faults, plans on a million rows (SOAK=10m)
	$(GO) run ./pkg/devstack/testrun -- $(GO) test $(RACE) -timeout=0 -count=1 -v -run TestLinearizable ./cmd/api -soak $(SOAK)
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -timeout=0 -count=1 -v -parallel 1 -run TestAbuse ./cmd/api -soak $(SOAK)
	$(GO) run ./pkg/devstack/testrun -- $(GO) test $(RACE) -timeout=0 -count=1 -v -parallel 1 ./cmd/dispatcher -soak $(SOAK)
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -timeout=30m -count=1 -v -run TestListsWalkTheirIndexes ./pkg/ledger -plan-rows 1000000
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -timeout=30m -count=1 -v -run TestPlansOfReplays ./pkg/outbox -replay-rows 1000000
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -timeout=30m -count=1 -run TestPlansStayOnTheirIndexes ./pkg/outbox -plan-rows 1000000

schema: ## Write docs/schema.md again, after a migration
	$(GO) run ./pkg/devstack/testrun -- $(GO) test -count=1 -run TestSchemaPageIsCurrent ./docs -update

lint: $(GOLANGCI_LINT) ## Check formatting, style and import rules
	@unformatted=$$(gofmt -l bench cmd docs helm migrations pkg 2>/dev/null); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GOLANGCI_LINT) run $(PACKAGES)
	cd bench && GOFLAGS=-mod=mod ../$(GOLANGCI_LINT) run ./...
	cd helm && CGO_ENABLED=0 ../$(GOLANGCI_LINT) run ./...
	cd pkg/client/internal/gen && CGO_ENABLED=0 '$(CURDIR)/$(GOLANGCI_LINT)' run ./...
# Needs Node.js, as nothing else here does: without it the tests alone hold the OpenAPI document to its form.
	@if [ -x .bin/redocly-$(REDOCLY)/node_modules/.bin/redocly ] || \
		npm install --silent --engine-strict --prefix .bin/redocly-$(REDOCLY) @redocly/cli@$(REDOCLY) >/dev/null 2>&1; then \
		REDOCLY_SUPPRESS_UPDATE_NOTICE=true .bin/redocly-$(REDOCLY)/node_modules/.bin/redocly lint txn; \
	else \
		echo "@redocly/cli could not be installed (it needs npm and Node.js 20.19 or newer): openapi.yaml is NOT linted" >&2; \
	fi

generate: ## Write the generated part of the Go client anew, after a change of openapi.yaml
	$(GO) generate ./pkg/client

# A module of its own, whose go.mod follows this one's: -mod=mod.
bench: ## Measure throughput beside the yardsticks (ARGS=-list shows the scenarios)
	@cd bench && $(GO) run -mod=mod . $(ARGS)

clean: ## Remove what the other targets made
	rm -rf bin .bin coverage.out

# One file per version: a new version is a new target.
$(GOLANGCI_LINT):
	@mkdir -p .bin
	GOBIN='$(CURDIR)/.bin' GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(patsubst .bin/golangci-lint-%,%,$@)
	@mv .bin/golangci-lint $@
