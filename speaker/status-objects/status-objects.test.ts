import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import type { Pool } from "#pkg/config";
import { ApiError, type CustomResource, type ObjectMeta, type Resource } from "#pkg/k8s";
import { FakeInformer, LogLines } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import type { AddressPlacement } from "#pkg/placement";
import { labelValue } from "#pkg/status-objects";
import { type Verdict, verdict } from "#pkg/verdict";
import { StatusObjects, type StatusObjectsOptions } from "./status-objects.ts";

interface Stored {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly name: string }[];
  };
  readonly status?: Readonly<Record<string, unknown>>;
}
type Metadata = Omit<Stored["metadata"], "uid" | "resourceVersion">;

/** The part of the API that has status objects, for several speakers. */
class Api {
  readonly stored = new Map<string, Stored>(); // plural and name -> object
  /** Such as `apply bgpsessionstates`. */
  readonly requests: string[] = [];
  refuse: ((request: string, status: object | undefined, before: Stored | undefined) => ApiError | undefined) | undefined;
  /** Kinds without a definition. */
  readonly missing = new Set<string>();
  /** Fields of a status that the definition does not have. */
  readonly unknown = new Set<string>();
  #version = 0;
  #delivered = -1;
  readonly #informers: FakeInformer<ObjectMeta>[] = [];

  informer: StatusObjectsOptions["cluster"]["informer"] = (resource, scope, handlers) => {
    const informer = new FakeInformer(resource, scope, handlers);
    this.#informers.push(informer as unknown as FakeInformer<ObjectMeta>);
    return informer;
  };

  async applyObject({ plural }: CustomResource, metadata: Metadata, status?: object): Promise<void> {
    const key = `${plural} ${metadata.name}`;
    const before = this.stored.get(key);
    this.#asked(status === undefined ? `apply ${plural}` : `status ${plural}`, status, before);
    if (status !== undefined && before === undefined) throw new ApiError("Cannot write", 404, "NotFound");
    const known = Object.entries(status ?? {}).filter(([name]) => !this.unknown.has(name));
    const kept = Object.fromEntries(known);
    // As the API server does: what changes nothing makes no version.
    if (status !== undefined && isDeepStrictEqual(before?.status, kept)) return;
    const version = { uid: before?.metadata.uid ?? key, resourceVersion: `${++this.#version}` };
    const next = status === undefined ? { ...before, metadata: { ...metadata, ...version } } : { ...before, status: kept };
    this.stored.set(key, { ...next, metadata: { ...before?.metadata, ...next.metadata, ...version } } as Stored);
  }

  async deleteObject({ plural }: CustomResource, { name, resourceVersion }: { name: string; resourceVersion?: string }) {
    const key = `${plural} ${name}`;
    this.#asked(`delete ${plural}`, undefined, undefined);
    if (resourceVersion === undefined || this.stored.get(key)?.metadata.resourceVersion === resourceVersion) this.remove(key);
  }

  remove(key: string): void {
    this.#version++;
    this.stored.delete(key);
  }

  async deleteObjects({ plural }: CustomResource, _namespace: string, selector: string): Promise<void> {
    this.#asked(`delete all ${plural}`, undefined, undefined);
    for (const [key, object] of this.#of(plural)) if (isSelected(object, selector)) this.remove(key);
  }

  deliver(): void {
    if (this.#delivered === this.#version + this.#informers.length) return;
    this.#delivered = this.#version + this.#informers.length;
    for (const informer of this.#informers) {
      const { resource, scope, started, disposed, synced } = informer;
      if (!started || disposed || this.missing.has(resource.plural)) continue;
      const current = this.#of(resource.plural).filter(([, object]) => isSelected(object, scope.labelSelector ?? ""));
      const seen = new Map(current.map(([, object]) => [`${object.metadata.namespace}/${object.metadata.name}`, object]));
      for (const { key } of [...informer.values()]) if (!seen.has(key)) informer.forget(key);
      for (const [key, object] of seen) {
        if (informer.get(key)?.resourceVersion === object.metadata.resourceVersion) continue;
        const { metadata } = object;
        informer.see((resource as Resource<ObjectMeta>).project(object as never, { ...metadata, key }));
      }
      if (!synced) informer.sync();
    }
  }

  /** All objects of a kind, such as `web n1` for the Service and the node. */
  statuses(plural: string): Record<string, unknown>[] {
    return this.#of(plural).map(([, { status = {} }]) => status);
  }

  #of(plural: string): [string, Stored][] {
    return [...this.stored].filter(([key]) => key.startsWith(`${plural} `));
  }

  #asked(request: string, status: object | undefined, before: Stored | undefined): void {
    this.requests.push(request);
    const error = this.refuse?.(request, status, before);
    if (error !== undefined) throw error;
  }
}

