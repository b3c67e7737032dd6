# The interface of this repository. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help appliance stop reboot verify check lint unit fuzz test test-upstream test-upgrade test-arm64 test-stalls test-healing test-metrics chaos mutants bench bench-side-by-side dev_tools lock docs sanity doctor test-doctor test-builds sbom prebuilt soak

# make takes a space for the end of a name.
ifneq ($(words $(CURDIR)),1)
$(error This checkout lies in "$(CURDIR)", and make can't work below a folder with a space in its name: move it to one without)
endif

# Ansible passes over an ansible.cfg that anybody may write to, unless it is named.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

# Ansible refuses to run in a locale without UTF-8, or that this machine lacks, as ssh hands on from others.
ifneq ($(shell locale charmap 2>&1),UTF-8)
export LC_ALL := C.UTF-8
endif

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  := build
# The Docker engine and apt belong to root.
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env=TERM,CI,ANSIBLE_CONFIG,KVM_JANUS_REPOSITORY,KVM_USTREAMER_REPOSITORY)
# Python compiles what it loads once, also where it may not write beside the sources.
CACHE   = PYTHONPYCACHEPREFIX=$(CURDIR)/$(BUILD)/pycache PYTHONDONTWRITEBYTECODE=
PLAY    = $(SUDO) env $(CACHE) KVM_RUN_FILE=$(BUILD)/run.json $(BIN)/ansible-playbook
# A real device instead of the virtual Pi: make appliance HOST=pi@192.0.2.10. By the environment: no shell reads it.
HOST   ?=
# Some shells and compilers set one, too (tcsh, conda's).
ifeq ($(origin HOST),environment)
ifneq ($(value HOST),)
HOST_IS_MEANT = $(error HOST is "$(value HOST)" in the environment. Say whether that is your device (`make $@ HOST=$(value HOST)`), or the virtual Pi is meant (`make $@ HOST=`))
endif
endif
export HOST
FUZZ_SECONDS ?= 60
# What encodes H.264, instead of what the device has: make appliance ENCODER=software
ENCODER ?=
WITH_ENCODER = $(if $(ENCODER),-e ustreamer_h264_encoder=$(ENCODER))
# Further arguments of ansible-playbook: make appliance ARGS=--ask-become-pass
ARGS   ?=

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '  %-19s %s\n' "$$target" "$$text"; done

appliance: $(VENV)/lock | $(BUILD) ## make a virtual Pi that streams (or, with HOST=user@address, provision a real device)
	$(HOST_IS_MEANT)
	@$(SUDO) rm -f $(BUILD)/run.json $(BUILD)/picture.json $(BUILD)/setup-code
ifeq ($(HOST),)
	@$(PLAY) -i inventory/virtual.yml playbooks/appliance.yml -e verify_file=$(CURDIR)/$(BUILD)/picture.json -e setup_code_file=$(CURDIR)/$(BUILD)/setup-code -e '{"verify_stop": "make stop"}' $(WITH_ENCODER) $(ARGS)
else
	@$(PYTHON) tools/device_inventory.py > $(BUILD)/device.yml
	@$(CACHE) KVM_RUN_FILE=$(BUILD)/run.json $(BIN)/ansible-playbook -i inventory/hosts.yml -i $(BUILD)/device.yml \
	    --limit device playbooks/site.yml -e verify_file=$(CURDIR)/$(BUILD)/picture.json -e setup_code_file=$(CURDIR)/$(BUILD)/setup-code $(WITH_ENCODER) $(ARGS)
endif
	@$(BIN)/python tools/show_appliance.py $(BUILD)

stop: $(VENV)/lock | $(BUILD) ## remove the virtual Pi
	@$(PLAY) -i inventory/virtual.yml playbooks/virtual.yml -e virtual_state=absent

reboot: $(VENV)/lock | $(BUILD) ## restart the virtual Pi, as a power cycle would
	@$(PLAY) -i inventory/virtual.yml playbooks/virtual.yml -e virtual_restart=true

verify: $(VENV)/lock | $(BUILD) ## prove that video flows on the virtual Pi
	@$(PLAY) -i inventory/virtual.yml playbooks/verify.yml

doctor: $(VENV)/lock | $(BUILD) ## name the broken link of the virtual Pi (or, with HOST=user@address, of a real device)
	$(HOST_IS_MEANT)
	@$(SUDO) rm -rf $(BUILD)/doctor && mkdir $(BUILD)/doctor
