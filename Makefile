# "make help" says what there is. Everything goes through cargo; this adds what cargo does not do.

PREFIX ?= /usr
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share
# Where systemd looks for packages' units, whatever PREFIX is.
SYSTEMDUNITDIR ?= /usr/lib/systemd/system
SYSTEMDPRESETDIR ?= /usr/lib/systemd/system-preset
UDEVRULESDIR ?= /usr/lib/udev/rules.d
# Where dracut looks for modules, and init for scripts.
DRACUTMODULESDIR ?= /usr/lib/dracut/modules.d
SYSCONFDIR ?= /etc
INITDIR ?= $(SYSCONFDIR)/init.d
DESTDIR ?=

CARGO ?= cargo
INSTALL ?= install

# Chosen inputs are the same on every run; "make test PROPTEST_RNG_SEED=N" tries others.
export PROPTEST_RNG_SEED ?= 20261123

# How long each reader is fuzzed.
FUZZ_SECONDS ?= 60

target := $(or $(CARGO_TARGET_DIR),target)
assets := $(target)/assets

# What is installed for systemd.
units = ncf-rollback.service ncf-networks.service ncf-qos.service

# All of the repository's shell scripts: those that say so in their first line.
scripts = $(shell git grep -lIE '^\#!.*[/ ](ba|da)?sh( |$$)' -- . ':!*.md' ':!tests/*/*' 2>/dev/null)
scripts += $(wildcard tests/guest/* tests/vm/* tests/vm/cases/* tests/vm/tree/usr/lib/ncf-vm/*)

.PHONY: help build assets demo test vm check fuzz bench measure-qos install uninstall clean
.DEFAULT_GOAL := help

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo 'install takes DESTDIR= PREFIX=$(PREFIX) SYSTEMDUNITDIR=$(SYSTEMDUNITDIR)'

build: ## the program, optimised: target/release/ncf
	$(CARGO) build --release --locked

assets: ## manual pages and completions: target/assets
	rm -rf $(assets)
	$(CARGO) run --quiet --locked --example assets -- $(assets)

demo: ## show it at work, in network namespaces of its own
	tests/setup demo
	$(CARGO) build --locked
	demo/run

test: ## all tests; root, for those with namespaces and virtual machines
	tests/setup test
	$(CARGO) test --locked --all-targets --no-fail-fast
	$(CARGO) test --locked --doc
	tests/setup vm || [ "$$CI" != true ]
	tests/vm/run
	@echo
	@echo "make test: all tests passed"

vm: ## the part of "test" that boots virtual machines: boot hooks and power cuts; root
	tests/setup vm
	tests/vm/run

check: ## formatting, lints, shell scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	shellcheck $(filter-out %.c tests/vm/tree tests/vm/cases,$(scripts))
	@echo "make check: nothing found"

fuzz: ## look for inputs that break the readers of files, FUZZ_SECONDS=60 each; needs cargo-fuzz
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo "make fuzz: needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2; exit 1; }
	@set -e; for reader in $$(cd fuzz && cargo fuzz list); do \
		echo "== $$reader"; \
		mkdir -p fuzz/corpus/$$reader; \
		(cd fuzz && cargo fuzz run --sanitizer none $$reader corpus/$$reader $$(ls -d seeds/$$reader 2>/dev/null) -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=512); \
	done

bench: ## measure; root, for the part about limits
	$(CARGO) bench --locked

measure-qos: ## print the table of measured limits, as in the manual; root, some fifteen minutes
	tests/setup test
	$(CARGO) test --locked --test qos_traffic -- --ignored --nocapture table

install: build assets ## install program, boot hooks, manual pages, completions, sample settings
	$(INSTALL) -D -m 755 $(target)/release/ncf $(DESTDIR)$(SBINDIR)/ncf
	ln -sf ncf $(DESTDIR)$(SBINDIR)/ncftool
	$(INSTALL) -d $(DESTDIR)$(SYSTEMDUNITDIR) $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	for unit in $(units); do \
		sed 's|/usr/sbin/ncf|$(SBINDIR)/ncf|' systemd/$$unit > $(DESTDIR)$(SYSTEMDUNITDIR)/$$unit && \
		chmod 644 $(DESTDIR)$(SYSTEMDUNITDIR)/$$unit || exit 1; \
	done
	$(INSTALL) -d $(DESTDIR)$(UDEVRULESDIR)
	sed 's|/usr/sbin/ncf|$(SBINDIR)/ncf|' systemd/90-ncf-qos.rules \
		> $(DESTDIR)$(UDEVRULESDIR)/90-ncf-qos.rules
	chmod 644 $(DESTDIR)$(UDEVRULESDIR)/90-ncf-qos.rules
	$(INSTALL) -D -m 644 systemd/50-ncf.preset $(DESTDIR)$(SYSTEMDPRESETDIR)/50-ncf.preset
	$(INSTALL) -D -m 755 -t $(DESTDIR)$(DRACUTMODULESDIR)/90ncf dracut/90ncf/*.sh
	$(INSTALL) -d $(DESTDIR)$(INITDIR)
	sed 's|/usr/sbin/ncf|$(SBINDIR)/ncf|' initscripts/ncf-transaction \
		> $(DESTDIR)$(INITDIR)/ncf-transaction
	chmod 755 $(DESTDIR)$(INITDIR)/ncf-transaction
	$(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d
	sed 's|/usr/sbin/ncf|$(SBINDIR)/ncf|' libvirt/hook-qemu \
		> $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d/50-ncf
	chmod 755 $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d/50-ncf
	$(INSTALL) -m 644 $(assets)/man5/*.5 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -m 644 $(assets)/man8/*.8 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -D -m 644 $(assets)/completions/ncf \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/ncf
	$(INSTALL) -D -m 644 $(assets)/completions/_ncf \
		$(DESTDIR)$(DATADIR)/zsh/site-functions/_ncf
	$(INSTALL) -D -m 644 $(assets)/completions/ncf.fish \
		$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/ncf.fish
	test -e $(DESTDIR)$(SYSCONFDIR)/ncf/ncf.conf || \
		$(INSTALL) -D -m 644 man/ncf.conf.sample $(DESTDIR)$(SYSCONFDIR)/ncf/ncf.conf
	@if [ -z "$(DESTDIR)" ]; then \
		echo "make install: now run: systemctl daemon-reload && systemctl enable $(units:.service=)"; \
	fi

uninstall: ## remove what install put there; settings and state stay
	@if [ -z "$(DESTDIR)" ] && [ -e /var/lib/ncf/transaction ]; then \
		echo "make uninstall: a change is open; commit it or roll it back first" >&2; exit 1; \
	fi
	@if [ -z "$(DESTDIR)" ] && command -v systemctl >/dev/null; then \
		systemctl disable $(units) || true; \
	fi
	rm -f $(DESTDIR)$(SBINDIR)/ncf $(addprefix $(DESTDIR)$(SYSTEMDUNITDIR)/,$(units))
	rm -f $(DESTDIR)$(UDEVRULESDIR)/90-ncf-qos.rules
	if [ "$$(readlink $(DESTDIR)$(SBINDIR)/ncftool)" = ncf ]; then rm -f $(DESTDIR)$(SBINDIR)/ncftool; fi
	rm -f $(DESTDIR)$(SYSTEMDPRESETDIR)/50-ncf.preset $(DESTDIR)$(INITDIR)/ncf-transaction
	rm -rf $(DESTDIR)$(DRACUTMODULESDIR)/90ncf
	rm -f $(DESTDIR)$(SYSCONFDIR)/libvirt/hooks/qemu.d/50-ncf
	rm -f $(DESTDIR)$(MANDIR)/man5/ncf.conf.5
	rm -f $(DESTDIR)$(MANDIR)/man8/ncf.8 $(DESTDIR)$(MANDIR)/man8/ncf-*.8
	rm -f $(DESTDIR)$(DATADIR)/bash-completion/completions/ncf
	rm -f $(DESTDIR)$(DATADIR)/zsh/site-functions/_ncf
	rm -f $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/ncf.fish

clean: ## remove what was built
	$(CARGO) clean
