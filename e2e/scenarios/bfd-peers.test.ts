import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { BirdBfd, bfdRefusal, every, losePackets, OurSessions } from "#e2e/bfd";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { Bfdd } from "#e2e/routers";

interface Ends {
  readonly ours: string;
  readonly theirs: string;
  readonly multihop: boolean;
  /** Whether the address is link-local, and needs an interface. */
  readonly scoped: boolean;
}

/** The other end, by any program. */
interface Peer extends AsyncDisposable {
  isUp(): Promise<boolean>;
  /** How often it may send echoes, where it tells that. */
  echoMs?(): Promise<number | undefined>;
  /** Ends it without a word. */
  kill(): void;
}

const ways = ["IPv4", "IPv6", "IPv6 link-local", "IPv4 over a router", "IPv6 over a router"] as const;
const intervalMs = 250; // Detection in 750 ms: daemons on a slow machine are late by 300 ms now and then.

/** Our host and another on one link, and a third behind a router. */
async function build() {
  const lab = await Lab.start();
  const [near, far] = [await lab.switch("near"), await lab.switch("far")];
  const us = await lab.host("us");
  await us.attach(near, { mac: "02:00:00:00:00:01", addresses: ["10.0.0.1/24", "fd00::1/64"] });
  const neighbor = await lab.host("neighbor");
  await neighbor.attach(near, { mac: "02:00:00:00:00:02", addresses: ["10.0.0.2/24", "fd00::2/64"] });
  const router = await lab.host("router", { forwarding: true });
  await router.attach(near, { addresses: ["10.0.0.254/24", "fd00::fe/64"] });
  await router.attach(far, { addresses: ["10.0.1.254/24", "fd00:1::fe/64"] });
  const distant = await lab.host("distant");
  await distant.attach(far, { addresses: ["10.0.1.2/24", "fd00:1::2/64"] });
  await us.route("10.0.1.0/24", "10.0.0.254");
  await us.route("fd00:1::/64", "fd00::fe");
  await distant.route("10.0.0.0/24", "10.0.1.254");
  await distant.route("fd00::/64", "fd00:1::fe");
  const ends: Record<(typeof ways)[number], Ends> = {
    IPv4: { ours: "10.0.0.1", theirs: "10.0.0.2", multihop: false, scoped: false },
    IPv6: { ours: "fd00::1", theirs: "fd00::2", multihop: false, scoped: false },
    "IPv6 link-local": { ours: "fe80::ff:fe00:1", theirs: "fe80::ff:fe00:2", multihop: false, scoped: true },
    "IPv4 over a router": { ours: "10.0.0.1", theirs: "10.0.1.2", multihop: true, scoped: false },
    "IPv6 over a router": { ours: "fd00::1", theirs: "fd00:1::2", multihop: true, scoped: false },
  };
  return { lab, us, hostOf: ({ multihop }: Ends) => (multihop ? distant : neighbor), ends };
}

type Place = Awaited<ReturnType<typeof build>>;

function bfddPeer({ ours, theirs, multihop }: Ends): string {
  return `${ours} ${multihop ? "multihop " : ""}local-address ${theirs}${multihop ? "" : " interface eth0"}`;
}

const peers: Record<string, (place: Place, host: Host, ends: Ends) => Promise<Peer>> = {
  async FRR({ lab }, host, ends) {
    const ttl = ends.multihop ? ["minimum-ttl 1"] : [];
    const settings = [`transmit-interval ${intervalMs}`, `receive-interval ${intervalMs}`, ...ttl];
    const bfdd = await Bfdd.start(lab, host, [{ peer: bfddPeer(ends), settings }]);
    return {
      isUp: async () => (await bfdd.status(ends.ours))?.status === "up",
      echoMs: async () => (await bfdd.status(ends.ours))?.["remote-echo-receive-interval"],
      kill: () => bfdd.process.kill("SIGKILL"),
      [Symbol.asyncDispose]: () => bfdd[Symbol.asyncDispose](),
    };
  },
  async BIRD({ lab }, host, { ours, theirs, multihop, scoped }) {
    const where = multihop ? `local ${theirs} multihop` : scoped ? 'dev "eth0"' : `local ${theirs}`;
    const times = `interval ${intervalMs} ms; multiplier 3;`;
    const rules = [`interface "*" { ${times} };`, `multihop { ${times} };`, `neighbor ${ours} ${where};`];
    const bird = await BirdBfd.start(lab, host, ...rules);
    return {
      isUp: async () => (await bird.state(ours)) === "Up",
      kill: () => bird.process.kill("SIGKILL"),
      [Symbol.asyncDispose]: () => bird[Symbol.asyncDispose](),
    };
  },
};

for (const [kind, start] of Object.entries(peers)) {
  const skip = await bfdRefusal(kind === "FRR" ? "frr" : "bird");
  suite(`BFD with ${kind}`, { skip }, () => {
    let place: Place;
    before(async () => {
      place = await build();
    });
    after(() => place?.lab[Symbol.asyncDispose]());

    for (const way of ways)
      test(`${way}: up, cut both ways and one way and healed, and down when the peer dies`, async () => {
        const { us } = place;
        const ends = place.ends[way];
        const { ours: local, theirs, multihop } = ends;
        const host = place.hostOf(ends);
        await using peer = await start(place, host, ends);
        // BIRD sends with the TTL of any other packet over several hops, 64.
        const settings = every(intervalMs, { minimumTtl: 60 });
        const name = ends.scoped ? { interface: "eth0" } : {};
        await using ours = await OurSessions.start(us, [{ peer: theirs, local, multihop, settings, ...name }]);
        await ours.reaches(theirs, "up");
        await waitFor("the peer to be up", () => peer.isUp());
        // Over several hops FRR tells its interval too, and a program in FRR's place should as well; our host here forwards nothing.
        const echoMs = await peer.echoMs?.();
        if (echoMs !== undefined) assert.equal(echoMs, multihop ? 50 : 0);

        for (const directions of [["input", "output"], ["input"], ["output"]] as const) {
          {
            await using _ = await losePackets(us, directions);
            const { reason } = await ours.reaches(theirs, "failed");
            // The side that receives nothing detects it; the other learns it from the peer.
            assert.match(reason, directions[0] === "output" ? /^the peer signals control detection time expired$/ : /^control/);
            await waitFor("the peer to be down", async () => !(await peer.isUp()));
          }
          await ours.reaches(theirs, "up");
        }
        const { sessions } = await ours.counters();
        assert.deepEqual(
          sessions.map(({ upEvents, downEvents }) => [upEvents, downEvents]),
          [[4, 3]],
        );
        peer.kill();
        await ours.reaches(theirs, "failed");
      });
  });
}
