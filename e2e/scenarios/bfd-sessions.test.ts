import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BirdBfd, every, OurSessions } from "#e2e/bfd";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { Bfdd, routerRefusal } from "#e2e/routers";

const [local, peer] = ["10.0.0.1", "10.0.0.2"];
const theirEnd = `${local} local-address ${peer} interface eth0`;

async function build() {
  const lab = await Lab.start();
  const lan = await lab.switch("lan");
  const us = await lab.host("us");
  await us.attach(lan, { addresses: [`${local}/24`] });
  const them = await lab.host("them");
  await them.attach(lan, { addresses: [`${peer}/24`] });
  return { lab, us, them };
}

suite("BFD sessions with FRR", { skip: await routerRefusal("frr") }, () => {
  let lab: Lab;
  let us: Host;
  let them: Host;
  before(async () => {
    ({ lab, us, them } = await build());
  });
  after(() => lab?.[Symbol.asyncDispose]());

  const startFrr = (...settings: readonly string[]) => Bfdd.start(lab, them, [{ peer: theirEnd, settings }]);

  test("parameters change on both sides, both ways, without a flap", async () => {
    await using bfdd = await startFrr("transmit-interval 300", "receive-interval 300");
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(300) }]);
    await ours.reaches(peer, "up");
    const agreed = async () => {
      const { transmitMs, detectionMs } = (await ours.describe(peer))?.session ?? {};
      return `${transmitMs}/${detectionMs}`;
    };
    const steps: { change: () => Promise<void>; agreed: string }[] = [
      { change: () => ours.configure(peer, every(50)), agreed: "300/900" },
      {
        change: () => bfdd.configure({ peer: theirEnd, settings: ["transmit-interval 50", "receive-interval 50"] }),
        agreed: "50/150",
      },
      { change: () => ours.configure(peer, every(500, { detectMultiplier: 5 })), agreed: "500/1500" },
      { change: () => bfdd.configure({ peer: theirEnd, settings: ["detect-multiplier 4"] }), agreed: "500/2000" },
      { change: () => ours.configure(peer, every(100)), agreed: "100/400" },
      {
        change: () => bfdd.configure({ peer: theirEnd, settings: ["transmit-interval 700", "receive-interval 600"] }),
        agreed: "600/2800",
      },
    ];
    for (const step of steps) {
      await step.change();
      await waitFor(`agreement on ${step.agreed}`, async () => (await agreed()) === step.agreed);
    }
    await sleep(3_000);
    assert.deepEqual(
      ours.statuses(peer).map(({ verdict }) => verdict),
      ["up"],
    );
    assert.equal((await bfdd.counters(local))?.["session-down"], 0);
  });

  test("a session that FRR shuts is no failure, and comes back", async () => {
    await using bfdd = await startFrr("transmit-interval 100", "receive-interval 100");
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    await ours.reaches(peer, "up");
    await bfdd.configure({ peer: theirEnd, settings: ["shutdown"] });
    const { reason } = await ours.reaches(peer, "adminDown");
    assert.equal(reason, "the peer signals administratively down");
    await bfdd.configure({ peer: theirEnd, settings: ["no shutdown"] });
    await ours.reaches(peer, "up");
  });

  for (const [how, end] of [
    ["that is removed", (ours: OurSessions) => ours.remove(peer)],
    ["of a process that is stopped", (ours: OurSessions) => ours.process.stop()],
  ] as const)
    test(`FRR sees that a session ${how} was ended on purpose`, async () => {
      await using bfdd = await startFrr("transmit-interval 100", "receive-interval 100");
      await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
      await ours.reaches(peer, "up");
      await end(ours);
      await waitFor("FRR to be down", async () => (await bfdd.status(local))?.status === "down");
      const status = await bfdd.status(local);
      assert.equal(status?.["remote-diagnostic"], "administratively down");
      assert.equal(status?.diagnostic, "neighbor signaled session down");
    });

  test("a process that is killed is found by FRR, and another one is welcome", async () => {
    await using bfdd = await startFrr("transmit-interval 100", "receive-interval 100");
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    await ours.reaches(peer, "up");
    ours.process.kill("SIGKILL");
    await waitFor("FRR to be down", async () => (await bfdd.status(local))?.diagnostic === "control detection time expired");
    await ours.process.exited;
    await using again = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    await again.reaches(peer, "up");
  });

  test("our process that stands still for longer than the detection time does not blame the peer", async () => {
    await using _ = await startFrr("transmit-interval 100", "receive-interval 100");
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    await ours.reaches(peer, "up");
    ours.process.kill("SIGSTOP");
    await sleep(1_500);
    ours.process.kill("SIGCONT");
    const { reason } = await ours.passes(peer, "failed"); // FRR could not know.
    assert.equal(reason, "the peer signals control detection time expired");
    await ours.reaches(peer, "up");
  });
});

