import assert from "node:assert/strict";
import { test } from "node:test";
import type { Act, What } from "./acts.ts";
import { type Done, gapsOf, spansOf } from "./chronicle.ts";
import { ActLog } from "./known.ts";
import { Observer, whyNoNetwork } from "./observer.ts";
import type { Target } from "./targets/target.ts";
import { type Judgement, judge } from "./verdict.ts";

const web = "192.0.2.1";
const far = "198.51.100.1";
const names = ["node1", "node2", "node3"];

interface ServiceObject {
  readonly name: string;
  readonly address: string;
  readonly type?: string;
}

/** A cluster that is as it says, of three nodes with Services `web` on layer 2 and `far` by BGP, and an observer of it. */
class Scene {
  now = 0;
  /** Nodes that answer for the address of `web`. */
  answering: readonly string[] = ["node1"];
  hops: readonly string[] = names;
  services: readonly ServiceObject[] = [
    { name: "web", address: web },
    { name: "far", address: far },
  ];
  /** Silent parts: names of nodes, "LAN", "api", "router". */
  silent: readonly string[] = [];
  /** Members from the view of a node. */
  members: (node: string) => readonly string[] = () => names;
  /** The source of a node's connected route. */
  source: (node: string) => string = () => "172.30.0.11";
  verdict: (node: string) => unknown = () => ({ verdicts: [{ cause: "announcing" }] });
  readonly log: ActLog;
  readonly observer: Observer;

