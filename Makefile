# onoma: everything a newcomer and the continuous integration need.
# `make` alone lists the targets.

SHELL       := /bin/bash
GO          ?= go
FUZZTIME    ?= 10m
LAB_DIR     ?= .lab
SOAK        ?= 30m
STATICCHECK := $(GO) tool -modfile=tools/go.mod staticcheck
# Invariants are checked in every test run and are free in a release build.
TAGS        := invariants

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Build, start the lab (the global DNS on this machine) and leave it running
	@scripts/lab up $(LAB_DIR)

.PHONY: down
down: ## Stop the lab that `make up` started
	@scripts/lab down $(LAB_DIR)

.PHONY: lab-shell
lab-shell: build ## Open a shell in which every program resolves names in a lab of its own, on port 53
	@scripts/lab-shell

.PHONY: build
build: ## Build bin/onoma, one static binary, and bin/onoma-pkcs11 (keys in tokens) where a C compiler is
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/onoma ./cmd/onoma
	@if command -v "$$($(GO) env CC)" >/dev/null; then CGO_ENABLED=1 $(GO) build -trimpath -o bin/onoma-pkcs11 ./cmd/onoma-pkcs11; \
	  else echo 'no C compiler: bin/onoma-pkcs11 is left out'; fi

.PHONY: test
test: ## Install what the tests need where that is allowed, then run all tests
	scripts/test-deps
	$(GO) test -tags $(TAGS) -timeout 30m ./...

.PHONY: ci
ci: lint tidy-check portable test ## All checks, then all tests: what the continuous integration runs

.PHONY: lint
lint: ## Check the format, go vet, staticcheck
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then \
	  printf 'not gofmt-ed (run make fmt):\n%s\n' "$$unformatted"; exit 1; fi
	$(GO) vet -tags $(TAGS) ./...
	$(STATICCHECK) -tags $(TAGS) ./...

.PHONY: tidy-check
tidy-check:
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff

# The server is for Linux, but people develop elsewhere: the plain fallbacks must type-check there.
.PHONY: portable
portable:
	GOOS=darwin CGO_ENABLED=0 $(GO) vet ./...

.PHONY: fmt
fmt: ## Format all Go files
	gofmt -w .

.PHONY: fuzz
fuzz: ## Fuzz every parser, sharing FUZZTIME (10m) among all Fuzz targets
	GO="$(GO)" TAGS=$(TAGS) scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## Measure onoma beside other servers, write docs/performance.md (NEWEST=DIR: Debian's newest, see scripts/peers-newest)
	scripts/test-deps
	$(GO) run ./bench -out docs/performance.md -json docs/performance.json $(if $(NEWEST),-newest $(NEWEST)) $(BENCHFLAGS)

.PHONY: differential
differential: ## Ask onoma and other resolvers 20,000 names of a generated internet, as root; write docs/differential.md
	scripts/test-deps
	ONOMA_INTERNET_ZONES=5000 ONOMA_INTERNET_NAMES=20000 ONOMA_INTERNET_REPORT=$(CURDIR)/docs/differential.md $(GO) test -count=1 -v -timeout 60m -run TestDifferential ./test/internet

.PHONY: cold
cold: ## Measure resolvers on 20,000 names that they have never met, servers 20 ms away, as root
	scripts/test-deps
	ONOMA_INTERNET_COLD=20000 $(GO) test -count=1 -v -timeout 60m -run TestCold ./test/internet

.PHONY: rpz
rpz: build ## Load a policy zone of 2,000,000 rules into resolvers that answer a client meanwhile
	ONOMA_RPZ_RULES=2000000 ONOMA_BINARY=$(CURDIR)/bin/onoma $(GO) test -count=1 -v -timeout 30m -run TestLoad ./test/policies

.PHONY: flood
flood: ## Flood the server in network namespaces, as root; write the table of docs/floods.md
	ONOMA_FLOOD_SECONDS=10 ONOMA_FLOOD_REPORT=docs/floods.md $(GO) test -count=1 -v -timeout 20m ./test/flood

.PHONY: attack
attack: ## Attack a resolver in every published way and hold it to ceilings; write the table of docs/attacks.md
	ONOMA_ATTACK_REPORT=docs/attacks.md $(GO) test -tags $(TAGS) -count=1 -v -timeout 20m ./test/attack

.PHONY: soak
soak: ## Half an hour of mixed load on a resolver in an internet with losses and outages; write docs/soak.md (SOAK=30m)
	ONOMA_SOAK=$(SOAK) ONOMA_SOAK_REPORT=docs/soak.md $(GO) test -count=1 -v -timeout 300m ./test/soak

.PHONY: crash
crash: ## Kill onoma 300 times in the middle of changes, and hold it to what it acknowledged
	ONOMA_CRASHES=300 $(GO) test -count=1 -v -timeout 30m -run TestKill ./test/crash

.PHONY: nodes
nodes: ## Kill one of two nodes that share a PostgreSQL, 100 times
	ONOMA_NODES=100 $(GO) test -count=1 -v -timeout 30m -run TestTwoNodes ./test/nodes

.PHONY: mixed
mixed: ## Change zones 1000 times through all doors, with NSD, Knot, BIND and PowerDNS on both sides and restarts in between
	ONOMA_MIXED=1000 $(GO) test -tags $(TAGS) -count=1 -v -timeout 20m -run TestMixedDoors ./test/mixed

.PHONY: year
year: ## A year of a signed zone in fast motion: every rollover, every algorithm, judged hour by hour
	ONOMA_YEAR=1 $(GO) test -tags $(TAGS) -count=1 -v -timeout 20m ./test/year

.PHONY: scale
scale: ## Follow a catalog of 100,000 zones through the life of a server (as root with a cold disk)
	ONOMA_SCALE=100000 $(GO) test -count=1 -v -timeout 20m -run TestManyMembers ./test/scale

.PHONY: bench-xdp
bench-xdp: build ## Measure AF_XDP beside sockets and Knot on a veth pair, as root (NEWEST=DIR as for bench)
	scripts/test-deps
	$(GO) run ./bench/xdp $(if $(NEWEST),-newest $(NEWEST)) $(BENCHFLAGS)

.PHONY: bench-resolver
bench-resolver: build ## Measure the resolver's cache beside Unbound, PowerDNS Recursor and Knot Resolver, write docs/performance.md
	scripts/test-deps
	$(GO) run ./bench/resolver -out docs/performance.md $(BENCHFLAGS)

.PHONY: bench-sign
bench-sign: build ## Measure signing beside Knot's, BIND's and ldns's programs, and changes of a signed TLD (NEWEST=DIR as for bench)
	scripts/test-deps
	$(GO) run ./bench/signing -out docs/performance.md -json docs/performance.json $(if $(NEWEST),-newest $(NEWEST)) $(BENCHFLAGS)
