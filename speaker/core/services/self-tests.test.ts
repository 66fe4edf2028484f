import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolIndex, parseConfig, selfTestInterval } from "#pkg/config";
import { service } from "#pkg/k8s/testing";
import { type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressPlacement } from "#pkg/placement";
import type { TestedAddress } from "../events.ts";
import { createState, type SpeakerState } from "../state.ts";
import { step } from "../step.ts";
import { countWireFaults, openFaults, wireFault, wireTest } from "./self-tests.ts";
import { setService } from "./services.ts";

const owner = "node1";
const ip = address("192.0.2.1"); // Of four nodes the second one, the owner, comes first.
const macs = { own: "02:00:00:00:00:01", second: "02:00:00:00:00:02", other: "02:00:00:00:00:99" };
const lan: ReadonlyMap<string, readonly Prefix[]> = new Map([["eth0", [parsePrefix("192.0.2.0/24") as Prefix]]]);

/** A node that sees three others on its link, the first of which announces an address. */
function stateOf(node: string, selfTest = "self-test: 30s"): SpeakerState {
  const state = createState({ node, ignoreExcludeLabel: false, hasRing: true });
  const { config } = parseConfig(`address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/24], ${selfTest}}]`);
  assert.ok(config);
  state.config = { config, pools: new PoolIndex(config.pools) };
  state.members.active = ["far", owner, "node3", "node2"];
  const where = { answers: true, hasKernelAccess: true, interfaces: lan };
  Object.assign(state.members.gossip as object, {
    reachability: (one: string) => (one === "far" ? { answers: true, hasKernelAccess: true, interfaces: new Map() } : where),
  });
  state.members.macs.macs.set(owner, [macs.own, macs.second]);
  setService(
    state.services,
    "default/web",
    service("default/web", {
      ingress: ["192.0.2.1"],
      ports: [
        { name: "dns", protocol: "UDP", port: 53 },
        { name: "http", protocol: "TCP", port: 80 },
      ],
    }),
  );
  place(state, owner);
  return state;
}

function place(state: SpeakerState, node: string): AddressPlacement {
  const placement: AddressPlacement = {
    address: ip,
    isOwned: true,
    electionAddress: ip,
    pool: "lan",
    protocol: "layer2",
    candidates: [owner, "node2"],
    contenders: [owner, "node2"],
    owner: node,
    verdicts: new Map([["default/web", { announced: true }]]),
  };
  state.placements.set(ip.toString(), [placement]);
  return placement;
}

const placed = (state: SpeakerState) => state.placements.get(ip.toString())?.[0] as AddressPlacement;

test("of the nodes on the owner's link one tries an address, and the owner never", () => {
  const testers = [owner, "node2", "node3", "far"].filter((node) => wireTest(stateOf(node), placed(stateOf(node))) !== undefined);
  assert.deepEqual(testers, ["node3"]);
  assert.deepEqual(wireTest(stateOf("node3"), placed(stateOf("node3"))), { address: ip, owner, port: 80 });
});

test("where its pool has none, or alone on its link, no address is tried", () => {
  const without = stateOf("node3", "self-test: 0s");
  assert.equal(wireTest(without, placed(without)), undefined);
  const alone = stateOf("node3");
  alone.members.active = [owner, "far"];
  assert.equal(wireTest(alone, placed(alone)), undefined);
});

test("a pool of 256 addresses has a self-test unless it says otherwise, and one of more has none", () => {
  const small = stateOf("node3", "auto-assign: true");
  assert.deepEqual(wireTest(small, placed(small)), { address: ip, owner, port: 80 });
  const { pools } =
    parseConfig("address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/24, 192.0.3.1/32]}]").config ?? {};
  assert.deepEqual(pools?.map(selfTestInterval), [Infinity]);
});

test("no connection is tried to a Service that takes them from some sources alone", () => {
  const state = stateOf("node3");
  const { service: web } = state.services.rows.get("default/web") ?? assert.fail();
  setService(state.services, "default/web", { ...web, isForSome: true });
  assert.deepEqual(wireTest(state, placed(state)), { address: ip, owner, port: undefined });
});

