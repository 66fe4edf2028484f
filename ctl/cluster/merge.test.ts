import assert from "node:assert/strict";
import { test } from "node:test";
import { type BriefVerdict, brief, type CauseOf, verdict } from "#pkg/verdict";
import type { PlacedAddress, PoolsAnswer, SpeakerServices } from "./answers.ts";
import { mergePools, mergeServices } from "./merge.ts";
import type { Answer, Target } from "./processes.ts";

const since = "2026-01-01T00:00:00Z";
const ip = "192.0.2.1";
const running = { targets: [speakerOn("n1")], unreachable: [] };

function speakerOn(node: string, notRunning?: string): Target {
  return { program: "speaker", pod: `speaker-${node}`, node, notRunning };
}

function byLayer2(owner: string, by: string): PlacedAddress {
  const found = { ...verdict("service", owner === by ? "announced" : "notOwner"), since };
  return { address: ip, pool: "lan", protocol: "layer2", owner, announced: owner === by, verdict: found };
}

function byBgp(announced: boolean): PlacedAddress {
  const found = { ...verdict("service", announced ? "announced" : "noPeer"), since };
  return { address: ip, pool: "lan", protocol: "bgp", owner: null, announced, verdict: found };
}

function inKernel(owner: string | null, announced: boolean): PlacedAddress {
  const found = { ...verdict("service", announced ? "announced" : owner === null ? "noReadyEndpoint" : "notOwner"), since };
  return { address: ip, pool: "lan", protocol: "interface", owner, announced, verdict: found };
}

function speaker(node: string, ...addresses: PlacedAddress[]): Answer<SpeakerServices> {
  const target = speakerOn(node);
  const [first] = addresses;
  const body = { node, services: [{ service: "default/web", addresses, verdict: first?.verdict ?? assert.fail() }] };
  return { target, body };
}

test("an address that is announced by two protocols has the nodes of each", () => {
  const whole = [speaker("n1", byLayer2("n2", "n1"), byBgp(true)), speaker("n2", byLayer2("n2", "n2"), byBgp(false))];
  const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
  const found = merged?.addresses.map(({ protocol, nodes, verdict: { cause } }) => `${protocol} ${nodes} ${cause}`);
  assert.deepEqual(found, ["layer2 n2 announced", "bgp n1 announced"]);
  assert.equal(merged?.verdict.state, "Announced");
});

test("an address that one of its protocols announces works, whatever keeps the other from it", () => {
  const without = { ...byBgp(false), verdict: { ...verdict("service", "noSession"), since } };
  const [merged] = mergeServices({
    all: running,
    controllers: [],
    whole: [speaker("n1", byLayer2("n1", "n1"), without)],
    problems: [],
  });
  assert.deepEqual([merged?.verdict.state, merged?.verdict.cause], ["Degraded", "noSession"]);
  const neither = speaker("n1", { ...without, protocol: "interface", owner: null }, without);
  assert.equal(mergeServices({ all: running, controllers: [], whole: [neither], problems: [] })[0]?.verdict.state, "Pending");
});

test("a node that is said to announce an address, and says itself that it does not, is believed", () => {
  const denied = {
    ...byLayer2("n2", "n2"),
    owner: null,
    announced: false,
    verdict: { ...verdict("service", "nodeExcluded"), since },
  };
  const whole = [speaker("n1", byLayer2("n2", "n1")), speaker("n2", denied)];
  const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
  assert.deepEqual([merged?.verdict.state, merged?.verdict.cause, merged?.addresses[0]?.nodes], ["Pending", "nodeExcluded", []]);
});

test("where each node that answers lacks an endpoint under Local, the Pods are on nodes without a speaker", () => {
  const local = { ...byBgp(false), verdict: { ...verdict("service", "noReadyEndpointOnNode"), since } };
  const of = (...others: PlacedAddress[]) => {
    const whole = [local, ...others].map((one, index) => speaker(`n${index}`, one));
    return mergeServices({ all: running, controllers: [], whole, problems: [] })[0]?.verdict.cause;
  };
  assert.equal(of(local), "noReadyEndpointOnActiveNode");
  assert.equal(of(byBgp(false)), "noPeer", "it has an endpoint");
});

