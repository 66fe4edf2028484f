# Every target runs with the Node that package.json pins, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: churn help demo lab quick test scenarios test-computing test-waiting test-root test-nightly nightly test-arm64 images e2e simulate fuzz mutation chaos attack check build image release debian-lock docs site helm kcp clean soak soak-bfd soak-failover soak-memory bench-allocator bench-arp bench-bfd bench-bgp bench-conditions bench-controller bench-failover bench-growth bench-interface bench-ingotctl bench-memberlist bench-memory bench-nodes bench-rings bench-sizes bench-slots bench-speaker bench-speaker-api bench-stalls
.PHONY: dashboard screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# No script of any package runs; each file is checked against the lock file.
node_modules: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@ln -sf ../../controller/main.ts node_modules/.bin/ingot-controller
	@ln -sf ../../speaker/main.ts node_modules/.bin/ingot-speaker
	@ln -sf ../../ctl/main.ts node_modules/.bin/ingotctl
	@touch node_modules

demo: node_modules ## Run a cluster in a network on this machine, and show a failover (ten seconds)
	node e2e/demo/main.ts

lab: node_modules ## Run that cluster until Ctrl-C, to try things by hand; with a planted fault (SCENE=full-pool, SCENE=list names all)
	@node e2e/demo-cluster/main.ts $(if $(SCENE),--scene '$(SCENE)')