const answers: {
  name: string;
  macs: string[];
  connection?: "accepts" | "refuses" | "silent";
  known?: boolean;
  cause: string | undefined;
}[] = [
  { name: "the owner answers and accepts", macs: [macs.own], connection: "accepts", cause: undefined },
  { name: "the owner answers on two interfaces", macs: [macs.own, macs.second], connection: "accepts", cause: undefined },
  { name: "a refused connection is one that arrived", macs: [macs.own], connection: "refuses", cause: undefined },
  { name: "nobody answers", macs: [], cause: "notAnswered" },
  { name: "two answer", macs: [macs.own, macs.other], connection: "accepts", cause: "answeredByTwo" },
  { name: "another one answers", macs: [macs.other], connection: "accepts", cause: "answeredByAnother" },
  { name: "the port is silent", macs: [macs.own], connection: "silent", cause: "notConnected" },
  {
    name: "one whose owner publishes no MAC addresses is taken for the owner",
    macs: [macs.other],
    connection: "accepts",
    known: false,
    cause: undefined,
  },
  { name: "two are two all the same", macs: [macs.other, macs.own], connection: "accepts", known: false, cause: "answeredByTwo" },
];
for (const { name, macs, connection, known = true, cause } of answers)
  test(`what is found twice counts: ${name}`, () => {
    const state = stateOf("node3");
    if (!known) state.members.macs.macs.clear();
    const tested: TestedAddress = { address: ip, owner, port: 80, interface: "eth0", answer: { macs, connection } };
    assert.deepEqual(step(state, { type: "wireTested", tested }, 1_000), []);
    assert.equal(wireFault(state, placed(state)), undefined);
    assert.equal(openFaults(state).length, cause === undefined ? 0 : 1);
    const effects = step(state, { type: "wireTested", tested }, 2_000);
    const reported = effects.map((effect) =>
      effect.type === "log" ? `${effect.fields.service} ${effect.fields.cause}` : effect.type === "recordEvent" && effect.reason,
    );
    assert.deepEqual(reported, cause === undefined ? [] : [`default/web ${cause}`, "selfTestFailed"]);
    assert.equal(wireFault(state, placed(state))?.verdict.cause, cause);
    assert.equal(wireFault(state, placed(state))?.since, cause && 1_000);
    assert.equal(countWireFaults(state), cause === undefined ? 0 : 1);
    assert.deepEqual(step(state, { type: "wireTested", tested }, 3_000), []); // It is said once.
  });

test("where two owners do not answer on one interface, the remedy names that interface of the node that tries them", () => {
  const state = stateOf("node3");
  const [second] = [address("192.0.2.5")];
  const other = { ...placed(state), address: second, owner: "node2", candidates: ["node2"], contenders: ["node2"] };
  state.placements.set(second.toString(), [other]);
  const silent = (address: typeof ip, owner: string, name = "eth0"): TestedAddress => {
    return { address, owner, port: undefined, interface: name, answer: { macs: [], connection: undefined } };
  };
  const next = (tested: TestedAddress) => {
    step(state, { type: "wireTested", tested }, 0);
    return state.wireFaults.get(tested.address.toString())?.verdict.next ?? assert.fail();
  };
  const alone = next(silent(ip, owner));
  assert.match(alone, /^look for what drops ARP/);
  assert.equal(next(silent(second, "node2", "eth1")), alone, "on another interface");
  const both = /^see eth0 of node3 first, on which (node1|node2) does not answer either; else look for what drops ARP/;
  assert.match(next(silent(second, "node2")), both);
  assert.match(next(silent(ip, owner)), both, "also of the one that was found first");
  assert.deepEqual(
    state.wireFaults
      .values()
      .map((fault) => fault.interface)
      .toArray(),
    ["eth0", "eth0"],
  );
});

test("a fault ends when the address is answered for again, and when another node announces it", () => {
  const state = stateOf("node3");
  const tested = (answer: TestedAddress["answer"]) => ({ address: ip, owner, port: 80, interface: "eth0", answer });
  const fail = () => step(state, { type: "wireTested", tested: tested({ macs: [], connection: undefined }) }, 0);
  fail();
  fail();
  const [log] = step(state, { type: "wireTested", tested: tested({ macs: [macs.own], connection: "accepts" }) }, 0);
  assert.ok(log?.type === "log");
  assert.deepEqual([log.fields.event, log.fields.service], ["selfTestPassed", "default/web"]);
  fail();
  fail();
  place(state, "node2");
  assert.equal(wireFault(state, placed(state)), undefined);
  assert.deepEqual(fail(), []); // It was tried at the owner before.
  assert.equal(state.wireFaults.size, 0);
});