test("what keeps an address from the nodes that are meant to announce it counts, whoever answers first", () => {
  const unmeant = ["nodeExcluded", "noActiveSpeaker", "noReadyEndpointOnNode", "apiViewOld"] as const;
  for (const cause of unmeant) {
    const all = [
      speaker("n1", { ...byBgp(false), verdict: { ...verdict("service", cause), since } }),
      speaker("n2", byBgp(false)),
    ];
    for (const whole of [all, all.toReversed()]) {
      const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
      assert.deepEqual([merged?.verdict.state, merged?.verdict.cause], ["Pending", "noPeer"]);
    }
  }
});

test("a node that a label excludes says more than one without an endpoint, and than one that sees no other", () => {
  const said = (placed: PlacedAddress, cause: CauseOf<"service">) =>
    ({ ...placed, owner: null, announced: false, verdict: { ...verdict("service", cause), since } }) satisfies PlacedAddress;
  const pairs = [
    [said(byBgp(false), "nodeExcluded"), said(byBgp(false), "noReadyEndpointOnNode")],
    [said(byLayer2("n1", "n1"), "nodeExcluded"), said(byLayer2("n1", "n1"), "noReadyEndpointOnActiveNode")],
    [said(byLayer2("n1", "n1"), "nodeExcluded"), said(byLayer2("n1", "n1"), "noActiveSpeaker")],
  ];
  for (const pair of pairs)
    for (const both of [pair, pair.toReversed()]) {
      const whole = both.map((one, index) => speaker(`n${index}`, one));
      const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
      assert.equal(merged?.verdict.cause, "nodeExcluded");
    }
});

test("the same is so where another protocol announces the address", () => {
  const away = { ...byBgp(false), verdict: { ...verdict("service", "nodeExcluded", { state: "Degraded" }), since } };
  const peerless = { ...byBgp(false), verdict: { ...verdict("service", "noPeer", { state: "Degraded" }), since } };
  const [merged] = mergeServices({
    all: running,
    controllers: [],
    whole: [speaker("n1", byLayer2("n2", "n1"), away), speaker("n2", byLayer2("n2", "n2"), peerless)],
    problems: [],
  });
  assert.deepEqual([merged?.verdict.state, merged?.verdict.cause], ["Degraded", "noPeer"]);
});

/** A speaker that has lost the API, which others reach. */
function outdated(node: string, ...addresses: PlacedAddress[]): Answer<SpeakerServices> {
  const { target, body } = speaker(node, ...addresses);
  return { target, body: { ...body, apiViewOld: true } };
}

const unready = (protocol: "layer2" | "bgp"): PlacedAddress => {
  const found = { ...verdict("service", "noReadyEndpoint", { message: "none is ready" }), since };
  return { address: ip, pool: "lan", protocol, owner: null, announced: false, verdict: found };
};
const views: { name: string; all: Answer<SpeakerServices>[]; want: string }[] = [
  {
    name: "names no owner any more",
    all: [outdated("n1", { ...byLayer2("n2", "n1"), owner: null }), speaker("n2", unready("layer2"))],
    want: "Pending noReadyEndpoint: none is ready",
  },
  {
    name: "announces the address itself",
    all: [outdated("n1", byLayer2("n1", "n1")), speaker("n2", unready("layer2"))],
    want: "Degraded noReadyEndpoint: none is ready; only n1, whose view of the API is old, announces it",
  },
  {
    name: "announces it by BGP",
    all: [outdated("n1", byBgp(true)), speaker("n2", unready("bgp"))],
    want: "Degraded noReadyEndpoint: none is ready; only n1, whose view of the API is old, announces it",
  },
  {
    name: "has not heard that an endpoint is ready",
    all: [outdated("n1", unready("layer2")), speaker("n2", byLayer2("n2", "n2"))],
    want: "Announced announced: the node announces the address",
  },
];
for (const { name, all, want } of views)
  test(`nodes that reach the API know better than one that has lost it, and that ${name}`, () => {
    for (const whole of [all, all.toReversed()]) {
      const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
      assert.equal(`${merged?.verdict.state} ${merged?.verdict.cause}: ${merged?.verdict.message}`, want);
    }
  });

test("a node that has lost the API, and says that another one announces the address, is believed while any other finds nothing wrong", () => {
  const whole = [outdated("n1", { ...byLayer2("n2", "n1"), owner: null })];
  const quiet = { ...speaker("n2", byBgp(true)), body: { node: "n2", services: [] } };
  const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [quiet, speaker("n3", unready("layer2"))] });
  assert.equal(merged?.verdict.state, "Announced");
});

