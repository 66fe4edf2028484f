import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { BfdEnds, BfdStatus } from "#pkg/bfd";
import { NlriTable, type PeerView } from "#pkg/bgp";
import { SimulatedClock } from "#pkg/clock/testing";
import { type BfdProfile, needsRestart, parseConfig, type SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import type { FoundRouter } from "#pkg/router-discovery";
import { BgpPeer, type BgpPeerOptions, type BgpSession } from "./peer.ts";
import { RouterSessions } from "./router-sessions.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";

const profiles = "bfd-profiles: [{name: fast, transmit-interval: 50}, {name: slow}]";

/** A peer whose session and whose BFD record their calls. */
class Bench {
  readonly calls: string[] = [];
  /** This side's ends of watched sessions, one after another. */
  readonly ends: string[] = [];
  status: BfdStatus = { verdict: "unknown", reason: "nothing has been received from the peer yet" };
  #onChange: (status: BfdStatus) => void = () => assert.fail("BFD is not watched");
  #established: () => void = () => assert.fail("there is no session");
  #down: () => void = () => assert.fail("there is no session");
  readonly #peer: BgpPeer;
  #isEstablished = false;
  #source: string | undefined;
  /** The router that is found, for a peer without an address. */
  router: FoundRouter["router"] = { missing: "nobody was heard" };
  /** The router closes its side of closed connections; until then no connection is closed. */
  readonly letClose: () => void;
  readonly #sessions = new RouterSessions(() => undefined);

  readonly #peerAsn: number;

  constructor(fields: string, peerAsn = 64513) {
    this.#peerAsn = peerAsn;
    const isEstablished = () => this.#isEstablished;
    const waiting: (() => void)[] = [];
    const closed = () => new Promise<void>((resolve) => waiting.push(resolve));
    this.letClose = () => {
      this.calls.push("closed");
      for (const resolve of waiting.splice(0)) resolve();
    };
    const session: BgpSession = {
      get established() {
        return isEstablished();
      },
      start: () => this.calls.push("start"),
      configure: (settings) => {
        this.calls.push("configure");
        this.#source = settings.sourceAddress?.toString();
        if (begunWith !== undefined && needsRestart(begunWith, settings)) this.#isEstablished = false;
      },
      routesChanged: () => {},
      addressesChanged: () => this.calls.push("addresses"),
      describe: () => ({ session: undefined }) as PeerView,
      reset: (cease, text) => this.calls.push(`reset ${cease}: ${text}`),
      retry: () => this.calls.push("retry"),
      close: (cease, text) => {
        this.calls.push(`close ${cease}: ${text}`);
        return closed();
      },
      closed,
    };
    const watch = (ends: BfdEnds, profile: BfdProfile, onChange: (status: BfdStatus) => void) => {
      this.calls.push(`watch ${ends.peer} ${profile.name}`);
      this.ends.push(`${ends.local}`);
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
    let begunWith: SessionSettings | undefined;
    const newSession: BgpPeerOptions["newSession"] = ({ settings, onEstablished, onDown }) => {
      begunWith = settings;
      this.#source = settings.sourceAddress?.toString();
      this.#established = () => onEstablished?.();
      this.#down = () => onDown?.();
      return session;
    };
    this.#peer = new BgpPeer(peer, {
      key: "r",
      newSession,
      bfd: { watch },
      routerOn: () => ({ router: this.router, others: [] }),
      sessions: this.#sessions,
      rivalOf: () => undefined,
      onEstablished: () => {},
      table: new NlriTable(),
      clock: new SimulatedClock(),
    });
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
    this.#isEstablished = true;
    this.#established();
    return this;
  }

  goesDown(): void {
    this.#isEstablished = false;
    this.#down();
  }

  addressesChanged(): void {
    this.#peer.addressesChanged();
  }

  /** Source in the session's latest settings. */
  get source(): string | undefined {
    return this.#source;
  }

  /** How many sessions another entry for the router has to wait for. */
  get closing(): number {
    return this.#sessions.closingOfOthers({}, address("192.0.2.1")).length;
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
  bench.established();
  bench.becomes("adminDown");
  assert.deepEqual(bench.calls.splice(2), ["watch by fast"]);
  bench.becomes("failed", "echo function failed");
  bench.becomes("up");
  assert.deepEqual(bench.calls.slice(2), ["close bfdDown: BFD: echo function failed", "start"]);
});

