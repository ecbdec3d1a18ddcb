# One command per task; `make` alone lists them.
# PYTEST_ARGS goes to pytest: make check PYTEST_ARGS='-k ring -x'.
# JOBS is the number of tests that run at once: JOBS=2, auto; 0 for one after the other.

SHELL := /bin/bash
VENV ?= .venv
export VENV
# Tests start hundreds of agents: without bytecode files Python would compile the sources for each.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
PYTEST = $(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)
# tests/harness/side_by_side.py defines groups and order.
PARALLEL = $(if $(JOBS),-n $(JOBS) --dist loadscope --no-loadscope-reorder)
test check: JOBS := auto

# The options of setup.py, with warnings as errors; -fsyntax-only would miss warnings that need the optimizer.
CWARN := -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers -S -o -
CROSS := aarch64-linux-gnu-gcc
LWIP := /usr/include/lwip

.PHONY: help demo demo-sim demo-qemu test check matrix lint campaign docs wheels dist clean
.PHONY: adversary soak fuzz coverage hdl formal hdl-coverage hdl-mutations synth waveform
.PHONY: bench bench-check bench-taps bench-pump-stats bench-hdl bench-litepcie bench-usp bench-sim bench-scaling

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## install what is missing, and show two computers that talk through shared memory
	@scripts/system-packages.sh run
	@scripts/venv.sh demo
	@$(BIN)/vnetcard demo

demo-sim: ## the same through the DMA engine, simulated live from its RTL
	@scripts/system-packages.sh sim
	@scripts/venv.sh sim
	@$(BIN)/vnetcard demo --sim

demo-qemu: ## the same with a card that is an ARM64 computer, emulated by QEMU, behind a PCI BAR
	@scripts/system-packages.sh qemu
	@scripts/venv.sh demo
	@$(BIN)/vnetcard demo --qemu

# A fixed seed: a result does not depend on luck.  `make hdl` and `make campaign` choose new seeds.
test: ## all tests but the campaigns; needs root for most (CI=true: a skipped test fails)
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	@$(MAKE) --no-print-directory lint
	VNETCARD_SEED=$${VNETCARD_SEED:-1} $(PYTEST) tests -m 'not campaign'

check: ## the quick tests, without root, in about 90 seconds
	@scripts/venv.sh test
	$(PYTEST) tests -m 'not root and not slow and not campaign and not e2e and not hdl'

# MATRIX_ARGS: make matrix MATRIX_ARGS='python-3.13 kernel-5.10'.
matrix: ## the quick tests on Python 3.11 to 3.14, Debian 12 and 13, guests with older kernels; prints a table
	@scripts/system-packages.sh matrix
	@scripts/venv.sh test
	@$(BIN)/python -m tests.matrix $(MATRIX_ARGS)

hdl: ## simulate the DMA engine: all of tests/hdl, or PCAP=in.pcap [PCAP_OUT=out.pcap] through it
	@scripts/system-packages.sh test
	@scripts/venv.sh test
ifdef PCAP
	@$(BIN)/python -m tests.hdl.replay "$(PCAP)" $(if $(PCAP_OUT),--out "$(PCAP_OUT)") \
		$(if $(PCAP_INTERFACE),--interface "$(PCAP_INTERFACE)")
else
	$(PYTEST) tests/hdl
endif

formal: ## prove the modules of the DMA engine, and that each proof finds planted bugs; prints a table
	@scripts/venv.sh test
	$(BIN)/python -m vnetcard.hdl.formal

hdl-coverage: ## lines and toggles of the RTL that the simulations reach, and those that they do not
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	@mkdir -p .cache
	VNETCARD_COVERAGE=.cache/hdl-coverage.txt \
		$(PYTEST) tests/hdl/test_engine.py -k 'covered or coverage'; \
	status=$$?; cat .cache/hdl-coverage.txt; exit $$status

synth: ## size and speed of the DMA engine on an ECP5, compared with the recorded ones; size on others; half an hour
	@scripts/venv.sh test
	$(BIN)/python -m vnetcard.hdl.synth
	$(BIN)/python -m vnetcard.hdl.synth --families

# BENCH_ARGS: make bench BENCH_ARGS=--quick, or --contenders and --loads; see vnetcard bench --help.
bench: ## speed beside veth, a TUN splice, DPDK, socat, OpenVPN, into benchmarks/results; hours, --quick 20 minutes
	@scripts/system-packages.sh bench
	@scripts/venv.sh demo
	$(BIN)/vnetcard bench --output benchmarks/results --label "commit $$(git describe --always --dirty)" \
		$(BENCH_ARGS)

bench-check: ## compare the speed relative to a splice and veth with benchmarks/results; ten minutes, generous bounds
	@scripts/system-packages.sh bench
	@scripts/venv.sh demo
	$(BIN)/vnetcard bench --quick --contenders vnetcard,splice,veth --check benchmarks/results/bench.json \
		$(BENCH_ARGS)

bench-taps: ## the cost of trace and capture in the pumps, without and with a reader, into benchmarks/results
	@scripts/venv.sh test
	$(BIN)/python benchmarks/taps.py --output benchmarks/results/taps.json

bench-pump-stats: ## the cost of counting and timing batches in the pumps, into benchmarks/results
	@scripts/venv.sh test
	$(BIN)/python benchmarks/pump_stats.py --output benchmarks/results/pump_stats.json

bench-hdl: ## efficiency and latency of the DMA engine between ideal memories, into benchmarks/results
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python benchmarks/mover_efficiency.py --output benchmarks/results/mover_efficiency.json

