# What there is to make. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help programs demo cluster check test lint unit deny doc bench bench-baseline bench-scaling bench-issuance bench-peers bench-revocation abuse fuzz release profile packages valgrind deps clean-dev-pki

CARGO ?= cargo
# The lock file is the build that was tested.
LOCKED := --locked
# What optimised builds are laid out by: what ran how often under load. Made anew when the sources are newer.
PROFILE := $(or $(CARGO_TARGET_DIR),target)/profile/sekisho.profdata
BY_PROFILE := CARGO="$(CARGO)" scripts/with-profile.sh $(PROFILE)

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

# The demo starts the other programs, which cargo builds only for their own packages.
programs: packages
	$(CARGO) build $(LOCKED) --workspace --bins

demo: programs ## makes a development PKI, starts a demo IB application, an issuer and the gateway, shows what to try
	$(CARGO) run $(LOCKED) --quiet --package sekisho-testkit --

cluster: programs ## two issuers on one PostgreSQL, three gateways, a demo IB application: shows what to try
	$(CARGO) run $(LOCKED) --quiet --package sekisho-testkit -- --cluster

check: programs ## runs every line of the demo itself and prints what passed
	$(CARGO) run $(LOCKED) --quiet --package sekisho-testkit -- --check

test: lint unit doc deny ## format, lints, every test, licences and bans

lint: packages ## format and clippy, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

# nextest runs tests in parallel across binaries; without it the same tests run more slowly.
# Most tests wait more than they compute: two at a time for each core.
unit: packages
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run $(LOCKED) --workspace --no-fail-fast --test-threads $$(( $$(nproc) * 2 )); \
	else \
		echo "cargo-nextest is not installed: using cargo test"; \
		$(CARGO) test $(LOCKED) --workspace --no-fail-fast --lib --bins --tests; \
	fi

doc: packages ## examples in the documentation, and its links
	$(CARGO) test $(LOCKED) --workspace --doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps --document-private-items

# Licences, bans and sources need no network. cargo-deny takes minutes to build, so it is not installed unasked.
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny $(LOCKED) --offline check bans licenses sources; \
	else \
		echo "NOTE: cargo-deny is not installed: licences, bans and sources were NOT checked (make deps installs it)"; \
	fi

bench: packages valgrind ## criterion benches, and instruction counts beside what they were
	$(CARGO) bench $(LOCKED) --bench revocation --bench handshake --bench headers --bench verify --bench instructions
	$(CARGO) bench $(LOCKED) --package sekisho-issuer --bench issuer_ca --bench issuer_store

bench-baseline: packages valgrind ## takes the instruction counts of this build for what they should be
	SEKISHO_BENCH_BASELINE=1 $(CARGO) bench $(LOCKED) --bench instructions

bench-scaling: packages $(PROFILE) ## cost as certificates, lists, sites, routes and idle connections grow: benches/RESULTS.md
	SEKISHO_BENCH_RESULTS=1 $(BY_PROFILE) $(CARGO) bench $(LOCKED) --profile dist --bench scaling

bench-issuance: packages $(PROFILE) ## certificates, OCSP answers, lists, on SQLite and PostgreSQL: benches/RESULTS.md
	SEKISHO_BENCH_RESULTS=1 $(BY_PROFILE) $(CARGO) bench $(LOCKED) --package sekisho-issuer --profile dist --bench issuance

bench-peers: packages $(PROFILE) ## the gateway beside nginx and HAProxy: CPU, rate, memory, start; into benches/RESULTS.md
	$(BY_PROFILE) scripts/bench-peers.sh $(LOCKED) --profile dist

bench-revocation: packages $(PROFILE) ## time to refusal over 10,000 connections, and a list of a million swapped in under load
	$(BY_PROFILE) scripts/bench-revocation.sh $(LOCKED) --profile dist

abuse: packages ## hostile clients beside an honest one: memory, descriptors, latency; into benches/RESULTS.md
	SEKISHO_BENCH_RESULTS=1 $(CARGO) bench $(LOCKED) --bench abuse

fuzz: packages ## every parser of what a peer sends, by LLVM's fuzzer, FUZZ_SECONDS (30) each
	CARGO="$(CARGO)" scripts/fuzz.sh

release: packages $(PROFILE) ## what a bank deploys: target/dist/sekisho and sekisho-issuer
	$(BY_PROFILE) $(CARGO) build $(LOCKED) --profile dist --package sekisho --package sekisho-issuer

profile: packages $(PROFILE) ## the profile that optimised builds are laid out by, from a program that counts what it does

$(PROFILE): scripts/profile.sh Cargo.toml Cargo.lock $(shell find src crates -name '*.rs') | packages
	CARGO="$(CARGO)" scripts/profile.sh $@

deps: packages ## installs the optional tools: cargo-deny, cargo-nextest
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest

packages:
	@scripts/install-system-packages.sh

# Only the bench of instruction counts needs it.
valgrind:
	@scripts/install-system-packages.sh valgrind:valgrind

clean-dev-pki: ## removes certs/dev, if it is a development PKI
	@if [ -e certs/dev/development-pki.json ]; then rm -r certs/dev; fi
