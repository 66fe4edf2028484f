import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Diagnostic, type State } from "../codec/control-codec.ts";
import { Bench, packet, parameters, sent } from "../testing/bench.ts";
import { nextDeadline } from "./session.ts";

suite("RFC 5880, section 6.1: overview", () => {
  test("a system in the active role sends at once, whether or not it has heard anything", () => {
    const [first] = sent(new Bench().wait(0));
    assert.deepEqual([first?.state, first?.yourDiscriminator], ["down", 0]);
  });

  test("a system in the passive role does not begin, and answers when it is spoken to", () => {
    const bench = new Bench({ passive: true });
    assert.equal(nextDeadline(bench.session), Infinity);
    assert.deepEqual(bench.wait(10_000), []);
    const [answer] = sent(bench.receive({ state: "down", yourDiscriminator: 0 }));
    assert.deepEqual([answer?.state, answer?.yourDiscriminator], ["init", 9]);
  });

  test("a passive system falls silent again once the peer has", () => {
    const bench = new Bench({ passive: true }).up();
    bench.wait(bench.now + 240);
    assert.equal(nextDeadline(bench.session), Infinity);
  });
});

suite("RFC 5880, section 6.2: the state machine", () => {
  const cases: { from: State; hears: State; to: State }[] = [
    { from: "down", hears: "down", to: "init" },
    { from: "down", hears: "init", to: "up" },
    { from: "down", hears: "up", to: "down" },
    { from: "down", hears: "adminDown", to: "down" },
    { from: "init", hears: "down", to: "init" },
    { from: "init", hears: "init", to: "up" },
    { from: "init", hears: "up", to: "up" },
    { from: "init", hears: "adminDown", to: "down" },
    { from: "up", hears: "down", to: "down" },
    { from: "up", hears: "init", to: "up" },
    { from: "up", hears: "up", to: "up" },
    { from: "up", hears: "adminDown", to: "down" },
    { from: "adminDown", hears: "down", to: "adminDown" },
    { from: "adminDown", hears: "init", to: "adminDown" },
    { from: "adminDown", hears: "up", to: "adminDown" },
    { from: "adminDown", hears: "adminDown", to: "adminDown" },
  ];
  for (const { from, hears, to } of cases)
    test(`${from} that hears ${hears} is ${to}`, () => {
      const bench = new Bench();
      if (from === "init") bench.receive({ state: "down" });
      if (from === "up") bench.up();
      if (from === "adminDown") bench.up().on({ type: "disable" });
      assert.equal(bench.session.state, from);
      const effects = bench.receive({ state: hears });
      assert.equal(bench.session.state, to);
      const changes = effects.filter(({ type }) => type === "changed");
      assert.deepEqual(changes, from === to ? [] : [{ type: "changed", from, to }]);
    });

  test("a change of state is told at once, not at the next regular time", () => {
    const bench = new Bench().up();
    const [news] = sent(bench.receive({ state: "down" }, bench.now + 1));
    assert.deepEqual([news?.state, news?.diagnostic], ["down", Diagnostic.neighborSignaledDown]);
  });
});