function isSelected({ metadata }: Stored, selector: string): boolean {
  const [label = "", value] = selector.split("=");
  return metadata.labels?.[label] === value;
}

const noVerdicts = { verdicts: new Map(), candidates: [], contenders: [] };

function owned(ip: string): AddressPlacement {
  const at = address(ip);
  return { ...noVerdicts, address: at, electionAddress: at, isOwned: true, owner: "n", pool: "lan", protocol: "layer2" };
}

function routed(ip: string, ...peers: string[]): AddressPlacement {
  const via = { peers: { IPv4: peers, IPv6: [] } };
  const routes = [{ prefix: { family: "IPv4" }, via }];
  return { ...owned(ip), isOwned: false, protocol: "bgp", routes } as unknown as AddressPlacement;
}

/** A speaker with what it announces. */
class Speaker {
  readonly announced = new Map<string, readonly AddressPlacement[]>(); // Service -> where
  readonly peers: {
    key: string;
    name: string | undefined;
    states: { router: ReturnType<typeof address> | string; state: string; path?: "up" | "failed" };
  }[] = [];
  readonly log = new LogLines();
  members: readonly string[] | undefined;
  interfaces: readonly string[] = ["eth*"]; // Of the pool.
  configuration: Verdict = verdict("configuration", "inForce");
  readonly objects: StatusObjects;

  constructor(world: World, node: string, pod = `speaker-${node}`) {
    const self = this;
    const view = {
      get announcements() {
        return self.announced as ReadonlyMap<string, unknown> as ReadonlyMap<string, never>;
      },
      announcedPlacements: (service: string) => this.announced.get(service) ?? [],
      poolOf: () => ({ interfaces: self.interfaces }) as unknown as Pool,
      namesHere: (names: readonly string[]) => names.map((name) => (name === "can_reach:203.0.113.9" ? "wlan0" : name)),
      reachability: {
        answers: true,
        hasKernelAccess: true,
        interfaces: new Map([
          ["eth1", []],
          ["wlan0", []],
          ["can_reach:203.0.113.9", []],
        ]),
      },
      get reportedNodes() {
        return self.members;
      },
    };
    const sources = {
      get configuration() {
        return { verdict: self.configuration, since: 0, inForce: undefined, inForceSince: undefined, seen: undefined };
      },
    };
    this.objects = new StatusObjects({
      cluster: world.api,
      namespace: "metallb-system",
      owner: { name: pod, uid: `uid of ${pod}` },
      node,
      view,
      bgp: { peers: this.peers as never },
      sources,
      clock: world.clock,
      random: seededRandom(7),
      log: this.log,
    });
    this.objects.start();
  }
}

class World {
  readonly api = new Api();
  readonly clock = new SimulatedClock();

  /** @returns the requests of that time */
  async pass(seconds: number): Promise<string[]> {
    this.api.requests.length = 0;
    for (let i = 0; i < seconds; i++) {
      this.api.deliver();
      this.clock.advanceBy(1_000);
      for (let turn = 0; turn < 5; turn++) await setImmediate();
    }
    return this.api.requests.slice();
  }
}

const layer2 = "servicel2statuses";