ifeq ($(HOST),)
	@$(PLAY) -i inventory/virtual.yml playbooks/doctor.yml -e doctor_dir=$(CURDIR)/$(BUILD)/doctor $(ARGS)
else
	@$(PYTHON) tools/device_inventory.py > $(BUILD)/device.yml
	@$(CACHE) $(BIN)/ansible-playbook -i inventory/hosts.yml -i $(BUILD)/device.yml --limit device playbooks/doctor.yml \
	    -e doctor_dir=$(CURDIR)/$(BUILD)/doctor $(ARGS)
endif
	@PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=roles/tinypilot/files/app $(BIN)/python -m tinypilot.doctor --show $(BUILD)/doctor/*.json

sbom: $(VENV)/lock | $(BUILD) ## list what is on the virtual Pi (CycloneDX), into build/sbom-kvm-virtual-pi.json
	@$(PLAY) -i inventory/virtual.yml playbooks/sbom.yml -e sbom_dir=$(CURDIR)/$(BUILD)

prebuilt: $(VENV)/lock | $(BUILD) ## pack the builds of the virtual Pi (or, with HOST=user@address, of a real device) into build/prebuilt, for devices that are not to compile
ifeq ($(HOST),)
	@$(PLAY) -i inventory/virtual.yml playbooks/prebuilt.yml -e prebuilt_dir=$(CURDIR)/$(BUILD)/prebuilt $(ARGS)
else
	@$(PYTHON) tools/device_inventory.py > $(BUILD)/device.yml
	@$(CACHE) $(BIN)/ansible-playbook -i inventory/hosts.yml -i $(BUILD)/device.yml --limit device playbooks/prebuilt.yml \
	    -e prebuilt_dir=$(CURDIR)/$(BUILD)/prebuilt $(ARGS)
endif

check: $(VENV)/lock dev_tools ## lint and unit tests: the quick part of `make test`
	@$(MAKE) --silent --jobs=2 --output-sync=target run-lint run-pytest run-page-tests run-c-tests

check lint unit fuzz mutants test-hosts: ENGINE = -e '{"dev_tools_engine": false}'

lint: $(VENV)/lock dev_tools ## style and static checks
	@$(MAKE) --silent run-lint

unit: $(VENV)/lock dev_tools ## tests without Docker: variables, web app, page logic, C under sanitizers
	@$(MAKE) --silent --jobs=2 --output-sync=target run-pytest run-page-tests run-c-tests

# Beside each other, by `check` and `unit`, when what they need is there.
.PHONY: run-lint run-pytest run-page-tests run-c-tests
run-lint:
	@$(CACHE) tools/lint.sh

run-pytest:
	@$(CACHE) $(BIN)/pytest -q --numprocesses=auto tests/unit

run-page-tests:
	@node --test tests/page/*.test.mjs

run-c-tests: | $(BUILD)
	@$(MAKE) --silent -C roles/ustreamer/files/janus_plugin check BUILD=$(CURDIR)/$(BUILD)/janus_plugin
	@$(MAKE) --silent -C roles/emulated_hardware/files/v4l2_emulator check BUILD=$(CURDIR)/$(BUILD)/v4l2_emulator
	@$(MAKE) --silent -C roles/emulated_hardware/files/simulated_computer check BUILD=$(CURDIR)/$(BUILD)/simulated_computer

fuzz: TOOLS = tests/dev_tools_fuzz.yml
fuzz: $(VENV)/lock dev_tools | $(BUILD) ## fuzz what reads messages, settings, EDIDs, video (FUZZ_SECONDS=60 each)
	@$(MAKE) --silent -C roles/ustreamer/files/janus_plugin fuzz BUILD=$(CURDIR)/$(BUILD)/janus_plugin \
	    FUZZ_SECONDS=$(FUZZ_SECONDS) CORPUS=$(CURDIR)/tests/fuzz/corpus
	@PYTHONPATH=roles/tinypilot/files/app:tests/unit/stand_ins $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

sanity: $(VENV)/lock | $(BUILD) ## ansible-test sanity on the collection, as far as it needs no network
	@tools/sanity.sh

test: $(VENV)/lock dev_tools ## everything: check, invalid input, the whole product in a virtual Pi, browsers
	@$(SUDO) $(BIN)/python tools/run_tests.py

test-upstream: $(VENV)/lock dev_tools ## the product on upstream's newest (KVM_JANUS_REPOSITORY=, KVM_USTREAMER_REPOSITORY= name mirrors)
	@$(SUDO) tools/test_upstream.sh

# The default has the layout before roles, services and files on a device got their names of today.
FROM ?= 9fca9b1
test-upgrade: $(VENV)/lock dev_tools ## provision a virtual Pi by an older commit (FROM=), use it, and upgrade it to this one
	@# Its one fixture provisions a device three times.
	@$(SUDO) $(BIN)/pytest tests/upgrade --upgrade-from=$(FROM) --override-ini=faulthandler_timeout=5400

.PHONY: test-hosts
test-hosts: TOOLS = tests/dev_tools_hosts.yml
test-hosts: $(VENV)/lock dev_tools ## `make appliance` on bare systems: Debian 13, Debian 12, Ubuntu 24.04 (HOSTS="trixie" names some)
	@$(SUDO) $(BIN)/python tools/bare_hosts.py $(HOSTS)

test-arm64: $(VENV)/lock ## compile Janus and the plugin as a Pi does, by qemu-user (about half an hour)
	@$(SUDO) env PATH=$(CURDIR)/$(BIN):$$PATH molecule test --scenario-name arm64

test-stalls: $(VENV)/lock dev_tools ## type 1,000 keys over a line that stalls, at the virtual Pi that `make appliance` made
	@$(SUDO) $(BIN)/pytest tests/e2e/test_stalling_line.py --device=kvm-virtual-pi --stalled-keys=1000

test-healing: $(VENV)/lock dev_tools ## let each process and each thread hang that may, and take the memory of each service, on the virtual Pi that `make appliance` made
	@$(SUDO) $(BIN)/pytest tests/e2e/test_healing.py tests/e2e/test_memory.py --device=kvm-virtual-pi --each-hang

test-metrics: $(VENV)/lock dev_tools ## what the virtual Pi that `make appliance` made tells of itself: each defect of an encoder, a real Prometheus
	@$(SUDO) $(BIN)/pytest tests/e2e/test_metrics.py --device=kvm-virtual-pi --each-defect

test-builds: $(VENV)/lock dev_tools ## all that may go wrong with a build, of which `make test` tries one of each kind
	@$(SUDO) env PATH=$(CURDIR)/$(BIN):$$PATH PYTEST_ADDOPTS=--each-build molecule test --scenario-name broken_builds

test-doctor: $(VENV)/lock dev_tools ## break each link of the virtual Pi that `make appliance` made: does the doctor name it?
	@$(SUDO) $(BIN)/pytest tests/e2e/test_doctor.py --device=kvm-virtual-pi --each-fault

chaos: $(VENV)/lock dev_tools ## break the virtual Pi that `make appliance` made, again and again (SEED=1 ROUNDS=100), into docs/reliability.md
	@$(SUDO) $(BIN)/python -m tests.chaos --device kvm-virtual-pi --seed $(or $(SEED),1) --rounds $(or $(ROUNDS),100)

soak: $(VENV)/lock dev_tools ## watch the virtual Pi that `make appliance` made for HOURS=2: does anything grow? into docs/reliability.md
	@$(SUDO) $(BIN)/python -m tests.soak --device kvm-virtual-pi --hours $(or $(HOURS),2)

mutants: $(VENV)/lock dev_tools | $(BUILD) ## change the product in one place after the other: does a unit test notice? (PARTS="auth page-hid" names some)
	@$(BIN)/python -m tools.mutants $(PARTS)

bench: $(VENV)/lock dev_tools ## measure the virtual Pi that `make appliance` made, and write docs/performance.md
	@$(SUDO) $(BIN)/python -m tests.bench --device kvm-virtual-pi

bench-side-by-side: $(VENV)/lock dev_tools ## measure this project's plugin beside upstream's, into docs/performance.md
	@$(SUDO) $(BIN)/python -m tests.bench --side-by-side

# What the tests need beyond the appliance: programs and header files, with the packages they come from.
TOOLS = tests/dev_tools.yml
dev_tools: $(VENV)/lock | $(BUILD)
	@$(PLAY) playbooks/dev_tools.yml -e @$(TOOLS) $(ENGINE)

docs: $(VENV)/lock ## generate docs/variables.md
	@$(BIN)/python tools/make_variables_doc.py > docs/variables.md

# requirements.txt is the lock; a copy of it in the environment tells whether that is up to date.
$(VENV)/lock: requirements.txt
	@tools/make_venv.sh $(PYTHON) $(VENV)
	@cp requirements.txt $@

$(BUILD):
	@mkdir -p $@

lock: $(VENV)/lock ## compile requirements.txt from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml -o requirements.txt