suite("RFC 5880, section 6.5: the poll sequence", () => {
  test("packets have the poll bit until one with the final bit comes", () => {
    const bench = new Bench();
    bench.receive({ state: "down" });
    const [polling] = sent(bench.receive({ state: "up" }));
    assert.deepEqual([polling?.poll, polling?.desiredMinTx], [true, 50]);
    assert.equal(sent(bench.wait(50))[0]?.poll, true);
    bench.receive({ final: true });
    assert.equal(sent(bench.wait(100))[0]?.poll, false);
  });

  test("a poll is answered at once, and the answer does not poll", () => {
    const bench = new Bench().up();
    const answers = sent(bench.receive({ poll: true }));
    assert.deepEqual(
      answers.map(({ poll, final }) => ({ poll, final })),
      [{ poll: false, final: true }],
    );
  });

  test("who polls and is polled sends both, one after the other", () => {
    const bench = new Bench();
    bench.receive({ state: "down" });
    const both = sent(bench.receive({ state: "up", poll: true }));
    assert.deepEqual(
      both.map(({ poll, final }) => ({ poll, final })),
      [
        { poll: false, final: true },
        { poll: true, final: false },
      ],
    );
  });

  test("a change during a poll needs another poll, whose answer alone counts", () => {
    const bench = new Bench().up();
    const slower = (transmitMs: number) => bench.on({ type: "configure", parameters: { ...parameters, transmitMs } });
    slower(200);
    slower(400);
    bench.receive({ final: true });
    assert.deepEqual([bench.session.poll, bench.session.transmitFloor], ["running", 50]);
    bench.receive({ final: true });
    assert.deepEqual([bench.session.poll, bench.session.transmitFloor], ["none", 400]);
  });

  test("another Required Min Echo RX is told by a poll: a peer in Demand mode gets no other packet", () => {
    const bench = new Bench({ echoReceiveMs: 20 }).up();
    bench.receive({ demand: true });
    for (const echoReceiveMs of [0, 20]) {
      const [poll] = sent(bench.on({ type: "configure", parameters: { ...parameters, echoReceiveMs } }));
      const [again] = sent(bench.wait(bench.now + 60));
      for (const packet of [poll, again]) assert.deepEqual([packet?.requiredMinEchoRx, packet?.poll], [echoReceiveMs, true]);
      bench.receive({ demand: true, final: true });
      assert.deepEqual(sent(bench.wait(bench.now + 100)), []);
    }
  });

  test("a final bit that nobody asked for ends nothing", () => {
    const bench = new Bench().up();
    bench.receive({ final: true });
    assert.equal(bench.session.poll, "none");
  });
});

suite("RFC 5880, section 6.6: demand mode of the peer", () => {
  test("periodic packets cease while both are up, polls are still answered, and changes still polled for", () => {
    const bench = new Bench().up();
    bench.receive({ demand: true });
    assert.deepEqual(sent(bench.wait(bench.now + 100)), []);
    assert.equal(sent(bench.receive({ demand: true, poll: true }))[0]?.final, true);
    const [poll] = sent(bench.on({ type: "configure", parameters: { ...parameters, transmitMs: 80 } }));
    assert.equal(poll?.poll, true);
    assert.equal(sent(bench.wait(bench.now + 80))[0]?.poll, true);
    bench.receive({ demand: true, final: true });
    assert.deepEqual(sent(bench.wait(bench.now + 100)), []);
  });

  test("they begin again when the peer wants them again, and when the session goes down", () => {
    const bench = new Bench().up();
    bench.receive({ demand: true });
    assert.equal(sent(bench.receive({}, bench.now + 60)).length, 1);
    bench.receive({ demand: true });
    assert.equal(sent(bench.receive({ demand: true, state: "down" }))[0]?.state, "down");
    assert.equal(sent(bench.wait(bench.now + 1000)).length, 1);
  });
});

suite("RFC 5880, section 6.8.1: state variables", () => {
  test("a session is down, knows nothing of the peer, and wants one packet a second", () => {
    const { session } = new Bench();
    assert.deepEqual([session.state, session.remote.state, session.remote.discriminator], ["down", "down", 0]);
    assert.deepEqual([session.desiredMinTx, session.remote.minRx, session.diagnostic], [1000, 0.001, Diagnostic.none]);
  });

  test("the peer's discriminator is forgotten after a detection time without a packet, in every state", () => {
    for (const state of ["down", "init", "up"] as const) {
      const bench = new Bench();
      if (state === "down") bench.receive({ state: "adminDown", yourDiscriminator: 0 });
      if (state === "init") bench.receive({ state: "down", yourDiscriminator: 0 });
      if (state === "up") bench.up();
      assert.deepEqual([bench.session.state, bench.session.remote.discriminator], [state, 9]);
      bench.wait(bench.session.detectAt - 0.001);
      assert.equal(bench.session.remote.discriminator, 9);
      bench.wait(bench.session.detectAt);
      assert.equal(bench.session.remote.discriminator, 0);
    }
  });
});