test("a Service that only a node without the API has, and without an address, is gone where a controller does not know it", () => {
  const pending = { ...verdict("service", "noIPAllocated"), since };
  const none = { service: "default/gone", addresses: [], verdict: pending };
  const { target, body } = outdated("n1", byBgp(true));
  const whole = [{ target, body: { ...body, services: [none] } }];
  const controller = { program: "controller", pod: "controller", node: "n1", notRunning: undefined } as const;
  const controllers = [{ target: controller, body: { leader: true, services: [] } }];
  const merged = (known: typeof controllers) => mergeServices({ all: running, controllers: known, whole, problems: [] });
  assert.deepEqual(merged(controllers), []);
  assert.deepEqual(
    merged([]).map(({ service }) => service),
    ["default/gone"],
    "nobody else can know",
  );
});

test("a worse verdict does not hide the controller's problem with the Service", () => {
  const problem = { ...verdict("service", "externalIPs"), since };
  const services = [{ service: "default/web", pool: "lan", addresses: [ip], verdict: problem }];
  const controller = { program: "controller", pod: "controller", node: "n1", notRunning: undefined } as const;
  const controllers = [{ target: controller, body: { leader: true, services } }];
  const [merged] = mergeServices({ all: running, controllers, whole: [speaker("n1", unready("layer2"))], problems: [] });
  assert.deepEqual([merged?.verdict.cause, merged?.also], ["noReadyEndpoint", problem]);
  const [alone] = mergeServices({ all: running, controllers, whole: [speaker("n1", byLayer2("n1", "n1"))], problems: [] });
  assert.deepEqual([alone?.verdict.cause, alone?.also], ["externalIPs", undefined]);
  const nobody = { targets: [], unreachable: [] };
  const [without] = mergeServices({ all: nobody, controllers, whole: [], problems: [] });
  assert.deepEqual([without?.verdict.cause, without?.also], ["noActiveSpeaker", problem]);
});

test("a speaker that is starting announces nothing, although it finds nothing wrong", () => {
  const well = { ...speaker("n2", byBgp(true)), body: { node: "n2", services: [] } };
  const starting = { ...speaker("n3", byBgp(true)), body: { node: "n3", missing: ["Services"], services: [] } };
  const whole = [speaker("n1", byBgp(true))];
  const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [well, starting] });
  assert.deepEqual(merged?.addresses[0]?.nodes, ["n1", "n2"]);
});

const kernels: { name: string; all: readonly PlacedAddress[]; want: string }[] = [
  { name: "of all nodes that have it", all: [inKernel(null, true), inKernel(null, true)], want: "n0,n1 announced" },
  { name: "of the one node that has it", all: [inKernel(null, false), inKernel(null, true)], want: "n1 announced" },
  { name: "of no node", all: [inKernel(null, false), inKernel(null, false)], want: " noReadyEndpoint" },
  { name: "of its owner", all: [inKernel("n1", false), inKernel("n1", true)], want: "n1 announced" },
];
for (const { name, all, want } of kernels)
  test(`an address in the kernel ${name}`, () => {
    const whole = all.map((placed, node) => speaker(`n${node}`, placed));
    const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
    assert.deepEqual(
      merged?.addresses.map(({ nodes, verdict: { cause } }) => `${nodes} ${cause}`),
      [want],
    );
  });

/** The view of a node that should have the address in its kernel and does not, or that announces it only to some routers. */
function troubled(protocol: "bgp" | "interface", cause: CauseOf<"service">): PlacedAddress {
  const found = { ...verdict("service", cause, { message: "the reason" }), since };
  return { address: ip, pool: "lan", protocol, owner: null, announced: true, verdict: found };
}

