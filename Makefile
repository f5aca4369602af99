# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make          builds into build/
#   make check    installs what is needed, builds, runs all tests
#   make demo     installs what is needed, builds, moves jobs about a Grid Engine cell
#   make install  DESTDIR=..., PREFIX=/usr/local
#   make campaign saves and restarts real programs, by hand: tests/campaign/campaign.py
#   make bench    measures pauses, checkpoints and restarts
#   make format   lays the C out as the style check wants it

PREFIX ?= /usr/local
BUILD ?= build

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/deps build
	meson setup --prefix=$(PREFIX) $(BUILD)

check:
	scripts/check

demo:
	scripts/deps demo
	$(MAKE) all
	scripts/demo

campaign: all
	tests/campaign/campaign.py

install: all
	meson configure --prefix=$(PREFIX) $(BUILD)
	meson install -C $(BUILD) $(if $(DESTDIR),--destdir=$(abspath $(DESTDIR)))

bench: all
	scripts/bench

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD) $(BUILD)-*

.PHONY: all check demo campaign install bench format clean