suite("RFC 5880, section 6.8.2: timer negotiation", () => {
  test("packets leave no faster than the peer receives, and no faster than we want", () => {
    const bench = new Bench().up({ requiredMinRx: 30 });
    assert.equal(bench.session.sendAt - bench.session.sentAt, 50);
    bench.receive({ requiredMinRx: 80 });
    bench.wait(bench.session.sendAt);
    assert.equal(bench.session.sendAt - bench.session.sentAt, 80);
  });

  test("a packet leaves once three quarters of its interval have passed if the thread is awake, and not before", () => {
    const bench = new Bench().up({ requiredMinRx: 30 });
    const { sentAt } = bench.session;
    assert.deepEqual(sent(bench.wait(sentAt + 0.74 * 50)), []);
    assert.equal(sent(bench.wait(sentAt + 0.75 * 50)).length, 1);
    assert.equal(bench.session.sendAt, sentAt + 1.75 * 50);
  });
});

suite("RFC 5880, section 6.8.3: timer manipulation", () => {
  test("not up, no packets are wanted more often than once a second", () => {
    const bench = new Bench();
    assert.equal(sent(bench.wait(0))[0]?.desiredMinTx, 1000);
    bench.chance = 0;
    bench.wait(bench.session.sendAt);
    assert.equal(bench.session.sendAt - bench.session.sentAt, 750);
    bench.up();
    bench.receive({ state: "down" });
    assert.equal(bench.session.desiredMinTx, 1000);
  });

  test("a longer interval of ours counts for sending when the poll has ended, and is said before", () => {
    const bench = new Bench().up();
    const [poll] = sent(bench.on({ type: "configure", parameters: { ...parameters, transmitMs: 500 } }));
    assert.deepEqual([poll?.poll, poll?.desiredMinTx], [true, 500]);
    assert.equal(bench.session.sendAt - bench.now, 50);
    bench.receive({ final: true });
    bench.wait(bench.session.sendAt);
    assert.equal(bench.session.sendAt - bench.now, 500);
  });

  test("a shorter interval of ours counts for sending at once", () => {
    const bench = new Bench().up();
    bench.on({ type: "configure", parameters: { ...parameters, transmitMs: 35 } });
    assert.equal(bench.session.sendAt - bench.now, 35);
  });

  test("a shorter interval for receiving counts for detection when the poll has ended", () => {
    const bench = new Bench().up();
    assert.equal(bench.session.detectAt - bench.now, 4 * 60);
    const [poll] = sent(bench.on({ type: "configure", parameters: { ...parameters, receiveMs: 45 } }));
    assert.deepEqual([poll?.poll, poll?.requiredMinRx], [true, 45]);
    bench.receive();
    assert.equal(bench.session.detectAt - bench.now, 4 * 60);
    bench.receive({ final: true });
    assert.equal(bench.session.detectAt - bench.now, 4 * 45);
  });

  test("a longer interval for receiving counts for detection at once", () => {
    const bench = new Bench().up();
    bench.on({ type: "configure", parameters: { ...parameters, receiveMs: 100 } });
    assert.equal(bench.session.detectAt - bench.now, 4 * 100);
  });

  test("a peer that receives faster is served at once", () => {
    for (const { after, sendsNow } of [
      { after: 20, sendsNow: false },
      { after: 200, sendsNow: true },
    ]) {
      const bench = new Bench({ receiveMs: 5000 }).up({ requiredMinRx: 5000 });
      bench.wait(bench.session.sendAt);
      const { sentAt } = bench.session;
      assert.equal(sent(bench.receive({ requiredMinRx: 30 }, bench.now + after)).length, sendsNow ? 1 : 0);
      assert.equal(bench.session.sendAt, (sendsNow ? bench.now : sentAt) + 50);
    }
  });

  test("a change of parameters changes no state", () => {
    const bench = new Bench().up();
    const effects = bench.on({
      type: "configure",
      parameters: { ...parameters, multiplier: 5, transmitMs: 500, receiveMs: 500 },
    });
    assert.deepEqual([bench.session.state, effects.filter(({ type }) => type === "changed")], ["up", []]);
    assert.equal(sent(effects)[0]?.multiplier, 5);
  });
});