const troubles: { name: string; all: readonly PlacedAddress[]; nodes: string; want: string }[] = [
  {
    name: "that one node does not have",
    all: [inKernel(null, true), troubled("interface", "notInKernel"), inKernel(null, true)],
    nodes: "n0,n2",
    want: `Degraded notInKernel: 2 nodes have ${ip} of pool lan in the kernel, but not all is well on n1: the reason`,
  },
  {
    name: "that some announce to nobody or not to all",
    all: [troubled("bgp", "someSessionsDown"), troubled("bgp", "noSession"), byBgp(true)],
    nodes: "n0,n2",
    want: `Degraded noSession: 2 nodes announce ${ip} of pool lan by BGP, but not all is well on n1, n0: the reason`,
  },
  {
    name: "that the only node announces, and not to all",
    all: [byBgp(false), troubled("bgp", "someSessionsDown")],
    nodes: "n1",
    want: "Degraded someSessionsDown: the reason",
  },
  {
    name: "that nobody has, and one should",
    all: [inKernel(null, false), troubled("interface", "notInKernel")],
    nodes: "",
    want: "Pending notInKernel: the reason",
  },
];
for (const { name, all, nodes, want } of troubles)
  test(`of an address ${name} it is said who announces it, and where something is wrong`, () => {
    const whole = all.map((placed, node) => speaker(`n${node}`, placed));
    const [merged] = mergeServices({ all: running, controllers: [], whole, problems: [] });
    assert.deepEqual(
      merged?.addresses.map((one) => [one.nodes.join(), `${one.verdict.state} ${one.verdict.cause}: ${one.verdict.message}`]),
      [[nodes, want]],
    );
    assert.equal(merged?.verdict, merged?.addresses[0]?.verdict);
  });

test("what is wrong on other nodes is among the facts, and a list has the state and the cause alone", () => {
  const all = [byBgp(true), troubled("bgp", "noSession"), troubled("bgp", "someSessionsDown")];
  const [merged] = mergeServices({
    all: running,
    controllers: [],
    whole: all.map((one, node) => speaker(`n${node}`, one)),
    problems: [],
  });
  assert.deepEqual(merged?.verdict.evidence, [{ name: "n2", value: "the reason", source: "speaker" }]);
  const whole = all.map((one, node): Answer<SpeakerServices<BriefVerdict>> => {
    const { target } = speaker(`n${node}`, one);
    const verdict = brief(one.verdict);
    return {
      target,
      body: { node: target.node, services: [{ service: "default/web", addresses: [{ ...one, verdict }], verdict }] },
    };
  });
  const [listed] = mergeServices<BriefVerdict>({ all: running, controllers: [], whole, problems: [] });
  assert.deepEqual(listed?.verdict, { state: "Degraded", cause: "noSession", since });
});

test("a speaker that has not placed an address yet makes no other one of it", () => {
  const unplaced = { ...byBgp(false), protocol: null, pool: null, verdict: { ...verdict("service", "notPlaced"), since } };
  const [merged] = mergeServices({
    all: running,
    controllers: [],
    whole: [speaker("n1", unplaced), speaker("n2", byBgp(true))],
    problems: [],
  });
  assert.deepEqual(
    merged?.addresses.map(({ protocol, nodes }) => `${protocol} ${nodes}`),
    ["bgp n2"],
  );
});

test("a speaker that has not decided on an address keeps nobody from announcing it", () => {
  const undecided = { ...byBgp(false), pool: null, protocol: null, verdict: { ...verdict("service", "notPlaced"), since } };
  const local = { ...byBgp(false), verdict: { ...verdict("service", "noReadyEndpointOnNode"), since } };
  const quiet: Answer<SpeakerServices> = { target: speakerOn("n3"), body: { node: "n3", services: [] } };
  const of = (whole: PlacedAddress, problems: readonly Answer<SpeakerServices>[]) =>
    mergeServices({ all: running, controllers: [], whole: [speaker("n1", whole)], problems })[0];
  const served = of(local, [speaker("n2", undecided), quiet]);
  assert.deepEqual([served?.verdict.state, served?.addresses.map(({ nodes }) => nodes)], ["Announced", [["n3"]]]);
  assert.equal(of(byBgp(true), [speaker("n2", undecided)])?.verdict.state, "Announced");
  assert.equal(of(local, [speaker("n2", undecided)])?.verdict.cause, "notPlaced", "it may be the one that announces it");
});