test("a strict session that is not established yet waits again once the router has taken BFD down", () => {
  const bench = new Bench(strict);
  bench.becomes("up");
  bench.becomes("adminDown", "the router has taken it down");
  assert.equal(bench.calls.at(-1), "close bfdDown: BFD: the router has taken it down");
  assert.ok(bench.waitsFor?.startsWith("BFD is not up"), bench.waitsFor);
  bench.becomes("up");
  assert.equal(bench.calls.at(-1), "start");
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

test("a session becomes strict: one that is up goes on until it ends, and one that is down ends and waits for BFD", () => {
  const up = new Bench("").established();
  up.configure(strict);
  assert.deepEqual(up.calls, ["start", "watch 192.0.2.1 fast"]);
  up.goesDown();
  assert.equal(up.calls.at(-1), "close bfdDown: BFD is not up, and bfd-strict is set");
  up.becomes("up");
  assert.equal(up.calls.at(-1), "start");
  const down = new Bench("");
  down.configure(strict);
  assert.deepEqual(down.calls.slice(1), ["close otherConfigurationChange: BFD is configured otherwise", "watch 192.0.2.1 fast"]);
  down.becomes("up");
  assert.equal(down.calls.at(-1), "start");
});

test("a session becomes strict together with settings that take another one: it goes on until BFD is up, or until it ends", () => {
  const otherwise = `${strict}, hold-time: 30s`;
  const callsOf = (bench: Bench) => bench.calls.splice(0).filter((call) => call !== "watch by fast");
  const up = new Bench("").established();
  up.configure(otherwise);
  assert.deepEqual(callsOf(up), ["start", "watch 192.0.2.1 fast"]);
  assert.ok(up.waitsFor?.startsWith("BFD is not up"), up.waitsFor);
  up.configure(otherwise);
  up.becomes("up");
  assert.deepEqual([callsOf(up), up.waitsFor], [["configure"], undefined]);
  const ended = new Bench("").established();
  ended.configure(otherwise);
  callsOf(ended);
  ended.goesDown();
  ended.becomes("up");
  assert.deepEqual(callsOf(ended), ["close bfdDown: BFD is not up, and bfd-strict is set", "configure", "start"]);
  const watched = new Bench("").established();
  watched.status = { verdict: "up", reason: "another peer at the same address has it watched" };
  watched.configure(otherwise);
  assert.deepEqual(callsOf(watched), ["start", "watch 192.0.2.1 fast", "configure"]);
  const again = new Bench(strict);
  again.becomes("up");
  again.established();
  again.becomes("adminDown");
  callsOf(again);
  again.configure(otherwise);
  assert.deepEqual(callsOf(again), [], "the router has ended BFD");
});

test("a session that need not be strict any more begins at once", () => {
  const bench = new Bench(strict);
  bench.configure(withBfd);
  assert.deepEqual(bench.calls.slice(1), ["watch by fast", "start"]);
});

test("another profile changes the session that is watched, and BGP goes on", () => {
  const bench = new Bench(withBfd).established();
  bench.becomes("up");
  bench.configure(", bfd-profile: slow");
  assert.deepEqual(bench.calls.slice(3), ["watch by slow"]);
});

test("a profile that an established peer gets starts BFD at once", () => {
  const bench = new Bench("").established();
  bench.configure(withBfd);
  assert.deepEqual(bench.calls, ["start", "watch 192.0.2.1 fast"]);
});

const fromEth0 = ", source-interface: eth0";

test("a session comes from an address of its source interface, waits for it, and goes to another one when that is gone", async (t) => {
  const interfaces = new NodeInterfaces(t);
  await interfaces.set(["2001:db8::1/64"]);
  const bench = new Bench(fromEth0);
  const becomes = async (...cidrs: string[]) => {
    await interfaces.set(cidrs);
    bench.addressesChanged();
    const calls = bench.calls.splice(0).filter((call) => call !== "addresses");
    return [calls.join(", "), bench.source, bench.waitsFor];
  };
  const nowhere = "interface eth0 has no IPv4 address to connect from";
  assert.deepEqual([bench.calls, bench.waitsFor], [[], nowhere]);
  assert.deepEqual(await becomes("192.0.2.7/24"), ["start", "192.0.2.7", undefined]);
  assert.deepEqual(await becomes("192.0.2.5/24", "192.0.2.7/24"), ["", "192.0.2.7", undefined]);
  assert.deepEqual(await becomes("192.0.2.5/24"), ["configure", "192.0.2.5", undefined]);
  assert.deepEqual(await becomes("2001:db8::1/64"), [`close otherConfigurationChange: ${nowhere}`, "192.0.2.5", nowhere]);
  assert.deepEqual(await becomes("2001:db8::2/64"), ["", "192.0.2.5", nowhere]);
  assert.deepEqual(await becomes("192.0.2.5/24"), ["start", "192.0.2.5", undefined]);
  void bench.close();
  bench.calls.splice(0);
  assert.equal((await becomes("192.0.2.9/24"))[0], "", "it has ended");
});

test("a source interface that is down lets no session begin, and keeps one whose address it still has", async (t) => {
  const interfaces = new NodeInterfaces(t);
  const nowhere = "interface lo is down, or has no address";
  const bench = new Bench(", source-interface: lo"); // Of this machine; the node that is simulated has only eth0 up.
  assert.deepEqual([bench.calls, bench.waitsFor], [[], nowhere]);
  for (const [has, waits] of [
    ["127.0.0.7", undefined],
    ["192.0.2.7", nowhere],
  ]) {
    await interfaces.set([`${has}/24`]);
    bench.configure(`, source-address: ${has}`);
    bench.configure(", source-interface: lo");
    assert.equal(bench.waitsFor, waits, has);
  }
});

test("BFD is between the session's ends, and a strict session awaits no BFD while it has no source", async (t) => {
  const interfaces = new NodeInterfaces(t);
  await interfaces.set([]);
  const bench = new Bench(`${fromEth0}${strict}`);
  bench.addressesChanged();
  assert.deepEqual([bench.calls, bench.ends], [[], []]);
  await interfaces.set(["192.0.2.7/24"]);
  bench.addressesChanged();
  assert.deepEqual(bench.ends, ["192.0.2.7"]);
  bench.becomes("up");
  assert.ok(bench.calls.includes("start"), `${bench.calls}`);
  await interfaces.set(["192.0.2.8/24"]);
  bench.addressesChanged();
  assert.deepEqual(bench.ends, ["192.0.2.7", "192.0.2.8"]);
});

test("a strict session whose source changes begins again when BFD is up from there", async () => {
  const bench = new Bench(`${strict}, source-address: 192.0.2.7`);
  bench.becomes("up");
  bench.established();
  const before = bench.calls.length;
  bench.status = { verdict: "unknown", reason: "nothing has been received from the peer yet" };
  bench.configure(`${strict}, source-address: 192.0.2.8`);
  assert.deepEqual(bench.calls.slice(before), [
    "close otherConfigurationChange: BFD is configured otherwise",
    "configure",
    "watch 192.0.2.1 fast",
  ]);
  assert.equal(bench.ends.at(-1), "192.0.2.8");
  bench.becomes("up");
  assert.equal(bench.calls.at(-1), "start");
  bench.letClose();
  await setImmediate();
  assert.equal(bench.calls.at(-1), "watch no more", "the former");
});

// BIRD and FRR take the end of a BFD session that is up for a failure, and BIRD lets the node have no BGP session for a minute then.
const ends: Readonly<Record<string, readonly [act: (bench: Bench) => unknown, ceases: string]>> = {
  "a peer that goes": [(bench) => void bench.close(), "close peerDeConfigured: gone"],
  "a profile that is taken off": [(bench) => bench.configure(""), "reset otherConfigurationChange: BFD is configured otherwise"],
  "a session that takes other settings": [(bench) => bench.configure(", bfd-profile: fast, hold-time: 30s"), "configure"],
  "other ends": [(bench) => bench.configure(", bfd-profile: fast, source-address: 192.0.2.9"), "configure"],
};
for (const [what, [act, ceases]] of Object.entries(ends))
  test(`${what}: BFD ends after the connection of BGP has, and tells nothing meanwhile; another entry for the router waits, too`, async () => {
    const bench = new Bench(withBfd).established();
    bench.becomes("up");
    const before = bench.calls.length;
    act(bench);
    await setImmediate();
    assert.ok(bench.calls.slice(before).includes(ceases), `${bench.calls}`);
    assert.ok(!bench.calls.includes("watch no more"), `${bench.calls}`);
    const meanwhile = bench.calls.length;
    bench.becomes("failed");
    assert.deepEqual([bench.calls.slice(meanwhile), bench.closing], [[], 1]);
    bench.letClose();
    await setImmediate();
    assert.deepEqual([bench.calls.slice(meanwhile), bench.closing], [["closed", "watch no more"], 0]);
  });

test("a profile that is taken off a peer whose path is not up ends BFD alone", async () => {
  const bench = new Bench(withBfd).established();
  bench.becomes("adminDown");
  bench.configure("");
  await setImmediate();
  assert.deepEqual(bench.calls.slice(2), ["watch no more"]);
});