suite("RFC 5880, section 6.8.4: calculating the detection time", () => {
  test("it is the peer's multiplier times the slower of its sending and our receiving", () => {
    const bench = new Bench().up({ multiplier: 5, desiredMinTx: 70 });
    assert.equal(bench.session.detectAt - bench.now, 5 * 70);
  });

  for (const from of ["init", "up"] as const)
    test(`when it passes in ${from}, the session goes down because of that`, () => {
      const bench = new Bench();
      bench.receive({ state: "down" });
      if (from === "up") bench.up();
      assert.deepEqual(
        bench.wait(bench.session.detectAt - 0.01).filter(({ type }) => type === "changed"),
        [],
      );
      const effects = bench.wait(bench.session.detectAt);
      assert.deepEqual(effects.at(-1), { type: "changed", from, to: "down" });
      assert.equal(sent(effects)[0]?.diagnostic, Diagnostic.detectionTimeExpired);
    });

  test("a packet counts from when it arrived, however long it waited here", () => {
    const bench = new Bench().up();
    const { now } = bench;
    bench.receive({}, now + 50, now + 20);
    assert.equal(bench.session.detectAt, now + 20 + 4 * 60);
    bench.receive({}, now + 60, now - 1_000); // The date was set meanwhile.
    assert.equal(bench.session.detectAt, now + 20 + 4 * 60);
  });

  test("time in which nobody listened is no silence: as much is waited again, once", () => {
    const bench = new Bench().up();
    const { detectAt } = bench.session;
    bench.wait(detectAt + 30, 40);
    assert.equal(bench.session.state, "up");
    assert.equal(bench.session.detectAt, detectAt + 30 + 40);
    bench.wait(bench.session.detectAt + 5, 5);
    assert.equal(bench.session.state, "down");
  });

  test("after a stall of any length, one detection time is enough", () => {
    const bench = new Bench().up();
    bench.wait(1e6, 1e6);
    assert.equal(bench.session.detectAt - bench.now, 4 * 60);
  });

  test("a packet that comes after a stall makes the next stall excusable", () => {
    const bench = new Bench().up();
    bench.wait(bench.session.detectAt, 40);
    bench.receive();
    bench.wait(bench.session.detectAt, 40);
    assert.equal(bench.session.state, "up");
  });
});

suite("RFC 5880, section 6.8.6: reception", () => {
  test("going down because the peer says so has that for a reason", () => {
    for (const state of ["down", "adminDown"] as const) {
      const bench = new Bench().up();
      bench.receive({ state });
      assert.equal(bench.session.diagnostic, Diagnostic.neighborSignaledDown);
    }
  });

  test("the reason of the last failure is told until the session is up again", () => {
    const bench = new Bench().up();
    bench.receive({ state: "down" });
    assert.equal(sent(bench.receive({ state: "down" }))[0]?.diagnostic, Diagnostic.neighborSignaledDown);
    assert.equal(sent(bench.receive({ state: "init" }))[0]?.diagnostic, Diagnostic.none);
  });

  test("who is administratively down answers no poll", () => {
    const bench = new Bench().up();
    bench.on({ type: "disable" });
    assert.deepEqual(bench.receive({ poll: true }), []);
  });
});

suite("RFC 5880, section 6.8.7: transmission", () => {
  for (const { multiplier, least, most } of [
    { multiplier: 3, least: 0.75, most: 1 },
    { multiplier: 1, least: 0.75, most: 0.9 },
  ])
    test(`with multiplier ${multiplier} the interval varies between ${least} and ${most} of itself`, () => {
      for (const [chance, part] of [
        [0, least],
        [1, most],
      ] as const) {
        const bench = new Bench({ multiplier }).up();
        bench.chance = chance;
        bench.wait(bench.session.sendAt);
        assert.equal(bench.session.sendAt - bench.session.sentAt, 50 * part);
      }
    });

  test("a peer that wants no periodic packets gets none, but answers", () => {
    const bench = new Bench().up();
    bench.receive({ requiredMinRx: 0 });
    assert.deepEqual(sent(bench.wait(bench.now + 100)), []);
    assert.equal(sent(bench.receive({ requiredMinRx: 0, poll: true })).length, 1);
  });

  test("what is sent is the session's", () => {
    const bench = new Bench({ echoReceiveMs: 20 }).up();
    const [any] = sent(bench.wait(bench.session.sendAt));
    assert.deepEqual(
      any,
      packet({
        multiplier: 3,
        myDiscriminator: 7,
        yourDiscriminator: 9,
        desiredMinTx: 50,
        requiredMinRx: 60,
        requiredMinEchoRx: 20,
      }),
    );
  });
});