  constructor({ revives = false, detectionMs = 9_000 } = {}) {
    this.log = new ActLog(() => this.now, { revives, detectionMs });
    const target = {
      nodes: names.map((name) => ({
        name,
        mac: name,
        addresses: [name, ""],
        ask: async (path: string) => this.#ask(name, path),
        run: async (argv: readonly string[]) =>
          JSON.stringify(argv.includes("route") ? routesBy(this.source(name)) : linksOfNode),
      })),
      services: new Map([
        ["web", web],
        ["far", far],
      ]),
      routed: [far],
      router: { nextHops: async () => this.#unlessSilent("router", this.hops) },
      api: {
        list: async () => this.#unlessSilent("api", this.services.map(objectOf)),
        get: async ({ metadata: { name } }: { metadata: { name: string } }) =>
          this.services.filter((service) => service.name === name).map(objectOf)[0],
      },
      asked: async () => (this.silent.includes("LAN") ? [] : [{ at: this.now, answers: { [web]: this.answering } }]),
    };
    this.observer = new Observer(target as unknown as Target, this.log, 0);
  }

  /** Does it, and leaves it so. */
  begin(what: What): Done {
    const act: Act = { ...what, length: 60_000 };
    const done: Done = { act, from: this.now, inEffectFrom: this.now, undoneFrom: undefined, hasFailed: false, to: undefined };
    this.log.done.push(done);
    return done;
  }

  undo(done: Done): void {
    done.undoneFrom = this.now;
    done.to = this.now;
  }

  /** Looks once a second. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await this.observer.lookOnce();
      this.now += 1_000;
    }
  }

  get judgment(): Judgement {
    const { samples, faults, looks } = this.observer;
    const gaps = gapsOf(spansOf(samples, this.now), this.log.done);
    return judge({ samples, gaps, faults, lostFlows: [], looks, unsettled: undefined, end: this.now });
  }

  async #ask(node: string, path: string): Promise<unknown> {
    this.#unlessSilent(node, undefined);
    if (path === "/v1/node") return this.verdict(node);
    return { members: this.members(node).map((member) => ({ node: member, active: true })) };
  }

  #unlessSilent<T>(what: string, answer: T): T {
    if (this.silent.includes(what)) throw new Error(`Cannot reach ${what}`);
    return answer;
  }
}

const routesBy = (prefsrc: string) => [
  { dst: "default", dev: "eth0" },
  { dev: "eth0", protocol: "kernel", prefsrc },
];
const linksOfNode = [
  {
    addr_info: [
      { family: "inet", local: "172.30.0.228", prefixlen: 32 },
      { family: "inet", local: "172.30.0.11", prefixlen: 24 },
      { family: "inet6", local: "fd00:30::11", prefixlen: 64 },
    ],
  },
];

function objectOf({ name, address, type = "LoadBalancer" }: ServiceObject): unknown {
  return { metadata: { namespace: "default", name }, spec: { type }, status: { loadBalancer: { ingress: [{ ip: address }] } } };
}

test("a cluster in which nothing is wrong keeps its promises", async () => {
  const scene = new Scene();
  await scene.pass(400);
  const { result, reasons, judgedMs } = scene.judgment;
  assert.deepEqual({ result, reasons }, { result: "kept", reasons: [] });
  assert.ok(judgedMs > 390_000);
});

test("a node without a connected route by an address of its own is found after a second, and not before", async () => {
  const scene = new Scene();
  scene.source = (node) => (node === "node2" ? "172.30.0.228" : "172.30.0.11");
  await scene.pass(1);
  scene.source = () => "172.30.0.11";
  await scene.pass(400);
  assert.equal(scene.judgment.result, "kept");
  scene.source = (node) => (node === "node2" ? "" : "172.30.0.11");
  await scene.pass(2);
  assert.deepEqual(scene.judgment.reasons, [
    "BROKEN 402.0 s: node2 lost its network: no connected route has 172.30.0.11 as its source",
  ]);
});

test("a node whose link is down, as without power, has lost no network", () => {
  for (const [flags, isLost] of [
    [["BROADCAST", "UP"], true],
    [["BROADCAST"], false],
  ] as const) {
    const links = linksOfNode.map((link) => ({ ...link, flags }));
    assert.equal(whyNoNetwork(links, []) !== undefined, isLost, `${flags}`);
  }
});

test("two that answer for an address are found after 6 s, and not before", async () => {
  const scene = new Scene();
  await scene.pass(5);
  scene.answering = ["node1", "node2"];
  await scene.pass(6);
  assert.deepEqual(scene.judgment.result, "kept");
  await scene.pass(2);
  assert.match(scene.judgment.reasons.join("\n"), /^BROKEN twoOwners: 192\.0\.2\.1 .*: node1 and node2 answer$/);
});

test("nobody who answers for an address is found after 8 s where something can be the cause, and after 1 s where nothing is", async () => {
  for (const what of [{ type: "lose", node: 0, percent: 60 }, { type: "killRouter" }] satisfies What[]) {
    const scene = new Scene();
    await scene.pass(5);
    scene.begin(what);
    scene.answering = [];
    await scene.pass(3);
    const { result, reasons } = scene.judgment;
    if (what.type === "lose") assert.deepEqual({ result, reasons }, { result: "kept", reasons: [] });
    else
      assert.match(
        reasons.join("\n"),
        /^BROKEN nobody answered, and nothing was done that explains it: 192\.0\.2\.1 from 5\.0 s/,
      );
    await scene.pass(7);
    assert.match(scene.judgment.reasons.join("\n"), /BROKEN noOwner: 192\.0\.2\.1 .*nobody of node1,node2,node3 answers/);
  }
});

test("of two nodes that are cut from one another in the ring alone one may answer for both, and somebody has to", async () => {
  const scene = new Scene();
  scene.members = (node) => [node];
  scene.silent = ["node1"];
  scene.answering = ["node3"];
  scene.begin({ type: "killSpeaker", node: 0 });
  scene.begin({ type: "cutPair", node: 1, other: 2 });
  await scene.pass(20);
  scene.hops = ["node2", "node3"];
  assert.equal(scene.judgment.result, "kept");
  scene.answering = [];
  await scene.pass(10);
  assert.match(scene.judgment.reasons.join("\n"), /BROKEN noOwner: .*: nobody of node[23] answers, and node[23] could/);
});

const bounds: readonly { what: What; seconds: number; detectionMs?: number }[] = [
  { what: { type: "isolate", node: 0 }, seconds: 12 },
  { what: { type: "unplug", node: 0 }, seconds: 12 },
  { what: { type: "powerOff", node: 0 }, seconds: 12 },
  { what: { type: "stallSpeaker", node: 0 }, seconds: 12 },
  { what: { type: "stopSpeaker", node: 0 }, seconds: 12 },
  { what: { type: "killSpeaker", node: 0 }, seconds: 23 },
  { what: { type: "isolate", node: 0 }, seconds: 4, detectionMs: 1_000 },
  { what: { type: "killSpeaker", node: 0 }, seconds: 23, detectionMs: 1_000 },
];
for (const { what, seconds, detectionMs = 9_000 } of bounds)
  test(`a route by a node is found ${seconds} s after ${what.type} where silence is noticed after ${detectionMs / 1_000} s, and not before`, async () => {
    const scene = new Scene({ detectionMs });
    await scene.pass(40);
    scene.begin(what);
    await scene.pass(seconds + 1);
    assert.deepEqual(scene.observer.faults, []);
    await scene.pass(1);
    const [fault] = scene.observer.faults;
    assert.equal(
      fault,
      `${(40 + seconds + 1).toFixed(1)} s: the router has a route by node1, which is gone for ${seconds + 1} s, and may have it for ${seconds} s`,
    );
    assert.equal(scene.judgment.result, "broken");
  });

test("a router has as long as a graceful restart takes where the node or the router itself was not left alone before", async () => {
  for (const before of [{ type: "impair", node: 0, impairment: { seed: 1 } }, { type: "freezeRouter" }] satisfies What[])
    for (const [pause, seconds] of [
      [28, 23],
      [29, 12],
    ] as const) {
      const scene = new Scene();
      scene.undo(scene.begin(before));
      await scene.pass(pause);
      scene.begin({ type: "isolate", node: 0 });
      await scene.pass(seconds + 1);
      assert.deepEqual(scene.observer.faults, [], `${before.type}, ${pause} s`);
      await scene.pass(1);
      assert.equal(scene.observer.faults.length, 1, `${before.type}, ${pause} s`);
    }
});

test("a route is none too long while the router stands still, through another node, or once the node is let back", async () => {
  const scene = new Scene();
  await scene.pass(40);
  const isolation = scene.begin({ type: "isolate", node: 0 });
  const freeze = scene.begin({ type: "freezeRouter" });
  await scene.pass(40);
  scene.undo(freeze);
  await scene.pass(23);
  scene.hops = ["node2", "node3"];
  await scene.pass(10);
  isolation.undoneFrom = scene.now;
  scene.hops = names;
  await scene.pass(10);
  assert.deepEqual(scene.observer.faults, []);
});

test("the router has routes by a node whose speaker was stopped and started in order, also after it was started anew itself", async () => {
  const scene = new Scene();
  const others = ["node1", "node3"];
  const stop = scene.begin({ type: "stopSpeaker", node: 1 });
  scene.hops = others;
  await scene.pass(30);
  scene.undo(stop);
  scene.silent = ["node2"]; // It takes long to start.
  await scene.pass(30);
  scene.silent = [];
  await scene.pass(16);
  assert.deepEqual(scene.observer.faults, []);
  await scene.pass(1);
  const fault = `the router has no route by node2 to ${far}, although nothing that it may take for a failure was done`;
  assert.deepEqual(scene.observer.faults, [`76.0 s: ${fault}`]);
});

test("the router has routes by a node whose path to Pods was broken, once that is healthy for as long as it has to be", async () => {
  const scene = new Scene();
  const wrong = `the router has no route by node2 to ${far}, although nothing that it may take for a failure was done`;
  for (const [index, health] of [30, 60].entries()) {
    const broken = scene.begin({ type: "breakPath", node: 1 });
    scene.hops = ["node1", "node3"];
    await scene.pass(20);
    scene.undo(broken);
    await scene.pass(health + 15);
    assert.deepEqual(scene.observer.faults, []);
    if (index === 0) scene.hops = names;
    await scene.pass(2);
  }
  assert.deepEqual(
    scene.observer.faults.map((fault) => fault.replace(/^[\d.]+ s: /, "")),
    [wrong],
  );
});

for (const [what, act] of Object.entries({
  "was killed before": { type: "killSpeaker", node: 1 },
  "had another router before that stood still": { type: "freezeRouter" },
  "has no API": { type: "isolateControlPlane" },
} satisfies Record<string, What>))
  test(`the router may have no routes by a node that ${what}`, async () => {
    const scene = new Scene();
    const done = scene.begin(act);
    await scene.pass(5);
    if (act.type !== "isolateControlPlane") scene.undo(done);
    const stop = scene.begin({ type: "stopSpeaker", node: 1 });
    scene.hops = ["node1", "node3"];
    await scene.pass(5);
    scene.undo(stop);
    await scene.pass(60);
    assert.deepEqual(scene.observer.faults, []);
    if (act.type === "isolateControlPlane") return;
    const kill = scene.begin({ type: "killRouter" });
    await scene.pass(20);
    scene.undo(kill);
    await scene.pass(17);
    assert.equal(scene.observer.faults.length, 1, "a router that was started anew has forgotten it");
  });

test("a killed speaker that something starts again is not gone for certain; a node off the LAN is", async () => {
  for (const [type, faults] of [
    ["killSpeaker", 0],
    ["isolate", 1],
  ] as const) {
    const scene = new Scene({ revives: true });
    await scene.pass(40);
    scene.begin({ type, node: 0 });
    await scene.pass(50);
    assert.equal(scene.observer.faults.length, faults, type);
  }
});

test("an address at two Services of type LoadBalancer is found, whichever they are; of another type it is none", async () => {
  const scene = new Scene();
  const more = { name: "more1", address: "192.0.2.7" };
  scene.services = [...scene.services, more, { name: "more2", address: "192.0.2.7", type: "ClusterIP" }];
  await scene.pass(1);
  assert.deepEqual(scene.observer.faults, []);
  scene.services = [...scene.services, { name: "more3", address: "192.0.2.7" }];
  await scene.pass(1);
  assert.deepEqual(scene.observer.faults, ["1.0 s: 192.0.2.7 is at default/more1 and default/more3, which do not share it"]);
});

test("an address that another one takes the place of is found", async () => {
  const scene = new Scene();
  scene.services = scene.services.map((service) => ({ ...service, address: service.name === "web" ? "192.0.2.9" : far }));
  await scene.pass(1);
  assert.deepEqual(scene.observer.faults, ["0.0 s: web had 192.0.2.1 and has 192.0.2.9, although nobody changed it"]);
});

test("a run in which too many looks fail, or none succeeds, is not judged; those at what something is done to do not count", async () => {
  for (const silent of [["LAN"], ["api"], ["router"], names]) {
    const scene = new Scene();
    await scene.pass(60);
    scene.silent = silent;
    await scene.pass(60);
    const { result, reasons } = scene.judgment;
    assert.equal(result, "not judged", silent.join());
    assert.match(reasons.join("\n"), /^NOT JUDGED: \d+ of \d+ looks at (the LAN|the API|the router|speakers) failed/);
  }
  const scene = new Scene();
  await scene.pass(60);
  const cut = scene.begin({ type: "isolateControlPlane" });
  scene.silent = ["api"];
  await scene.pass(60);
  scene.undo(cut);
  await scene.pass(10);
  assert.deepEqual(scene.judgment.reasons, []);
  await scene.pass(20);
  assert.deepEqual(scene.judgment.reasons, ["NOT JUDGED: 20 of 80 looks at the API failed"]);
});

test("a run in which nodes never agreed on who is there is not judged, nor a long one where they did not for half of the time", async () => {
  const never = new Scene();
  never.members = (node) => [node];
  await never.pass(30);
  assert.deepEqual(never.judgment.reasons, ["NOT JUDGED: nodes agreed on who is there for 0.0 of 30.0 s"]);
  for (const [seconds, result] of [
    [160, "not judged"],
    [140, "kept"],
  ] as const) {
    const scene = new Scene();
    scene.members = (node) => [node];
    await scene.pass(seconds);
    scene.members = () => names;
    await scene.pass(300 - seconds);
    assert.equal(scene.judgment.result, result);
  }
});

test("what was seen to be wrong is told also where too little was seen", async () => {
  const scene = new Scene();
  scene.silent = ["router"];
  scene.services = [];
  await scene.pass(30);
  assert.equal(scene.judgment.result, "broken");
  assert.equal(scene.judgment.reasons.filter((reason) => reason.startsWith("NOT JUDGED")).length, 1);
});

test("a speaker that waits for the others could not announce, and is looked at otherwise as any other; one of before that does not say could", async () => {
  const scene = new Scene();
  scene.answering = ["node1", "node2"];
  scene.verdict = (node) => {
    if (node === "node3") throw new SyntaxError("Unexpected token 'N', \"Not found\" is not valid JSON");
    return { verdicts: [{ cause: node === "node1" ? "waiting" : "announcing" }] };
  };
  await scene.pass(3);
  const { candidates, hears, members, answers } = scene.observer.samples.at(-1) ?? assert.fail();
  assert.deepEqual(candidates.get(web), ["node2", "node3"]);
  assert.deepEqual(hears.get("node2"), ["node1", "node3"]);
  assert.deepEqual(members.get("node1"), names);
  assert.deepEqual(answers.get(web), ["node1", "node2"]);
});
