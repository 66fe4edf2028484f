import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { configurationKinds } from "#pkg/convert";
import { CoreRunner } from "#pkg/core";
import { ApiError, resources } from "#pkg/k8s";
import { configMap, endpointSlice, FakeCluster, node, service } from "#pkg/k8s/testing";
import { configKey, lastGoodKey, statusConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log/testing";
import { KubernetesMetrics, Registry } from "#pkg/metrics";
import { quarantineConfigMap } from "#pkg/quarantine";
import { classlessOnly } from "#pkg/service";
import type { SpeakerEffect } from "./core/effects.ts";
import type { ClusterEvent } from "./core/events.ts";
import { speakerCore } from "./core/replay.ts";
import { createState } from "./core/state.ts";
import { SpeakerView } from "./core/view.ts";
import { NodeInformers } from "./node-informers.ts";
import { whatIsMissing } from "./routes.ts";
import { Sources, type SourcesOptions } from "./sources.ts";

const namespace = "metallb-system";
const lan = "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}]";
const elsewhere = "address-pools: [{name: lan, protocol: layer2, addresses: [198.51.100.0/28]}]";
const x = "192.0.2.1";

const web = service("web", { ingress: [x] });
const slice = endpointSlice("web", { node1: true });

/** The test says when Nodes are counted. */
class UncountedCluster extends FakeCluster {
  override count(): Promise<number | undefined> {
    return new Promise(() => {});
  }
}

const everything = ["services", "endpoints", "nodes", "config", "status", "quarantine", "members"] as const;
type Part = (typeof everything)[number];

/** The only speaker, on node1, before anything has been seen. */
class Bench {
  readonly cluster = new UncountedCluster();
  readonly wire = new Set<string>();
  readonly registry = new Registry();
  readonly occupied: Readonly<Record<string, string>>[] = []; // Contents of the ConfigMap of conflicts.
  readonly configured: string[] = []; // The addresses of the pools each time.
  membersStarted = false;
  layer2Prepared = 0;
  readonly bgp: string[] = []; // The peers of this node, and whether it is draining.
  readonly state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  readonly clock = new SimulatedClock();
  readonly runner = new CoreRunner(speakerCore, this.clock, () => 0.5);
  readonly options: SourcesOptions = {
    cluster: this.cluster,
    namespace,
    node: "node1",
    configMap: "config",
    configSource: "configmap",
    classes: classlessOnly,
    emit: (event) => {
      if (event.type === "quarantine") this.occupied.push(event.data);
      if (event.type === "config")
        this.configured.push(event.config.pools.flatMap(({ ranges }) => ranges.flatMap((range) => range.toPrefixes())).join());
      this.runner.dispatch(event);
    },
    metrics: new KubernetesMetrics(this.registry),
    clock: this.clock,
    random: () => 0.5,
    log: silentLog,
  };
  readonly sources = new Sources(this.options);
  readonly services = this.cluster.of(resources.services);
  readonly config = this.cluster.of(resources.configMaps, "config");
  readonly status = this.cluster.of(resources.configMaps, statusConfigMap);
  readonly quarantine = this.cluster.of(resources.configMaps, quarantineConfigMap);

  constructor() {
    this.runner.start(this.state, (effect) => this.#carryOut(effect));
  }

  get nodes() {
    return this.cluster.of(resources.nodes);
  }

  get endpoints() {
    return this.cluster.of(resources.endpointSlices);
  }

  /** Has seen all objects, in the order of `parts`. */
  static synced(config: string | undefined, lastGood: string | undefined, parts: readonly Part[] = everything): Bench {
    const bench = new Bench();
    bench.sources.start(resources.endpointSlices);
    bench.runner.dispatch({ type: "nodesCounted", count: 3 });
    bench.services.see(web);
    bench.endpoints.see(slice);
    if (config !== undefined) bench.config.see(configMap(`${namespace}/config`, { [configKey]: config }));
    if (lastGood !== undefined) bench.status.see(configMap(`${namespace}/${statusConfigMap}`, { [lastGoodKey]: lastGood }));
    for (const part of parts) bench.sync(part);
    return bench;
  }

  sync(part: Part): void {
    if (part === "members") {
      this.runner.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
    } else this[part].sync();
  }

  get missing(): readonly string[] {
    const { isRingSynced } = new SpeakerView(this.state);
    return whatIsMissing(this.sources, { isRingSynced, isPlaced: true }, { problem: undefined });
  }

  get onWire(): string[] {
    this.runner.dispatch({ type: "continue" });
    return [...this.wire];
  }

  #carryOut(effect: SpeakerEffect): void {
    if (effect.type === "announce") this.wire.add(effect.address.toString());
    if (effect.type === "withdraw") this.wire.delete(effect.address.toString());
    if (effect.type === "startMembers") this.membersStarted = true;
    if (effect.type === "followNodes") this.sources.followNodes(effect.names);
    if (effect.type === "startConfig") this.sources.startConfig();
    if (effect.type === "prepareLayer2") this.layer2Prepared++;
    if (effect.type === "setPeers") this.bgp.push(`${effect.peers.peers.length} ${effect.peers.isDraining}`);
  }

  /** When all has been done that takes no time. */
  async metric(name: string): Promise<number | undefined> {
    this.clock.advanceBy(0);
    return (await this.registry.getSingleMetric(`metallb_k8s_client_${name}`)?.get())?.values[0]?.value;
  }
}

for (const last of everything)
  test(`nothing is announced until the last of all has been seen: ${last}`, () => {
    const bench = Bench.synced(
      lan,
      undefined,
      everything.filter((part) => part !== last),
    );
    assert.equal(bench.missing.length, 1);
    assert.equal(bench.membersStarted, last === "members", "this node is a member as soon as it could own addresses");
    assert.deepEqual(bench.onWire, []);
    bench.sync(last);
    assert.deepEqual(bench.missing, []);
    assert.deepEqual(bench.onWire, [x]);
  });

test("layer 2 is begun as soon as a configuration with a pool of its own is read, before this node is a member", () => {
  const bench = new Bench();
  bench.sources.start(resources.endpointSlices);
  bench.config.see(configMap(`${namespace}/config`, { [configKey]: lan.replace("layer2", "bgp") }));
  assert.equal(bench.layer2Prepared, 0);
  bench.config.see(configMap(`${namespace}/config`, { [configKey]: lan }));
  assert.deepEqual([bench.layer2Prepared, bench.membersStarted], [1, false]);
});

for (const away of [false, true])
  test(`Nodes are counted before any is followed, and where that ${away ? "fails" : "tells nothing"} the core is told`, async () => {
    const cluster = new FakeCluster();
    cluster.away = away;
    const told: ClusterEvent[] = [];
    const emit = (event: ClusterEvent): void => void told.push(event);
    const informers = new NodeInformers({ cluster, node: "node1", emit, changed() {}, synced() {}, reached() {} });
    assert.deepEqual([informers.missing, informers.lostSince, informers.failure], [["Nodes"], undefined, undefined]);
    await informers.start();
    assert.deepEqual([told, cluster.informers], [[{ type: "nodesCounted", count: undefined }], []]);
    informers[Symbol.dispose]();
    await informers.start();
    assert.equal(told.length, 1);
  });

test("other Nodes are followed when the core asks for that, and nothing is missing meanwhile", () => {
  const bench = Bench.synced(lan, undefined);
  const before = bench.nodes;
  bench.state.nodes.followed.isWhole = false; // As the core does where it follows others.
  bench.sources.followNodes(["node1", "node2"]);
  assert.ok(before.disposed);
  assert.deepEqual(bench.missing, []);
  const [one, two] = ["node1", "node2"].map((name) => bench.cluster.of(resources.nodes, name));
  assert.ok(one && two);
  one.see(node("node1"));
  two.see(node("node2"));
  assert.deepEqual([...bench.state.nodes.followed.seen.keys()], ["node1", "node2"]);
  one.sync();
  assert.ok(!bench.state.nodes.followed.isWhole);
  two.sync();
  assert.ok(bench.state.nodes.followed.isWhole);
  bench.sources.followNodes("all");
  assert.ok(one.disposed && two.disposed);
});

test("endpoints of a Service are asked for once it is one of ours, and dropped while it is not", () => {
  const bench = Bench.synced(lan, undefined);
  const { scope, wanted } = bench.endpoints;
  const isWanted = (name: string) => scope.part?.isWanted(`default/${name}`);
  assert.deepEqual([isWanted("web"), isWanted("nobody")], [true, false]);
  wanted.splice(0);
  for (const other of [service("cluster", { type: "ClusterIP" }), service("foreign", { isClaimed: false })]) {
    bench.services.see(other);
    assert.equal(isWanted(other.name), false);
  }
  assert.deepEqual(wanted, []);
  bench.services.see(service("cluster"));
  assert.deepEqual([wanted, isWanted("cluster")], [["default/cluster"], true]);
  bench.services.forget("default/cluster");
  assert.equal(isWanted("cluster"), false);
});

test("before Services have been seen, endpoints of any may be of ours", () => {
  const bench = new Bench();
  bench.sources.start(resources.endpointSlices);
  assert.equal(bench.endpoints.scope.part?.isWanted("default/later"), true);
});

test("what is missing is named as people know it", () => {
  const bench = new Bench();
  bench.sources.start(resources.endpointSlices);
  assert.deepEqual(bench.missing, [
    "Services",
    "ConfigMap metallb-system/config",
    "ConfigMap metallb-system/ingot-status",
    "ConfigMap metallb-system/ingot-conflicts",
    "endpoints",
    "Nodes",
    "the other speakers",
  ]);
});

const configurations: {
  name: string;
  config?: string;
  lastGood?: string;
  onWire: string[];
  refused: RegExp | undefined;
  loaded: number;
  stale: number;
}[] = [
  { name: "a usable one", config: lan, onWire: [x], refused: undefined, loaded: 1, stale: 0 },
  { name: "none at all", onWire: [], refused: /does not exist/, loaded: 0, stale: 1 },
  { name: "one with an error", config: "address-pools: 7", onWire: [], refused: /line 1/, loaded: 0, stale: 1 },
  {
    name: "one with an error, and a last good one",
    config: "address-pools: 7",
    lastGood: lan,
    onWire: [x],
    refused: /line 1/,
    loaded: 1,
    stale: 1,
  },
  { name: "none, and a last good one", lastGood: lan, onWire: [x], refused: /does not exist/, loaded: 1, stale: 1 },
  {
    name: "one without a pool for an address in use",
    config: elsewhere,
    lastGood: lan,
    onWire: [x],
    refused: /default\/web/,
    loaded: 1,
    stale: 1,
  },
];
for (const { name, config, lastGood, onWire, refused, loaded, stale } of configurations)
  test(`the configuration at the start: ${name}`, async () => {
    const bench = Bench.synced(config, lastGood);
    assert.deepEqual(bench.onWire, onWire);
    if (refused === undefined) assert.equal(bench.sources.refused, undefined);
    else assert.match(bench.sources.refused ?? "", refused);
    assert.equal(await bench.metric("config_loaded_bool"), loaded);
    assert.equal(await bench.metric("config_stale_bool"), stale);
    assert.equal(await bench.metric("update_errors_total"), stale);
  });

test("a configuration that is deleted leaves the announcements as they are, and one that is mended is taken", async () => {
  const bench = Bench.synced(lan, lan);
  bench.config.forget("metallb-system/config");
  assert.deepEqual(bench.onWire, [x]);
  assert.equal(await bench.metric("config_stale_bool"), 1);
  bench.config.see(configMap(`${namespace}/config`, { [configKey]: `${lan} # mended` }));
  assert.equal(await bench.metric("config_stale_bool"), 0);
  assert.equal(bench.sources.refused, undefined);
});

test("a refused configuration takes effect when the Service in its way has gone", () => {
  const bench = Bench.synced(elsewhere, lan);
  assert.deepEqual(bench.configured, ["192.0.2.0/28"]);
  bench.services.see({ ...web, ingress: [] });
  assert.equal(bench.sources.refused, undefined);
  assert.deepEqual(bench.configured, ["192.0.2.0/28", "198.51.100.0/28"]);
  bench.services.see({ ...web, ingress: ["198.51.100.1"] });
  assert.deepEqual(bench.onWire, ["198.51.100.1"]);
});

test("changes of Services and endpoints reach the wire and are counted", async () => {
  const bench = Bench.synced(lan, undefined);
  const before = (await bench.metric("updates_total")) ?? 0;
  bench.endpoints.see({ ...slice, endpoints: [] });
  assert.deepEqual(bench.onWire, []);
  bench.endpoints.see(slice);
  assert.deepEqual(bench.onWire, [x]);
  bench.services.forget("default/web");
  assert.deepEqual(bench.onWire, []);
  assert.equal(await bench.metric("updates_total"), before + 3);
});

test("labels of nodes reach the wire, and a node that is deleted has none", async () => {
  const bench = Bench.synced(`${lan.slice(0, -2)}, node-selectors: [{match-labels: {rack: a}}]}]`, undefined);
  assert.deepEqual(bench.onWire, []);
  const before = (await bench.metric("updates_total")) ?? 0;
  bench.nodes.see(node("node1", { labels: { rack: "a" } }));
  assert.deepEqual(bench.onWire, [x]);
  bench.nodes.see(node("node1", { labels: { rack: "b" } }));
  assert.deepEqual(bench.onWire, []);
  bench.nodes.see(node("node1", { labels: { rack: "a" } }));
  assert.deepEqual(bench.onWire, [x]);
  bench.nodes.forget("node1");
  assert.deepEqual(bench.onWire, []);
  assert.equal(await bench.metric("updates_total"), before + 4);
});

test("it follows the API from its start to its disposal", () => {
  const bench = new Bench();
  assert.ok(bench.cluster.informers.every(({ started }) => !started));
  bench.sources.start(resources.endpointSlices);
  assert.ok(bench.cluster.informers.every(({ started, disposed }) => started && !disposed));
  bench.sources[Symbol.dispose]();
  assert.ok(bench.cluster.informers.every(({ disposed }) => disposed));
});

test("the routers' side hears of the configuration in force, and of this node alone", () => {
  const peer = "peers: [{my-asn: 1, peer-asn: 2, peer-address: 203.0.113.1}]";
  const bench = Bench.synced(`{${peer}}`, undefined);
  bench.nodes.see(node("node1", { unschedulable: true }), node("node2", { unschedulable: true }));
  bench.nodes.forget("node1");
  assert.deepEqual(bench.bgp, ["1 false", "1 true", "1 false"]);
});

test("occupied addresses are told as they are, also before anything is announced", () => {
  const bench = Bench.synced(undefined, undefined, []);
  bench.quarantine.see(configMap(`${namespace}/${quarantineConfigMap}`, { "192.0.2.1": "" }));
  bench.quarantine.forget(`${namespace}/${quarantineConfigMap}`);
  assert.deepEqual(bench.occupied, [{ "192.0.2.1": "" }, {}]);
});

test("Services that are listed again may be of before, and so may lines about them", () => {
  const bench = Bench.synced(lan, undefined);
  const { reporter } = bench.state;
  reporter.isNew = false;
  bench.services.listAgain();
  assert.ok(reporter.anewAt < Infinity);
});

test("a configuration that asks for texts of Services and labels of namespaces comes into force once these are known", () => {
  const entry =
    "{service-selectors: [{match-labels: {a: b}}], namespace-selectors: [{match-labels: {c: d}}], med-from: {annotation: m, min: 1, max: 2}}";
  const routed = `{address-pools: [{name: r, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [${entry}]}]}`;
  const kept = (bench: Bench) => {
    const metadata = { name: "s", uid: "u", resourceVersion: "1", labels: { a: "b", z: "z" }, annotations: { m: "1", z: "z" } };
    const raw = { metadata, spec: { type: "LoadBalancer" } };
    const { labels, annotations } = bench.services.resource.project(raw, {
      key: "s",
      namespace: "",
      name: "s",
      uid: "u",
      resourceVersion: "1",
    });
    return [labels, annotations];
  };
  const bench = Bench.synced(lan, undefined);
  assert.deepEqual(kept(bench), [undefined, {}]);
  assert.equal(bench.cluster.informers.filter(({ resource }) => resource.plural === "namespaces").length, 0);
  bench.status.see(configMap(`${namespace}/${statusConfigMap}`, { [lastGoodKey]: routed }));
  bench.config.see(configMap(`${namespace}/config`, { [configKey]: routed }));
  bench.clock.advanceBy(1_000);
  assert.deepEqual(kept(bench), [{ a: "b" }, { m: "1" }]);
  assert.equal(bench.services.isToList, true);
  assert.equal(bench.configured.length, 1);
  bench.services.listAgain();
  assert.equal(bench.configured.length, 1, "labels of namespaces are not known yet");
  bench.cluster.of(resources.namespaces).forbid();
  assert.deepEqual(bench.configured.slice(1), ["198.51.100.0/24"], "without the right to read them, too");
  bench.config.see(configMap(`${namespace}/config`, { [configKey]: `${routed} # the same` }));
  bench.clock.advanceBy(1_000);
  assert.equal(bench.services.isToList, false, "nothing more is asked for");
});

test("the view is as old as what has been followed for the longest time without seeing what changes", () => {
  const bench = new Bench();
  bench.runner.dispatch({ type: "nodesCounted", count: 3 });
  const lostSince = () => bench.state.apiView.lostSince;
  bench.nodes.lose(3000);
  bench.services.lose(2000);
  bench.nodes.lose(undefined);
  assert.equal(lostSince(), 2000);
  bench.services.lose(undefined);
  assert.equal(lostSince(), Infinity);
});

test("why the API does not answer is known before anything is followed, and is over then", () => {
  const bench = new Bench();
  bench.sources.startFails(new ApiError("Cannot list EndpointSlices", 0, "Unreachable", { cause: new Error("ENOTFOUND api") }));
  const { why } = bench.sources.apiProblem ?? assert.fail();
  assert.equal(why, "Cannot list EndpointSlices: ENOTFOUND api");
  bench.sources.start(resources.endpointSlices);
  assert.equal(bench.sources.apiProblem, undefined);
});

test("why custom resources are not seen is known, and why it is not known which there are", async () => {
  const { options, cluster, clock } = new Bench();
  using sources = new Sources({ ...options, configSource: "crds" });
  const why = () => sources.apiProblem?.why;
  for (const { plural, versions } of configurationKinds) cluster.served.set(plural, versions);
  cluster.away = true;
  sources.start(resources.endpointSlices);
  await setImmediate();
  assert.equal(why(), "Cannot look");
  cluster.away = false;
  clock.advanceBy(10_000);
  await setImmediate();
  assert.equal(why(), undefined);
  const peers = cluster.informers.find(({ resource }) => resource.plural === "bgppeers") ?? assert.fail();
  const failure = new ApiError("Cannot list bgppeers: 500 conversion webhook failed", 500, "InternalError");
  Object.assign(peers, { failure });
  assert.equal(why(), failure.message);
});
