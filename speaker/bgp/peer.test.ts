import assert from "node:assert/strict";
import { test } from "node:test";
import type { BfdEnds, BfdStatus } from "#pkg/bfd";
import { SimulatedClock } from "#pkg/clock";
import { type BfdProfile, parseConfig } from "#pkg/config";
import { BgpPeer, type BgpPeerOptions, type BgpSession } from "./peer.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";

const profiles = "bfd-profiles: [{name: fast, transmit-interval: 50}, {name: slow}]";

/** A peer whose session and whose BFD record their calls. */
class Bench {
  readonly calls: string[] = [];
  status: BfdStatus = { verdict: "unknown", reason: "nothing has been received from the peer yet" };
  #onChange: (status: BfdStatus) => void = () => assert.fail("BFD is not watched");
  #established: () => void = () => assert.fail("there is no session");
  readonly #peer: BgpPeer;

  readonly #peerAsn: number;

  constructor(fields: string, peerAsn = 64513) {
    this.#peerAsn = peerAsn;
    const session: BgpSession = {
      established: false,
      start: () => this.calls.push("start"),
      configure: () => this.calls.push("configure"),
      routesChanged: () => {},
      addressesChanged: () => this.calls.push("addresses"),
      describe: () => assert.fail("nobody asks for it here"),
      reset: (cease, text) => this.calls.push(`reset ${cease}: ${text}`),
      retry: () => this.calls.push("retry"),
      close: async (cease, text) => void this.calls.push(`close ${cease}: ${text}`),
    };
    const watch = (ends: BfdEnds, profile: BfdProfile, onChange: (status: BfdStatus) => void) => {
      this.calls.push(`watch ${ends.peer} ${profile.name}`);
      this.#onChange = onChange;
      const status = () => this.status;
      return {
        get status() {
          return status();
        },
        configure: (changed: BfdProfile) => this.calls.push(`watch by ${changed.name}`),
        [Symbol.dispose]: () => this.calls.push("watch no more"),
      };
    };
    const { peer } = read(fields, peerAsn);
    const newSession: BgpPeerOptions["newSession"] = ({ onEstablished }) => {
      this.#established = () => onEstablished?.();
      return session;
    };
    this.#peer = new BgpPeer(peer, { key: "r", newSession, bfd: { watch }, clock: new SimulatedClock() });
    this.configure(fields);
  }

