# make help lists what there is.
GO        ?= go
export CGO_ENABLED = 0
BIN       := bin

.PHONY: help build demo test check deps lint page unit race fuzz e2e cross cover torture bugs bench bench-peers clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## the binary, in bin/
	$(GO) build -trimpath -o $(BIN)/ ./cmd/fulmar

demo: ## a simulated rover, its ground and its page
	$(GO) run ./cmd/fulmar demo

test: ## everything; installs what it needs
	./scripts/test

check: lint ## vet, lint, quick tests
	$(GO) test ./...

deps: ## install what the tests need
	./scripts/deps

lint: ## vet and golangci-lint
	$(GO) vet ./...
	cd tools && $(GO) build -o ../$(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(BIN)/golangci-lint run ./...

page: ## build the page from its source
	cd ground/web/ui && npm ci --no-audit --no-fund && npm run build

race: ## unit and property tests under the race detector
	CGO_ENABLED=1 $(GO) test -race ./...

fuzz: ## each fuzz target for a while: make fuzz FUZZTIME=10m
	./scripts/fuzz $(or $(FUZZTIME),20s)

cover: ## coverage, with its floor
	./scripts/cover

cross: ## builds for the other systems
	./scripts/cross

torture: ## the long tests, on from where they stopped: make torture ROWS="crash world" FOR=30m
	$(GO) run ./torture $(if $(FOR),-for $(FOR)) $(ROWS)

bugs: ## plant bugs in a copy of the code: each must be caught
	$(GO) run ./torture -bugs $(BUGS)

bench: ## bytes and time per reading, beside others
	cd bench && $(GO) run .

bench-peers: build ## readings to the ground, beside others; takes ten minutes
	cd bench/peers && $(GO) build -trimpath -o ../../$(BIN)/peers/ . ./collector github.com/nats-io/nats-server/v2
	$(BIN)/peers/peers -fulmar $(BIN)/fulmar -collector $(BIN)/peers/collector -nats $(BIN)/peers/nats-server -mosquitto "$$(PATH=$$PATH:/usr/sbin command -v mosquitto)"

clean: ## remove what was built
	rm -rf $(BIN) coverage