test("a pool with which no node has anything to do is announced by nobody", () => {
  const by = (program: "controller" | "speaker", node: string, found: ReturnType<typeof verdict>): Answer<PoolsAnswer> => ({
    target: { program, pod: `${program}-${node}`, node, notRunning: undefined },
    body: { pools: [{ pool: "far", protocol: "bgp", verdict: { ...found, since } }] },
  });
  const merged = (...speakers: ReturnType<typeof verdict>[]) => {
    const answers = [
      by("controller", "n0", verdict("pool", "available")),
      ...speakers.map((one, i) => by("speaker", `n${i}`, one)),
    ];
    const [pool] = mergePools(answers, running);
    return `${pool?.verdict.state} ${pool?.verdict.cause}`;
  };
  const [none, some] = [verdict("pool", "noPeer"), verdict("pool", "available")];
  assert.equal(merged(none, none), "Pending noPeer");
  assert.equal(merged(none, some), "Ready available");
  const cutOff = verdict("pool", "noInterface");
  assert.equal(merged(some, cutOff), "Degraded noInterface", "the other node announces it");
  assert.equal(merged(none, cutOff), "Pending noInterface");
  assert.equal(merged(verdict("pool", "protocolNone")), "Ready available");
  assert.equal(merged(), "Ready available");
});

const controller: Target = { program: "controller", pod: "controller-n1", node: "n1", notRunning: undefined };
const decided = {
  target: controller,
  body: {
    leader: true,
    services: ["lan", "off"].map((pool) => ({
      service: `default/${pool}`,
      pool,
      addresses: [ip],
      verdict: { ...verdict("service", "assigned"), since },
    })),
  },
};
const available = { ...verdict("pool", "available"), since };
const pools: Answer<PoolsAnswer> = {
  target: controller,
  body: { pools: ["layer2", "none"].map((protocol) => ({ pool: protocol, protocol, verdict: available })) },
};

const absences: {
  name: string;
  targets: readonly Target[];
  silent?: string;
  isNodeLocal?: true;
  wells: string;
  pools: string;
}[] = [
  { name: "there is no speaker", targets: [], wells: "noActiveSpeaker assigned", pools: "noActiveSpeaker available" },
  {
    name: "no Pod of a speaker runs",
    targets: [speakerOn("n1", "the Pod is Pending: ImagePullBackOff")],
    wells: "noActiveSpeaker assigned",
    pools: "noActiveSpeaker available",
  },
  {
    name: "no speaker answers",
    targets: [speakerOn("n1")],
    silent: "no answer within 3 s",
    wells: "announced assigned",
    pools: "noActiveSpeaker available",
  },
  {
    name: "speakers of another version do not know the question",
    targets: [speakerOn("n1")],
    silent: "it has no /v1/pools",
    wells: "announced assigned",
    pools: "available available",
  },
  {
    name: "no other process is asked",
    targets: [],
    isNodeLocal: true,
    wells: "announced assigned",
    pools: "available available",
  },
];
for (const { name, targets, silent, isNodeLocal = false, wells, pools: wanted } of absences)
  test(`where ${name}: Services and pools are ${wells}; ${wanted}`, () => {
    const unreachable = silent === undefined ? [] : targets.map((target) => ({ target, why: silent }));
    const all = { targets: [controller, ...targets], isNodeLocal, unreachable };
    const last = speaker("n1", byLayer2("n1", "n1"));
    const whole = [
      { ...last, body: { ...last.body, services: last.body.services.map((one) => ({ ...one, service: "default/lan" })) } },
    ];
    const services = mergeServices({ all, unannounced: new Set(["off"]), controllers: [decided], whole, problems: [] });
    assert.equal(services.map(({ verdict: { cause } }) => cause).join(" "), wells);
    assert.deepEqual(
      services.map(({ addresses: [one] }) => one?.verdict),
      services.map((one) => one.verdict),
    );
    assert.equal(
      mergePools([pools], all)
        .map(({ verdict: { cause } }) => cause)
        .join(" "),
      wanted,
    );
  });

test("in a large ring the owner of an address is the node that says so, whatever the one that lists all leaves out", () => {
  const unnamed = { ...byLayer2("n2", "n1"), owner: null };
  const [merged] = mergeServices({
    all: running,
    controllers: [],
    whole: [speaker("n1", unnamed)],
    problems: [speaker("n2", byLayer2("n2", "n2"))],
  });
  assert.deepEqual(
    merged?.addresses.map(({ nodes, verdict: { cause } }) => [nodes, cause]),
    [[["n2"], "announced"]],
  );
});