test("a node says which Services it owns, which peers it tells and how its sessions are, as MetalLB does, and nothing twice", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  speaker.announced.set("shop/web", [owned("192.0.2.1")]);
  speaker.announced.set("shop/far", [routed("198.51.100.1", "10.0.0.1:179", "10.0.0.2:179")]);
  speaker.peers.push({
    key: "10.0.0.1:179",
    name: "tor",
    states: { router: address("10.0.0.1"), state: "established", path: "up" },
  });
  speaker.peers.push({ key: "[fd00::1]:179", name: undefined, states: { router: address("fd00::1"), state: "openSent" } });
  await world.pass(30);
  const of = { node: "n1", serviceNamespace: "shop" };
  assert.deepEqual(world.api.statuses(layer2), [{ ...of, serviceName: "web", interfaces: [{ name: "eth1" }] }]);
  assert.deepEqual(world.api.statuses("servicebgpstatuses"), [{ ...of, serviceName: "far", peers: ["10.0.0.2:179", "tor"] }]);
  const sessions = world.api.statuses("bgpsessionstates").sort((a, b) => (`${a.peer}` < `${b.peer}` ? -1 : 1));
  assert.deepEqual(sessions, [
    { node: "n1", peer: "10.0.0.1", vrf: "", bgpStatus: "Established", bfdStatus: "up" },
    { node: "n1", peer: "fd00-0000-0000-0000-0000-0000-0000-0001", vrf: "", bgpStatus: "OpenSent", bfdStatus: "N/A" },
  ]);
  const [{ result, conditions } = {}] = world.api.statuses("configurationstates");
  assert.deepEqual([result, (conditions as { status: string }[])[0]?.status], ["Valid", "True"]);
  const [[, object] = assert.fail()] = [...world.api.stored].filter(([key]) => key.startsWith(layer2));
  assert.deepEqual(object.metadata.labels, {
    "metallb.io/node": "n1",
    "metallb.io/service-name": "web",
    "metallb.io/service-namespace": "shop",
  });
  assert.equal(object.metadata.annotations?.["ingot.dev/address"], "192.0.2.1");
  assert.deepEqual(object.metadata.ownerReferences, [
    { apiVersion: "v1", kind: "Pod", name: "speaker-n1", uid: "uid of speaker-n1" },
  ]);
  assert.deepEqual(await world.pass(600), []);
});

test("an interface that the pool names by what it leads to has the name that this node knows", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  speaker.interfaces = ["can_reach:203.0.113.9"];
  speaker.announced.set("shop/web", [owned("192.0.2.1")]);
  await world.pass(30);
  assert.deepEqual(
    world.api.statuses(layer2).map(({ interfaces }) => interfaces),
    [[{ name: "wlan0" }]],
  );
});

test("a refused configuration is named, and terminals are safe from it", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  await world.pass(30);
  speaker.configuration = verdict("configuration", "invalid", {
    state: "Degraded",
    message: `line 1: \u001b[31m${"x".repeat(5_000)}`,
  });
  assert.deepEqual(await world.pass(30), ["status configurationstates"]);
  const [{ result, errorSummary, conditions } = {}] = world.api.statuses("configurationstates");
  assert.equal(result, "Invalid");
  const [{ lastTransitionTime, ...condition } = { lastTransitionTime: "" }] = conditions as { lastTransitionTime: string }[];
  const found = { type: "configReconcilerValid", status: "False", reason: "ConfigurationError", message: errorSummary };
  assert.deepEqual(condition, found);
  assert.match(lastTransitionTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.ok(`${errorSummary}`.length <= 1_100 && !`${errorSummary}`.includes("\u001b"), `${errorSummary}`);
});

for (const isImmutable of [false, true])
  test(`after a failover the one object of the address names the new owner${isImmutable ? ", also where no status may name another node" : ""}`, async () => {
    const world = new World();
    const [n1, n2] = [new Speaker(world, "n1"), new Speaker(world, "n2")];
    if (isImmutable)
      world.api.refuse = (_, status, before) =>
        status !== undefined && before?.status !== undefined && before.status.node !== (status as Stored["status"])?.node
          ? new ApiError("Value is immutable", 422, "Invalid")
          : undefined;
    n1.announced.set("shop/web", [owned("192.0.2.1"), owned("2001:db8::1")]);
    await world.pass(30);
    assert.deepEqual(
      world.api.statuses(layer2).map(({ node }) => node),
      ["n1", "n1"],
    );
    // n1 is silent: its process is gone, and its objects are not.
    n1.objects[Symbol.dispose]();
    n2.announced.set("shop/web", [owned("192.0.2.1"), owned("2001:db8::1")]);
    await world.pass(30);
    assert.deepEqual(
      world.api.statuses(layer2).map(({ node }) => node),
      ["n2", "n2"],
    );
    assert.deepEqual(n2.log.lines, []);
    assert.deepEqual(await world.pass(60), []);
  });

