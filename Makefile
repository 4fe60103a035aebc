# Every command a person types. `make` alone lists them.

export CARGO_TERM_COLOR ?= never
SECONDS ?= 60
INTERVAL ?= 15
PORT ?= unix
ARCH ?= x64
ARCHES ?= $(shell natmod/arch.py)

.PHONY: help demo board test test-brokers conformance check firmware bench bench-transports soak fuzz miri sizes dist install clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## run a client through a broker outage on this computer; needs python3, rustup and make only
	@examples/demo/run

board: ## run a client on an emulated Raspberry Pi Pico, through outages of its broker and its access point, for SECONDS=60
	@tests/board/run --seconds $(SECONDS)

test: ## install what the tests need and run all of them; ARGS="--only pytest -- -k name" for some
	@tests/run $(ARGS)

test-brokers: ## run the client with another broker than mosquitto (ejabberd, got without root) and with foreign clients
	@tests/ejabberd
	@tests/run --only pytest -- tests/test_brokers.py tests/test_interop.py

conformance: ## check the table of what MQTT demands and which test shows it, count it
	@tests/conformance

check: ## formatting, lints, and whether generated files are up to date
	@tests/check

firmware: ## build a MicroPython with the client in it and test it; PORT=unix, unix32, rv32imc, xtensa, xtensawin, qemu; esp8266: what it leaves of the RAM
	@SECONDS=$(SECONDS) tests/firmware $(PORT)

bench: ## measure this client beside others in the same run; ARGS="--quick" for a first look
	@tests/bench/run $(ARGS)

bench-transports: ## measure what TCP_NODELAY and the bound of what is under way do over lwIP, on slow and dead paths
	@tests/mp x64+lwip -c '' && python=$$(tests/venv) && $$python tests/bench/transports.py $(ARGS)

soak: ## keep clients busy for SECONDS=60 while their connections break, every INTERVAL=15 s
	@tests/soak/run --seconds $(SECONDS) --interval $(INTERVAL) $(ARGS)

fuzz: ## fuzz the codec, the session, TLS and the whole module, SECONDS=60 for each target
	@tests/fuzz $(SECONDS)

miri: ## run the tests of the codec, the session and the safe layer over MicroPython under Miri, and the latter over a real one under AddressSanitizer
	@tests/run --only miri

sizes: ## bytes of each native module that is built, against its budget
	@$(MAKE) --no-print-directory -C natmod sizes

dist: ## what goes on boards, in dist/VERSION, for ARCHES="..." (all there are); URL=https://... where it will be published
	@python=$$(tests/venv) && $$python tools/dist $(addprefix --url ,$(URL)) $(ARCHES)

install: ## put the client on the board on USB, or on DEVICE=/dev/ttyACM0; PACKAGE=umqtt: umqtt.simple and umqtt.robust
	@python=$$(tests/venv) && $$python tools/install $(addprefix --package ,$(PACKAGE)) $(DEVICE)

clean: ## remove all that was built or fetched
	rm -rf build dist target natmod/build