  configure(fields: string): void {
    const { peer, profile } = read(fields, this.#peerAsn);
    this.#peer.configure(peer, undefined, profile);
  }

  becomes(verdict: BfdStatus["verdict"], reason = "r"): void {
    this.status = { verdict, reason };
    this.#onChange(this.status);
  }

  established(): this {
    this.#established();
    return this;
  }

  addressesChanged(): void {
    this.#peer.addressesChanged();
  }

  get waitsFor(): string | undefined {
    return this.#peer.waitsFor;
  }

  close(): Promise<void> {
    return this.#peer.close("peerDeConfigured", "gone");
  }
}

function read(fields: string, peerAsn: number) {
  const { config, problems } = parseConfig(
    `peers: [{my-asn: 64512, peer-asn: ${peerAsn}, peer-address: 192.0.2.1${fields}}]\n${profiles}`,
  );
  const [peer] = config?.peers ?? [];
  assert.ok(config && peer, JSON.stringify(problems));
  return { peer, profile: config.bfdProfiles.get(peer.bfdProfile ?? "") };
}

const withBfd = ", bfd-profile: fast";
const strict = ", bfd-profile: fast, bfd-strict: true";

test("without a profile nothing is watched", () => {
  assert.deepEqual(new Bench("").established().calls, ["start"]);
});

test("a session does not wait for BFD, which the peer may not speak", () => {
  const bench = new Bench(withBfd);
  assert.deepEqual(bench.calls, ["start"]);
  assert.equal(bench.waitsFor, undefined);
});

test("BFD starts when the session is established, and goes on from there: FRR ends one that was up before, and BGP with it", () => {
  const bench = new Bench(withBfd);
  bench.configure(withBfd);
  assert.deepEqual(bench.calls, ["start"]);
  bench.established();
  assert.deepEqual(bench.calls, ["start", "watch 192.0.2.1 fast"]);
  bench.established();
  assert.deepEqual(bench.calls.slice(2), ["watch by fast"]);
});

test("a path that fails ends the session with BFD Down, and no other status does", () => {
  const bench = new Bench(withBfd).established();
  for (const verdict of ["adminDown", "unknown"] as const) bench.becomes(verdict);
  assert.deepEqual(bench.calls.slice(2), []);
  bench.becomes("failed", "control detection time expired");
  assert.deepEqual(bench.calls.slice(2), ["reset bfdDown: BFD: control detection time expired"]);
});

test("BFD that comes up ends the back-off of BGP", () => {
  const bench = new Bench(withBfd).established();
  bench.becomes("failed", "control detection time expired");
  bench.becomes("up");
  assert.deepEqual(bench.calls.slice(3), ["retry"]);
});

test("a strict session begins when BFD is up, shows what it waits for, and ends until BFD is up again", () => {
  const bench = new Bench(strict);
  assert.deepEqual(bench.calls, ["watch 192.0.2.1 fast"]);
  assert.equal(bench.waitsFor, "BFD is not up, and bfd-strict is set: nothing has been received from the peer yet");
  bench.becomes("adminDown");
  assert.deepEqual(bench.calls.slice(1), []);
  bench.becomes("up");
  assert.deepEqual([bench.calls.slice(1), bench.waitsFor], [["start"], undefined]);
  bench.becomes("adminDown");
  assert.deepEqual(bench.calls.slice(2), []);
  bench.becomes("failed", "echo function failed");
  bench.becomes("up");
  assert.deepEqual(bench.calls.slice(2), ["close bfdDown: BFD: echo function failed", "start"]);
});

test("a session that waits for BFD gets it between other ends when the node has other addresses", async (t) => {
  const interfaces = new NodeInterfaces(t);
  await interfaces.set([]);
  const bench = new Bench(strict, 64512); // Within an AS the peer may be several hops away.
  bench.addressesChanged();
  assert.deepEqual(bench.calls.splice(0), ["watch 192.0.2.1 fast", "watch by fast", "addresses"]);
  await interfaces.set(["192.0.2.9/24"]);
  bench.addressesChanged();
  assert.deepEqual(bench.calls, ["watch no more", "watch 192.0.2.1 fast", "addresses"]);
});

test("a session that waits for BFD begins when other ends turn out to be watched already, and up", async (t) => {
  const interfaces = new NodeInterfaces(t);
  await interfaces.set([]);
  const bench = new Bench(strict, 64512);
  await interfaces.set(["192.0.2.9/24"]);
  bench.status = { verdict: "up", reason: "another peer at the same address has it watched" };
  bench.addressesChanged();
  assert.deepEqual(bench.calls, ["watch 192.0.2.1 fast", "watch no more", "watch 192.0.2.1 fast", "start", "addresses"]);
});

test("a session that need not be strict any more begins at once", () => {
  const bench = new Bench(strict);
  bench.configure(withBfd);
  assert.deepEqual(bench.calls.slice(1), ["watch by fast", "start"]);
});

test("another profile changes the session that is watched; other ends and no profile end it; BGP goes on", () => {
  const bench = new Bench(withBfd).established();
  bench.configure(", bfd-profile: slow");
  bench.configure(", bfd-profile: slow, ebgp-multihop: true");
  bench.configure(", ebgp-multihop: true");
  const watching = bench.calls.filter((what) => what.startsWith("watch"));
  assert.deepEqual(watching, ["watch 192.0.2.1 fast", "watch by slow", "watch no more", "watch 192.0.2.1 slow", "watch no more"]);
});

test("a peer that goes is watched no more", async () => {
  const bench = new Bench(withBfd).established();
  await bench.close();
  assert.deepEqual(bench.calls.slice(2), ["watch no more", "close peerDeConfigured: gone"]);
});
