import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bfdRefusal, every, losePackets, OurSessions } from "#e2e/bfd";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { Bfdd } from "#e2e/routers";

const ends = {
  IPv4: { ours: "10.0.0.1", theirs: "10.0.0.2" },
  IPv6: { ours: "fd00::1", theirs: "fd00::2" },
} as const;
const settings = every(100, { echoMode: true, echoIntervalMs: 50 });
/** Settings of a profile without `receive-interval`. */
const withoutReceive = { ...settings, hasReceiveInterval: false };

const skip = await bfdRefusal("frr");
suite("BFD echoes between us and FRR", { skip }, () => {
  let lab: Lab;
  let us: Host;
  let frr: Host;
  before(async () => {
    lab = await Lab.start();
    const lan = await lab.switch("lan");
    us = await lab.host("us", { forwarding: true });
    await us.attach(lan, { addresses: ["10.0.0.1/24", "fd00::1/64"] });
    frr = await lab.host("frr", { forwarding: true });
    await frr.attach(lan, { addresses: ["10.0.0.2/24", "fd00::2/64"] });
  });
  after(() => lab?.[Symbol.asyncDispose]());

  const start = async (family: keyof typeof ends, profile: typeof settings = settings) => {
    const { ours: local, theirs } = ends[family];
    await using stack = new AsyncDisposableStack();
    const peer = `${local} local-address ${theirs} interface eth0`;
    const bfdd = stack.use(
      await Bfdd.start(lab, frr, [
        { peer, settings: ["transmit-interval 100", "receive-interval 100", "echo-mode", "echo transmit-interval 50"] },
      ]),
    );
    const ours = stack.use(await OurSessions.start(us, [{ peer: theirs, local, settings: profile }]));
    const owned = stack.move();
    return { bfdd, ours, peer: theirs, local, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };

  for (const family of ["IPv4", "IPv6"] as const)
    test(`${family}: both sides' echoes come back, and control packets become slow`, async () => {
      await using both = await start(family, withoutReceive);
      const { bfdd, ours, peer, local } = both;
      await waitFor("echoes to be in use", async () => (await ours.describe(peer))?.session.echo === "active");
      await waitFor("FRR to send a control packet a second", async () => {
        const session = (await ours.describe(peer))?.session;
        return session?.detectionMs === 3_000;
      });
      const before = await bfdd.counters(local);
      await waitFor("FRR's echoes to come back", async () => {
        const now = await bfdd.counters(local);
        return (now?.["echo-packet-input"] ?? 0) > (before?.["echo-packet-input"] ?? 0) + 10;
      });
      const roundTripMs = (await ours.describe(peer))?.session.echoRoundTripMs;
      assert.ok(roundTripMs !== undefined && roundTripMs > 0, `${roundTripMs}`);
      const { sessions } = await ours.counters();
      assert.deepEqual(
        sessions.map(({ upEvents, downEvents, echoIn }) => ({ upEvents, downEvents, echoes: echoIn > 10 })),
        [{ upEvents: 1, downEvents: 0, echoes: true }],
      );
    });

  test("a configured receive-interval is kept while echoing", async () => {
    await using both = await start("IPv4");
    const { ours, peer } = both;
    await waitFor("echoes to be in use", async () => (await ours.describe(peer))?.session.echo === "active");
    await sleep(1_500);
    const session = (await ours.describe(peer))?.session;
    assert.deepEqual([session?.echo, session?.detectionMs], ["active", 300]);
  });

  test("without echo-mode FRR may send echoes all the same, as often as the profile's echo-interval", async () => {
    await using both = await start("IPv4", every(100, { echoMode: false }));
    const { bfdd, ours, peer, local } = both;
    await ours.reaches(peer, "up");
    await waitFor("FRR to know", async () => (await bfdd.status(local))?.["remote-echo-receive-interval"] === 50);
    await waitFor("FRR's echoes to come back", async () => ((await bfdd.counters(local))?.["echo-packet-input"] ?? 0) > 10);
  });

  test("a path that loses echoes is down although control packets pass, and comes back on those alone", async () => {
    await using both = await start("IPv4");
    const { ours, peer } = both;
    await waitFor("echoes to be in use", async () => (await ours.describe(peer))?.session.echo === "active");
    const seen = ours.statuses(peer).length;
    await using _ = await losePackets(frr, ["forward"]);
    const { reason } = await ours.passes(peer, "failed", { seen });
    // The session whose echo was due first fails.
    assert.match(reason, /echo function failed$/);
    await ours.reaches(peer, "up");
    assert.equal((await ours.describe(peer))?.session.echo, "unanswered");
  });

  test("echoes that never came back bring nothing down", async () => {
    await using _ = await losePackets(frr, ["forward"]);
    await using both = await start("IPv4");
    const { ours, peer } = both;
    await ours.reaches(peer, "up");
    await waitFor("many echoes to be sent", async () => ((await ours.counters()).sessions[0]?.echoOut ?? 0) > 20);
    const [session] = (await ours.counters()).sessions;
    assert.deepEqual([session?.downEvents, session?.echoIn], [0, 0]);
    assert.equal((await ours.describe(peer))?.session.detectionMs, 300);
  });

  test("a node that does not forward does not offer to return echoes, gives the reason, and offers it when it does", async () => {
    await us.sysctl({ "net.ipv4.ip_forward": 0 });
    await using both = await start("IPv4");
    const { bfdd, ours, peer, local } = both;
    await ours.reaches(peer, "up");
    await waitFor("FRR to know", async () => (await bfdd.status(local))?.["remote-echo-receive-interval"] === 0);
    assert.match((await ours.describe(peer))?.session.problem ?? "", /net\.ipv4\.ip_forward is 0, and has to be 1$/);
    await us.sysctl({ "net.ipv4.ip_forward": 1 });
    await waitFor("FRR to know", async () => (await bfdd.status(local))?.["remote-echo-receive-interval"] === 50);
    await waitFor("FRR's echoes to come back", async () => ((await bfdd.counters(local))?.["echo-packet-input"] ?? 0) > 10);
    await waitFor("both sides to be content", async () => (await ours.describe(peer))?.session.problem === undefined);
  });
});