bench-litepcie: ## throughput of the DMA engine behind LitePCIe's core, simulated, into benchmarks/results
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python benchmarks/litepcie_throughput.py --output benchmarks/results/litepcie_throughput.json

bench-usp: ## throughput of the engine behind the UltraScale+ bridge and a model of PCIe, into benchmarks/results
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python benchmarks/usp_throughput.py --output benchmarks/results/usp_throughput.json

bench-sim: ## pings and TCP through the live simulation, into benchmarks/results; needs root
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python benchmarks/live_sim.py

bench-scaling: ## costs of a packet by stage, and what a model says of more cores and queues, into benchmarks/results
	@scripts/system-packages.sh bench
	@scripts/venv.sh test
	$(BIN)/python benchmarks/scaling.py

waveform: ## draw docs/images/record-crossing.svg from a new trace of the simulator
	@scripts/venv.sh test
	$(BIN)/python -m tests.sim.record_trace

hdl-mutations: ## seed bugs into the RTL, each of which the simulations must find; prints a table
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(PYTEST) tests/hdl/test_mutations.py -s

campaign: ## the long tests, with live output
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(PYTEST) tests -m campaign -s

# ADVERSARY_ARGS: make adversary ADVERSARY_ARGS='--seconds 5 --json FILE'; see --help.
adversary: ## attack a real agent in every way that a card has; log lines, carrier changes, CPU, TCP; 5 minutes, root
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python -m tests.adversary $(ADVERSARY_ARGS)

# SOAK_ARGS: make soak HOURS=0.5 SOAK_ARGS='--seed 1 --json soak.json'.
soak: ## one link under everything at once for HOURS=1, watched for leaks; a table, exit status 1 if a check failed
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	@$(BIN)/python -m tests.soak --hours $(or $(HOURS),1) $(SOAK_ARGS)

fuzz: ## search for inputs that the C core or a parser mishandles: FUZZ_SECONDS=60 for each; tests/fuzz/README.md
	@scripts/system-packages.sh test
	@scripts/venv.sh test
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/fuzz -m campaign -s

coverage: ## lines of the C core that the fuzz corpora reach, and those of the hostile paths that they do not
	@scripts/venv.sh test
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/fuzz/test_corpora.py -k reach_the_lines -s

# x86_side/ and others are vnetcard.x86_side only in an installation; mypy, which runs no import hooks,
# gets a tree of links with the same structure.
TYPES := .cache/types

lint: ## style, types, C warnings (also for ARM64), and whether generated files are up to date
	@scripts/venv.sh test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@rm -rf $(TYPES) && mkdir -p $(TYPES)/vnetcard
	@ln -s $(CURDIR)/vnetcard/* $(addprefix $(CURDIR)/,x86_side fpga_side sim firmware hdl) $(TYPES)/vnetcard/
	@ln -s $(CURDIR)/tests $(TYPES)/
	cd $(TYPES) && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache
	cd $(TYPES) && MYPYPATH=$(CURDIR)/benchmarks $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache $(CURDIR)/benchmarks/*.py
	@include=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))'); \
	for c in vnetcard/_c/*.c; do \
		(set -x; gcc -std=gnu11 $(CWARN) -isystem "$$include" $$c >/dev/null) || exit; \
	done
	@for cc in $$(type -P $(CROSS)); do for c in vnetcard/_c/vnc_*.c; do \
		(set -x; $$cc -std=gnu11 $(CWARN) $$c >/dev/null) || exit; \
	done; done
	@for cc in gcc $$(type -P $(CROSS)); do for h in vnc_ring.h vnc_finish.h; do \
		(set -x; $$cc -std=c11 -ffreestanding $(CWARN) -include vnetcard/_c/$$h \
			-x c /dev/null >/dev/null) || exit; \
	done; done
	@for cc in gcc $$(type -P $(CROSS)); do for c in firmware/vnc_side*.c; do \
		(set -x; $$cc -std=c11 -ffreestanding $(CWARN) -Ivnetcard/_c $$c >/dev/null) || exit; \
	done; done
	@if [ -e $(LWIP)/lwip/netif.h ]; then for c in firmware/vnc_lwip.c firmware/hosted/*.c; do \
		(set -x; gcc -std=gnu11 $(CWARN) $(addprefix -I,vnetcard/_c firmware firmware/hosted) \
			-isystem $(LWIP) $$c >/dev/null) || exit; \
	done; fi
	$(BIN)/python -m vnetcard.engine.layoutgen --check
	$(BIN)/python -m vnetcard.codes.table --check
	$(BIN)/python -m vnetcard.hdl.vivado --check

docs: ## build the documentation site into build/docs; warnings and broken internal links are errors
	@scripts/venv.sh test
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -c docs . build/docs
	@echo "docs: build/docs/index.html"

wheels: ## build wheels for x86-64 and ARM64 into dist/
	@scripts/system-packages.sh qemu
	@scripts/venv.sh demo
	@$(BIN)/python -m vnetcard.sim.guest.wheel --out dist

dist: wheels ## source archive, wheels, bill of materials, SHA256SUMS of a release, in dist/; see docs/release.md
	@$(BIN)/python -c 'from setuptools import build_meta; print("dist/" + build_meta.build_sdist("dist"))'
	@scripts/sbom.sh dist/sbom.cdx.json
	@cd dist && sha256sum -- *.tar.gz *.whl *.cdx.json >SHA256SUMS

clean: ## remove build results; keeps the virtual environment
	rm -rf build dist *.egg-info .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis vnetcard/_core.*.so
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