suite("RFC 5880, sections 6.4, 6.8.5, 6.8.8 and 6.8.9: the echo function", () => {
  const echoing = () => new Bench({ echoMs: 20 }).up({ requiredMinEchoRx: 25 });
  const kinds = (effects: readonly { readonly type: string }[]) => effects.map(({ type }) => type);

  test("echoes are sent while both are up, as often as the peer takes them", () => {
    const bench = echoing();
    assert.equal(bench.session.echo.sendAt - bench.now, 25);
    bench.chance = 0;
    assert.deepEqual(kinds(bench.wait(bench.session.echo.sendAt)), ["sendEcho"]);
    assert.equal(bench.session.echo.sendAt - bench.now, 0.75 * 25);
  });

  test("none is sent to a peer that does not loop them back, and they cease when it no longer does", () => {
    assert.equal(new Bench({ echoMs: 20 }).up().session.echo.sendAt, Infinity);
    const bench = echoing();
    bench.on({ type: "echo" });
    bench.receive({ requiredMinEchoRx: 0 });
    assert.deepEqual(bench.session.echo, { sendAt: Infinity, detectAt: Infinity });
  });

  test("none is sent before both are up", () => {
    const bench = new Bench({ echoMs: 20 });
    bench.receive({ state: "init", requiredMinEchoRx: 25 });
    assert.deepEqual([bench.session.state, bench.session.echo.sendAt], ["up", Infinity]);
    assert.deepEqual(kinds(bench.receive({ requiredMinEchoRx: 25 })), ["sendEcho"]);
  });

  test("once one has come back, control packets may be slow; the peer is asked by a poll", () => {
    const bench = echoing();
    assert.equal(bench.session.requiredMinRx, 60);
    const [poll] = sent(bench.on({ type: "echo" }));
    assert.deepEqual([poll?.requiredMinRx, poll?.poll], [1000, true]);
  });

  test("when they no longer come back, the session goes down because of that, and begins without trust", () => {
    const bench = echoing();
    bench.on({ type: "echo" });
    assert.equal(bench.session.echo.detectAt - bench.now, 3 * 25);
    const effects = bench.wait(bench.session.echo.detectAt);
    assert.equal(sent(effects)[0]?.diagnostic, Diagnostic.echoFailed);
    assert.deepEqual([bench.session.state, bench.session.requiredMinRx], ["down", 60]);
  });

  test("where they are to come less often, the pause until the next one is no failure", () => {
    const bench = echoing();
    bench.wait(bench.session.echo.sendAt);
    bench.on({ type: "echo" });
    bench.receive({ requiredMinEchoRx: 1000 });
    bench.wait(bench.session.echo.sendAt); // This one is lost.
    const next = bench.session.echo.sendAt;
    for (let at = bench.now; at < next; at += 40) bench.receive({ requiredMinEchoRx: 1000 }, at);
    bench.wait(bench.now);
    assert.equal(bench.session.state, "up");
  });

  test("one that never came back brings nothing down: control packets detect", () => {
    const bench = echoing();
    for (let i = 0; i < 100; i++) {
      bench.receive({ requiredMinEchoRx: 25 }, bench.now + 40);
      bench.wait(bench.now);
    }
    assert.deepEqual([bench.session.state, bench.session.echo.detectAt], ["up", Infinity]);
  });

  test("one that comes back late is of no session that is down", () => {
    const bench = echoing();
    bench.receive({ state: "down" });
    bench.on({ type: "echo" });
    assert.equal(bench.session.echo.detectAt, Infinity);
  });
});

suite("RFC 5880, section 6.8.16: administrative control", () => {
  test("who gives a session up says so at once and goes on saying it, once a second", () => {
    const bench = new Bench().up();
    const [farewell] = sent(bench.on({ type: "disable" }));
    assert.deepEqual([farewell?.state, farewell?.diagnostic], ["adminDown", Diagnostic.administrativelyDown]);
    assert.equal(sent(bench.wait(bench.now + 1000))[0]?.state, "adminDown");
  });
});