test("an owner that gives an address up deletes its object, and never that of the next owner", async () => {
  const world = new World();
  const [n1, n2] = [new Speaker(world, "n1"), new Speaker(world, "n2")];
  n1.announced.set("shop/web", [owned("192.0.2.1")]);
  n1.announced.set("shop/gone", [owned("192.0.2.2")]);
  await world.pass(30);
  n1.announced.clear();
  n2.announced.set("shop/web", [owned("192.0.2.1")]);
  await world.pass(30);
  assert.deepEqual(
    world.api.statuses(layer2).map(({ node, serviceName }) => `${serviceName} ${node}`),
    ["web n2"],
  );
  assert.deepEqual(await world.pass(60), []);
});

test("a process that starts again deletes what its Service or peer left, and its Pod's successor takes the rest over", async () => {
  const world = new World();
  const before = new Speaker(world, "n1");
  for (const name of ["stays", "goes"])
    before.announced.set(`shop/${name}`, [owned(name === "stays" ? "192.0.2.1" : "192.0.2.2")]);
  before.peers.push({ key: "10.0.0.1:179", name: undefined, states: { router: address("10.0.0.1"), state: "idle" } });
  await world.pass(30);
  before.objects[Symbol.dispose]();
  const after = new Speaker(world, "n1", "speaker-next");
  after.announced.set("shop/stays", [owned("192.0.2.1")]);
  await world.pass(30);
  assert.deepEqual(
    world.api.statuses(layer2).map(({ serviceName }) => serviceName),
    ["stays"],
  );
  assert.deepEqual(world.api.statuses("bgpsessionstates"), []);
  const owners = [...world.api.stored.values()].flatMap(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name));
  assert.deepEqual(owners, ["speaker-next", "speaker-next"]);
});

test("the reporter deletes what a lost node left, once for each loss: one behind a cut writes its own again", async () => {
  const world = new World();
  const speakers = ["n1", "n2", "n3"].map((node) => new Speaker(world, node));
  const [reporter = assert.fail(), , cut = assert.fail()] = speakers;
  for (const [i, speaker] of speakers.entries()) speaker.announced.set(`shop/s${i}`, [routed("198.51.100.1", "10.0.0.1:179")]);
  reporter.members = ["n1", "n2", "n3"];
  await world.pass(60);
  const nodes = () =>
    world.api
      .statuses("servicebgpstatuses")
      .map(({ node }) => node)
      .sort();
  assert.deepEqual(nodes(), ["n1", "n2", "n3"]);
  reporter.members = ["n1", "n2"];
  await world.pass(120);
  assert.deepEqual(nodes(), ["n1", "n2", "n3"], "it is behind a cut");
  assert.deepEqual(await world.pass(300), []);
  cut.objects[Symbol.dispose]();
  reporter.members = ["n1", "n2", "n3"];
  await world.pass(20);
  reporter.members = ["n1", "n2"];
  await world.pass(60);
  assert.deepEqual(nodes(), ["n1", "n2"]);
  assert.equal(world.api.statuses("configurationstates").length, 2);
  // Another reporter, after a restart, finds those of a node that it never knew.
  reporter.members = undefined;
  speakers[1]?.objects[Symbol.dispose]();
  const next = new Speaker(world, "n4");
  next.members = ["n1", "n4"];
  await world.pass(60);
  assert.deepEqual(nodes(), ["n1"]);
});

test("what somebody deletes or changes is put right once in 10 s at most", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  speaker.announced.set("shop/web", [owned("192.0.2.1")]);
  await world.pass(30);
  let writes = 0;
  for (let i = 0; i < 100; i++) {
    for (const key of world.api.stored.keys()) if (key.startsWith(layer2)) world.api.remove(key);
    writes += (await world.pass(1)).filter((request) => request === `status ${layer2}`).length;
  }
  assert.ok(writes >= 9 && writes <= 11, `${writes} in 100 s`);
});

test("kinds without a definition, quotas and refusals are one note each, cost a few requests, and keep no other kind", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  world.api.missing.add("servicebgpstatuses");
  for (let i = 0; i < 50; i++) speaker.announced.set(`shop/s${i}`, [owned(`192.0.2.${i}`)]);
  const quota = new ApiError('Cannot write: "l2" is forbidden: exceeded quota: objects', 403, "Forbidden");
  world.api.refuse = (request) => (request === `apply ${layer2}` && world.api.statuses(layer2).length >= 20 ? quota : undefined);
  const requests = await world.pass(3_600);
  assert.equal(world.api.statuses(layer2).length, 20);
  assert.equal(world.api.statuses("configurationstates").length, 1);
  assert.ok(requests.length < 70, `${requests.length} requests in an hour`);
  assert.equal(speaker.log.lines.filter((line) => line.startsWith("warn")).length, 1);
  // Objects that are in place can go meanwhile.
  speaker.announced.delete("shop/s0");
  world.api.refuse = undefined;
  await world.pass(600);
  assert.equal(world.api.statuses(layer2).length, 49);
  assert.equal(speaker.log.lines.filter((line) => line.startsWith("info")).length, 1);
});