dashboard: node_modules ## Serve the dashboard of that cluster, for a browser on this machine
	@kubeconfig=$$(ls -t .cache/lab/*/kubeconfig 2>/dev/null | head -n 1); \
	[ -n "$$kubeconfig" ] || { echo "There is no cluster: run make lab in another terminal first"; exit 1; }; \
	exec node ctl/main.ts dashboard --kubeconfig "$$kubeconfig"

quick: node_modules ## Run the tests that need only a processor, with a tenth of the examples (20 to 40 s)
	@node e2e/tiers/run.ts quick

# What Node compiles is kept for the next process: it is half of the start of each.
quick test scenarios test-computing test-waiting test-root test-nightly e2e: export NODE_COMPILE_CACHE := $(CURDIR)/.cache/compiled
# Programs are started as the image has them: half of what their sources take to load.
test: node_modules ## Run the tests of everything but whole clusters, and eight of those, as any user (three to five minutes)
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts test $(TESTS)

scenarios: node_modules ## Run the other tests that need no root: clusters, rings and routers as real processes; all, or TESTS='FILE...'
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts scenarios $(TESTS)

test-computing: node_modules ## Run what of `make test` and `make scenarios` only computes, in processor time that nobody else wants
	@node e2e/tiers/run.ts computing $(TESTS)

test-waiting: node_modules ## Run the others of `make test` and `make scenarios`
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts waiting $(TESTS)

test-root: node_modules ## Run what `make test` and `make scenarios` skip for an ordinary user (needs root)
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts root $(TESTS)

test-nightly: node_modules ## Run the tests that wait for minutes, marked `// Nightly:` (needs root and what e2e needs)
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts nightly $(TESTS)

nightly: node_modules ## Run what takes real minutes, in about two hours: SHORT=1 begins each step (needs root and what e2e needs)
	@node e2e/tiers/nightly.ts

test-arm64: node_modules ## Run what depends on the processor for arm64, with the image's files (needs qemu-aarch64-static)
	node --import ./e2e/tiers/same-examples.ts --test 'e2e/arm64/**/*.test.ts'

images: node_modules ## Make what e2e loads into its nodes, once for as long as nothing of it changes (needs root)
	node e2e/cluster/ingot-image.ts
	node e2e/cluster/release-files.ts

# Kubernetes here collects garbage less often: a tenth of the tests' processor time, most of it of kubectl.
e2e: export GOGC := 400
e2e: images ## Install everything in a real Kubernetes on this machine and use it, in all tests or TESTS='FILE...' (needs root)
	@INGOT_BUNDLES=$$(node e2e/cluster/bundles.ts) node e2e/tiers/run.ts kubernetes $(TESTS)

screenshots: node_modules ## Take the pictures of docs/dashboard.md anew (needs the packages chromium and bird2)
	node e2e/dashboard/screenshots.ts

simulate: SEEDS ?= 1000
simulate: FROM ?= 1
simulate: node_modules ## Simulate clusters and sticky placement under faults, routers, what people ask for and read, drawn by seeds (SEEDS=1000 FROM=1)
	ATTACK_SEEDS=$$((($(SEEDS) + 39) / 40)) ATTACK_FROM=$(FROM) CLUSTER_SEEDS=$(SEEDS) CLUSTER_FROM=$(FROM) CENTRAL_SEEDS=$$((($(SEEDS) + 19) / 20)) CENTRAL_FROM=$(FROM) COMBINED_SEEDS=$$((($(SEEDS) + 3) / 4)) COMBINED_FROM=$(FROM) FAULT_PAIRS=$(SEEDS) FAULT_PAIRS_FROM=$(FROM) CONNECTIONS_SEEDS=$$((($(SEEDS) + 19) / 20)) CONNECTIONS_FROM=$(FROM) DELIVERY_SEEDS=$$((($(SEEDS) + 3) / 4)) DELIVERY_FROM=$(FROM) EDITED_SEEDS=$$((($(SEEDS) + 3) / 4)) EDITED_FROM=$(FROM) SLOTS_SEEDS=$$((($(SEEDS) + 19) / 20)) SLOTS_FROM=$(FROM) STICKY_SEEDS=$(SEEDS) STICKY_FROM=$(FROM) MODEL_SEEDS=$(SEEDS) MODEL_FROM=$(FROM) STORY_SEEDS=$(SEEDS) STORY_FROM=$(FROM) PATH_TEST_SEEDS=$(SEEDS) PATH_TEST_FROM=$(FROM) node --test speaker/bgp/story.test.ts speaker/connection-tester-drawn.test.ts 'e2e/simulation/*.test.ts' 'e2e/simulation/controller/*.test.ts'

fuzz: TIME ?= 60
fuzz: node_modules ## Fuzz every parser for TIME=60 seconds of processor time, or one of them (TARGET=bgp)
	TIME=$(TIME) TARGET=$(TARGET) SEED=$(SEED) KEEP=$(KEEP) node e2e/fuzz/main.ts

mutation: node_modules ## Break the source in small ways, one after another, and see that tests notice
	ONLY='$(ONLY)' node e2e/mutation/main.ts

chaos: node_modules ## Break things by SEED for MINUTES=5 on real processes, maybe BESIDE=another-commit, or on a real Kubernetes (CLUSTER=kubernetes, needs root and what e2e needs)
	CLUSTER=$(CLUSTER) SEED=$(SEED) MINUTES=$(MINUTES) BESIDE=$(BESIDE) node e2e/chaos/main.ts

attack: node_modules ## Attack speakers in a network on this machine, all SCENES or some, and print what it does (needs root)
	bundles=$$(node e2e/cluster/bundles.ts) && INGOT_BUNDLES=$$bundles node e2e/attack/main.ts $(SCENES)

check: node_modules ## Check types, format and lint
	tsc
	tsc --project ctl/dashboard/page
	biome check .

build: node_modules ## Bundle controller, speaker and ctl into dist/ingot/
	node build.ts

image: node_modules ## Write the image for amd64 and arm64 into dist/, as IMAGE=registry.example.com/ingot or localhost/ingot
	node release/image.ts

release: node_modules ## Write what is released into dist/: image, manifests, chart, ingotctl, checksums; IMAGE as above (needs kubectl)
	node release/main.ts

debian-lock: node_modules ## Take what the image has of Debian as Debian has it now (needs apt-get)
	node release/debian-lock.ts

docs: node_modules ## Write the generated parts of docs/ anew
	node docs/generate/main.ts

# Its packages are for this target alone, so they are not among those of package.json.
.cache/site/node_modules: docs/site/package.json docs/site/package-lock.json
	@mkdir -p .cache/site && cp $^ .cache/site/
	cd .cache/site && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

site: node_modules .cache/site/node_modules ## Write the pages as a static site into dist/site/, with a search; a link that leads nowhere fails
	@cp -R docs/site/.vitepress .cache/site/
	cd .cache/site && node_modules/.bin/vitepress build

kcp: node_modules ## Build the Kubernetes that e2e uses into .cache/ (needs Go and 5 GB)
	node e2e/cluster/kcp.ts

helm: node_modules ## Build the Helm that tests of the chart use into .cache/ (needs Go)
	node e2e/cluster/helm.ts

bench-allocator: node_modules ## Measure assigning and freeing addresses, beside a Map
	node e2e/bench/allocator.bench.ts

bench-arp: node_modules ## Measure answers to ARP and NDP, beside the kernel's own
	node --max-semi-space-size=2 --no-separate-gc-phases e2e/bench/layer2.bench.ts # As the manifests start the speaker.

bench-bfd: node_modules ## Measure how soon BFD finds a cut path, beside FRR (needs the package frr, and root)
	node e2e/bench/bfd.bench.ts

bench-bgp: node_modules ## Measure routes on their way to a router, beside BIRD (needs the package bird2)
	node e2e/bench/bgp.bench.ts
	node e2e/bench/paths.bench.ts

bench-sizes: node_modules .cache/site/node_modules ## Measure how a speaker's work grows with nodes, Services, endpoints, routers and pools, and draw it
	node e2e/bench/sizes.bench.ts docs/images/growth.svg

bench-slots: node_modules ## Measure how many flows move when a node dies, with next-hop slots and without
	node e2e/bench/slots.bench.ts

bench-conditions: node_modules ## Count the writes of the conditions of 10,000 Services in an hour
	node e2e/bench/conditions.bench.ts

bench-connections: node_modules ## Count connections that break when addresses move, with and without keep-connections
	node e2e/bench/handovers.bench.ts
	node e2e/bench/connections.bench.ts

bench-controller: node_modules ## Measure the controller at 10,000 Services, beside a bare client (needs root and what e2e needs)
	node e2e/bench/controller.bench.ts
	node --expose-gc --no-separate-gc-phases e2e/bench/controller-core.bench.ts

bench-failover: node_modules ## Measure failover on layer 2, and what it costs a stream of packets; by BFD, with INTERVAL=10ms, CUTS=100 times
	node e2e/bench/failover.bench.ts $(if $(INTERVAL),--interval=$(INTERVAL)) $(if $(CUTS),--cuts=$(CUTS))

bench-growth: node_modules ## Measure a speaker beside simulated members of a ring of NODES="50 500 1000 5000", beside bare hashing
	node e2e/bench/growth.bench.ts $(NODES)

bench-ingotctl: node_modules ## Measure ingotctl at 10,000 Services, beside kubectl get services (needs kubectl)
	node e2e/bench/ingotctl.bench.ts

bench-interface: node_modules ## Measure addresses in a node's kernel, and their way by OSPF (needs the package bird2)
	node e2e/bench/interface.bench.ts

bench-memberlist: node_modules ## Measure the speakers' ring, beside HashiCorp's memberlist (needs Go)
	node e2e/bench/memberlist.bench.ts

bench-memory: node_modules ## Measure memory and processor time of controller and speaker at rest, as the image runs them
	node e2e/bench/memory.bench.ts

bench-nodes: node_modules ## Measure what a speaker costs with NODES=500 nodes, and extrapolate to all of them (needs root and what e2e needs)
	node e2e/bench/nodes.bench.ts $(or $(NODES),500)

bench-pods: node_modules ## Measure what Pods that begin and end on a node cost its speaker, beside PODS="10 250" others
	node e2e/bench/pods.bench.ts $(PODS)

bench-rings: node_modules ## Simulate rings of NODES="50 200 1000" members with losses, deaths and a cut, at PACE=fast or lan, or both
	node --max-old-space-size=12000 e2e/bench/rings.bench.ts $(or $(PACE),both) $(NODES)

bench-speaker: node_modules ## Measure placement at 10,000 Services and 50 nodes, beside bare hashing, and turns of a central speaker, and of one with 250 routers
	node e2e/bench/speaker.bench.ts
	node e2e/bench/central.bench.ts
	node --expose-gc --no-separate-gc-phases e2e/bench/routers.bench.ts

bench-speaker-api: node_modules ## Measure what a speaker costs the API server (needs root and what e2e needs)
	node e2e/bench/speaker-api.bench.ts

bench-stalls: node_modules ## Measure how long the main thread is busy at a stretch under floods (needs the package bird2)
	node e2e/bench/stalls.bench.ts

churn: node_modules ## Delete and make 10,000 Services for MINUTES=8, and see that nothing grows (needs the package bird2)
	node e2e/bench/churn.ts --minutes=$(or $(MINUTES),8)

soak-bfd: node_modules ## Keep 100 BFD sessions for MINUTES=10 beside a busy main thread
	node e2e/bfd/soak.ts --minutes=$(or $(MINUTES),10)

soak-memory: node_modules ## See that the memory of a speaker with BFD and of a controller comes to rest in MINUTES=100 (needs the package bird2)
	bundles=$$(node e2e/cluster/bundles.ts) && INGOT_BUNDLES=$$bundles node e2e/bench/memory-soak.ts --minutes=$(or $(MINUTES),100)

soak-failover: node_modules ## Count nodes that BFD between speakers takes for gone in MINUTES=60 although they live, beside BUSY=0 processes that never rest
	node e2e/bench/failover-soak.ts --minutes=$(or $(MINUTES),60) --busy=$(or $(BUSY),0)

soak: node_modules ## Run the speakers' ring for MINUTES=20 under loss and stalls
	node e2e/memberlist/soak.ts --minutes=$(or $(MINUTES),20)

clean: ## Remove what was installed and built
	rm -rf node_modules dist .cache