suite("BFD sessions with BIRD", { skip: await routerRefusal("bird") }, () => {
  let lab: Lab;
  let us: Host;
  let them: Host;
  before(async () => {
    ({ lab, us, them } = await build());
  });
  after(() => lab?.[Symbol.asyncDispose]());

  const startBird = (...rules: readonly string[]) =>
    BirdBfd.start(lab, them, 'interface "*" { interval 100 ms; multiplier 3; };', ...rules, `neighbor ${local} local ${peer};`);

  test("a passive session waits for the peer, and works once it has spoken", async () => {
    const settings = every(100, { passiveMode: true });
    await using ours = await OurSessions.start(us, [{ peer, local, settings }]);
    await sleep(1_200);
    assert.equal((await ours.counters()).sessions[0]?.controlOut, 0);
    await using _ = await startBird();
    await ours.reaches(peer, "up");
  });

  test("a peer that wants authentication is refused, and counted", async () => {
    const rule = 'interface "*" { authentication simple; password "x"; };';
    await using _ = await BirdBfd.start(lab, them, rule, `neighbor ${local} local ${peer};`);
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    await waitFor("packets to be counted", async () => (await ours.counters()).ignored.authentication > 1);
    assert.deepEqual(ours.statuses(), []);
  });

  test("where another program has the port, sessions report it and take it when it is free", async () => {
    const blocker = await BirdBfd.start(lab, us, "neighbor 10.0.0.9;");
    await using _ = await startBird();
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    const problem = await waitFor("the problem to be reported", async () => (await ours.describe(peer))?.session.problem);
    assert.match(problem, /^Cannot open UDP port 3784 for IPv4: bind: EADDRINUSE, .* another program on this node runs BFD/);
    await blocker[Symbol.asyncDispose]();
    await ours.reaches(peer, "up");
    assert.equal((await ours.describe(peer))?.session.problem, undefined);
  });

  test("packets that come over a router are not those of a neighbor", async () => {
    await using ours = await OurSessions.start(us, [{ peer, local, settings: every(100) }]);
    // A down packet as any neighbor sends it, but with TTL 64.
    const bytes = "\\x20\\x40\\x03\\x18\\0\\0\\0\\x09\\0\\0\\0\\0\\0\\x0f\\x42\\x40\\0\\x0f\\x42\\x40\\0\\0\\0\\0";
    await waitFor("one to be counted", async () => {
      await them.output(["bash", "-c", `printf '${bytes}' >/dev/udp/${local}/3784`]);
      return (await ours.counters()).ignored.ttl > 0;
    });
    assert.equal((await ours.describe(peer))?.session.remoteDiscriminator, 0);
  });

  test("a multihop session reports which TTL it refuses", async () => {
    const settings = every(100, { minimumTtl: 254 });
    await using ours = await OurSessions.start(us, [{ peer, local, multihop: true, settings }]);
    await using _ = await startBird(`multihop { interval 100 ms; };`, `neighbor ${local} local ${peer} multihop;`);
    const problem = await waitFor("the problem to be reported", async () => (await ours.describe(peer))?.session.problem);
    assert.equal(problem, "the peer's packets come with TTL 64, below the profile's minimum-ttl of 254");
    await ours.configure(peer, every(100, { minimumTtl: 60 }));
    await ours.reaches(peer, "up");
  });
});