test("one object that is always refused keeps no other from being written", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  for (let i = 0; i < 50; i++) speaker.announced.set(`shop/s${i}`, [owned(`192.0.2.${i}`)]);
  world.api.refuse = (request, status) =>
    request === `status ${layer2}` && (status as Stored["status"])?.serviceName === "s7"
      ? new ApiError("denied by policy", 403, "Forbidden")
      : undefined;
  await world.pass(3_600);
  assert.equal(world.api.statuses(layer2).filter(({ node }) => node === "n1").length, 49);
});

test("while the API is away nothing is asked, and afterwards what changed is written", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  speaker.announced.set("shop/web", [owned("192.0.2.1")]);
  world.api.refuse = () => new ApiError("Cannot write at 10.0.0.1", 0, "Unreachable");
  const requests = await world.pass(3_600);
  assert.ok(requests.length < 80, `${requests.length} requests in an hour`);
  world.api.refuse = undefined;
  await world.pass(600);
  assert.equal(world.api.statuses(layer2).length, 1);
});

test("2,000 Services of one node take two requests each at first, 20 in a second at most, and then none", async () => {
  const world = new World();
  const speaker = new Speaker(world, "n1");
  for (let i = 0; i < 2_000; i++) speaker.announced.set(`shop/s${i}`, [owned(`10.0.${i >> 8}.${i & 255}`)]);
  await world.pass(20);
  const first = await world.pass(100);
  assert.ok(first.length <= 2_200, `${first.length} requests in 100 s`);
  while (world.api.statuses(layer2).length < 2_000) assert.ok((await world.pass(100)).length > 0);
  await world.pass(20);
  assert.deepEqual(await world.pass(60), []);
});

test("a definition of another version, without fields that are written, costs no write over and over", async () => {
  const world = new World();
  world.api.unknown.add("interfaces");
  const speaker = new Speaker(world, "n1");
  speaker.announced.set("shop/web", [owned("192.0.2.1")]);
  await world.pass(60);
  assert.deepEqual(world.api.statuses(layer2), [{ node: "n1", serviceName: "web", serviceNamespace: "shop" }]);
  assert.deepEqual(await world.pass(600), []);
  world.api.remove([...world.api.stored.keys()].find((key) => key.startsWith(layer2)) ?? "");
  await world.pass(60);
  assert.equal(world.api.statuses(layer2).length, 1);
  assert.deepEqual(await world.pass(600), []);
});

test("of an object only the part is written that is another", async () => {
  const world = new World();
  const before = new Speaker(world, "n1");
  before.announced.set("shop/web", [routed("198.51.100.1", "10.0.0.1:179")]);
  await world.pass(30);
  before.announced.set("shop/web", [routed("198.51.100.1", "10.0.0.2:179")]);
  assert.deepEqual(await world.pass(30), ["status servicebgpstatuses"]);
  before.objects[Symbol.dispose]();
  const after = new Speaker(world, "n1", "speaker-next");
  after.announced.set("shop/web", [routed("198.51.100.1", "10.0.0.2:179")]);
  // This process has its configuration since another instant, and everything else is as it was.
  const written = ["apply configurationstates", "apply servicebgpstatuses", "status configurationstates"];
  assert.deepEqual((await world.pass(30)).toSorted(), written);
});

test("names of nodes are bounded to what a label takes, and stay different", () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
  assert.match(labelValue(long), /^[a-z0-9]([a-z0-9.-]{0,61})[a-z0-9]$/);
  assert.notEqual(labelValue(long), labelValue(`${long}s`));
  assert.equal(labelValue("node-1.example"), "node-1.example");
  // The name of an object has it, too, in which each part between dots begins and ends with a letter or digit.
  for (let length = 30; length < 60; length++)
    assert.match(
      labelValue(`${"n".repeat(length)}.${"d".repeat(40)}`),
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    );
});
