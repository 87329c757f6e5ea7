# Each target is one command a person could type.

build: ## the program, static, into dist/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o dist/mailstead .

test: ## what a change needs before anything else
	go test ./...

check: ## all that CI checks: installs what it needs, takes a quarter of an hour
	bash .ci/run

vet: ## what the compiler does not say
	go vet ./... && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

race: ## the tests under the race detector
	CGO_ENABLED=1 go test -race -short $$(go list ./... | grep -v /powercut)

# One fuzz target: make fuzz ROOM=./message FUZZ=FuzzScan TIME=30s
ROOM ?= ./message
FUZZ ?= Fuzz
TIME ?= 30s
fuzz: ## one fuzz target for a while
	go test -run '^$$' -fuzz $(FUZZ) -fuzztime $(TIME) $(ROOM)

e2e: ## mail all the way, in a small world on loopback
	go run . demo --once

proofs: ## power cuts, kills, faults
	MAILSTEAD_PROOF_CUTS=200 MAILSTEAD_PROOF_KILLS=10 go test -count=1 -timeout 20m -v ./internal/powercut

arms: ## the demo on arm64 and armv7, under qemu-user
	bash .ci/arms

interop: ## programs of the world: swaks, Postfix, mbsync, neomutt, curl, imaplib
	bash .ci/interop

pages: ## the pages in a headless Chromium, with new pictures of them
	bash .ci/pages --keep

small-internet: ## a domain set up beside knot, unbound, Pebble and Postfix; needs root
	bash .ci/setup

bench: ## commits, syncs, deliveries
	go test -run '^$$' -bench . -benchtime 2s ./internal/sqlite ./mailbox/...

nightly: ## the long forms; keeps the result in docs/nightly.md
	bash .ci/nightly

deb: ## Debian packages for amd64, arm64, armhf, into dist/
	packaging/release deb

release: ## packages, tarballs, bill of materials, checksums, into dist/
	packaging/release

package: ## the packages in a clean Debian: install, upgrade, remove, purge
	bash .ci/package

clean:
	rm -rf dist

help: ## this list
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

.PHONY: build test check vet race fuzz e2e proofs arms interop pages small-internet bench nightly deb release package clean help
