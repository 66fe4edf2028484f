import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Beginning, type HeardClaim, Tenancy, type TenancyEffect } from "./tenancy.ts";

const stranger = "02:00:00:00:00:99";
const speaker = "02:00:00:00:00:02";
const seen = { interface: "eth0", ownMac: "02:00:00:00:00:01" };

function claim(kind: HeardClaim["kind"], changes: Partial<HeardClaim> = {}): HeardClaim {
  return { ...seen, mac: stranger, kind, by: undefined, ...changes };
}

function bySpeaker(kind: HeardClaim["kind"], by: { preferred: boolean; active?: boolean }): HeardClaim {
  return claim(kind, { mac: speaker, by: { node: "node2", active: false, ...by } });
}

function print(effect: TenancyEffect): string {
  switch (effect.type) {
    case "ask":
      return `ask ${effect.to ?? "all"}${effect.openly ? " openly" : ""}`;
    case "conflictBegan":
    case "conflictEnded":
    case "occupied":
    case "wanted":
      return `${effect.type} ${effect.rival.node ?? effect.rival.mac}${effect.rival.followed ? " followed" : ""}`;
    default:
      return effect.type;
  }
}

/** A tenancy, the time, and a transcript of lines "time: effect". */
class Bench {
  readonly tenancy: Tenancy;
  readonly lines: string[] = [];
  now = 0;
  /** What answers a question to this MAC address. */
  readonly answers = new Map<string, HeardClaim>();

  constructor(beginning: Beginning) {
    this.tenancy = new Tenancy(beginning, 0, () => 1000);
    this.until(0);
  }

  until(end: number): this {
    while (this.tenancy.nextAt <= end) {
      this.now = Math.max(this.now, this.tenancy.nextAt);
      this.#carryOut(this.tenancy.tick(this.now));
    }
    this.now = end;
    return this;
  }

  hear(heard: HeardClaim): this {
    this.#carryOut(this.tenancy.heard(heard, this.now));
    return this;
  }

  take(): string[] {
    return this.lines.splice(0);
  }

  #carryOut(effects: readonly TenancyEffect[]): void {
    for (const effect of effects) this.lines.push(`${this.now}: ${print(effect)}`);
    for (const effect of effects) {
      if (effect.type !== "ask" || effect.to === undefined) continue;
      const answer = this.answers.get(effect.to);
      if (answer !== undefined) this.hear(answer);
    }
  }
}

suite("an address begins", () => {
  test("at once, where no other has had it or could have", () => {
    assert.deepEqual(new Bench("announce").until(60_000).take(), ["0: announce"]);
  });

  test("at once and asked for beside, where conflicts are only reported", () => {
    const want = ["0: announce", "0: ask all", "200: ask all", "400: ask all"];
    assert.deepEqual(new Bench("announceAndAsk").until(60_000).take(), want);
  });

  test("after three questions that nobody answered, where it must be free", () => {
    const want = ["0: listen", "0: ask all", "200: ask all", "400: ask all", "600: announce"];
    assert.deepEqual(new Bench("askFirst").until(60_000).take(), want);
  });

  for (const kind of ["announces", "uses", "asks"] as const)
    test(`not at all where it must be free and another host ${kind} (RFC 5227, section 2.1.1)`, () => {
      const bench = new Bench("askFirst").until(450).hear(claim(kind));
      assert.deepEqual(bench.until(60_000).take().slice(-2), ["400: ask all", `450: occupied ${stranger}`]);
      assert.deepEqual(bench.hear(claim(kind)).take(), []);
      assert.equal(bench.tenancy.stage, "occupied");
    });

  test("asked first, although a speaker that is not preferred answers", () => {
    const bench = new Bench("askFirst").hear(bySpeaker("uses", { preferred: false }));
    assert.ok(bench.until(1000).take().includes("600: announce"));
  });
});

suite("against a stranger (RFC 5227, section 2.4)", () => {
  test("the first claim is defended at once, and others once in ten seconds, however many come", () => {
    const bench = new Bench("announce").until(1000);
    bench.take();
    for (let i = 0; i < 1000; i++) bench.hear(claim(i % 2 === 0 ? "uses" : "announces"));
    assert.deepEqual(bench.take(), [`1000: conflictBegan ${stranger}`, "1000: defend"]);
    bench.until(10_999);
    for (let i = 0; i < 1000; i++) bench.hear(claim("uses"));
    assert.deepEqual(
      bench
        .until(20_000)
        .take()
        .filter((line) => line.endsWith("defend")),
      ["11000: defend"],
    );
  });

  test("one that keeps answering stays known, one that does not is gone after three questions", () => {
    const bench = new Bench("announce").hear(claim("uses"));
    bench.answers.set(stranger, claim("uses"));
    bench.until(100_000);
    assert.deepEqual(
      bench.tenancy.conflicts.map(({ mac }) => mac),
      [stranger],
    );
    assert.ok(bench.take().includes(`90000: ask ${stranger} openly`));
    bench.answers.clear();
    const gone = bench
      .until(200_000)
      .take()
      .filter((line) => line.includes("conflict"));
    assert.deepEqual(gone, [`140000: conflictEnded ${stranger}`]);
    assert.equal(bench.tenancy.nextAt, Infinity);
  });

  test("one that only asks is no conflict", () => {
    const bench = new Bench("announce").hear(claim("asks")).until(60_000);
    assert.deepEqual(bench.take(), ["0: announce", `0: wanted ${stranger}`]);
  });

  test("of a storm with a new MAC address each four are remembered", () => {
    const bench = new Bench("announce");
    for (let i = 0; i < 1000; i++) bench.hear(claim("uses", { mac: `mac ${i}` }));
    assert.equal(bench.tenancy.conflicts.length, 4);
    assert.equal(bench.take().filter((line) => line.endsWith("defend")).length, 1);
  });
});

suite("against another speaker that this node does not see in the ring", () => {
  test("the one that is not preferred falls silent once it has seen that the other answers, asks on, and comes back when it does not", () => {
    const bench = new Bench("announce").until(10_000);
    bench.take();
    const theirs = bySpeaker("announces", { preferred: true });
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    bench.hear(theirs).until(12_000);
    assert.deepEqual(bench.take(), [
      `10300: ask ${speaker}`,
      "10300: listen",
      "10300: conflictBegan node2 followed",
      `11300: ask ${speaker}`,
    ]);
    assert.equal(bench.until(600_000).tenancy.stage, "yielded");
    bench.take();
    bench.answers.clear();
    assert.deepEqual(bench.until(610_000).take(), [
      `600300: ask ${speaker}`,
      `601300: ask ${speaker}`,
      `602300: ask ${speaker}`,
      "602500: conflictEnded node2 followed",
      "602500: announce",
    ]);
  });

  test("the preferred one stays, announces again so that hosts come back, and knows of it while the other asks", () => {
    const bench = new Bench("announce").until(10_000);
    bench.take();
    const theirs = bySpeaker("announces", { preferred: false });
    bench.answers.set(speaker, theirs);
    bench.hear(theirs).until(10_400);
    assert.deepEqual(bench.take(), [`10300: ask ${speaker}`, "10300: conflictBegan node2", "10300: announce"]);
    bench.answers.clear();
    for (let at = 11_000; at <= 60_000; at += 1000) bench.until(at).hear(bySpeaker("asks", { preferred: false }));
    assert.deepEqual(bench.take(), []);
    assert.deepEqual(bench.until(80_000).take(), [`70000: ask ${speaker}`, "70200: conflictEnded node2"]);
  });

  test("one that only hears the other's questions knows of it, too", () => {
    const bench = new Bench("announce").hear(bySpeaker("asks", { preferred: false }));
    assert.deepEqual(bench.take(), ["0: announce"], "one may be by chance");
    bench.until(1000).hear(bySpeaker("asks", { preferred: false }));
    assert.deepEqual(bench.take(), [`300: ask ${speaker}`, "1000: conflictBegan node2"]);
  });

  test("both of two speakers decide so that one is left, whoever announced first", () => {
    for (const first of [0, 1]) {
      const benches = [new Bench("announce"), new Bench("announce")];
      const [one, two] = benches as [Bench, Bench];
      const heardBy = (preferred: boolean) => (kind: HeardClaim["kind"]) => bySpeaker(kind, { preferred });
      const [byOne, byTwo] = [heardBy(false), heardBy(true)]; // One is preferred.
      for (let at = 0; at < 5000; at += 100) {
        for (const bench of benches) bench.until(at);
        one.answers.set(speaker, byOne("uses"));
        two.answers.set(speaker, byTwo("uses"));
        if (two.tenancy.stage === "yielded") one.answers.clear();
        if (at === 100) [one.hear(byOne("announces")), two.hear(byTwo("announces"))][first];
      }
      assert.deepEqual([one.tenancy.stage, two.tenancy.stage], ["announced", "yielded"]);
    }
  });

  test("a kernel that merely answers for the address silences nobody", () => {
    const bench = new Bench("announceAndAsk");
    const answer = bySpeaker("uses", { preferred: true });
    bench.answers.set(speaker, answer);
    bench.hear(answer).until(20_000);
    assert.equal(bench.tenancy.stage, "announced");
    assert.deepEqual(
      bench.tenancy.conflicts.map(({ node, followed }) => [node, followed]),
      [["node2", false]],
    );
  });

  test("one that announced and has stopped leaves no conflict, and hosts are told again", () => {
    const bench = new Bench("announce").until(10_000).hear(bySpeaker("announces", { preferred: true }));
    assert.deepEqual(bench.until(60_000).take(), ["0: announce", `10300: ask ${speaker}`, "10500: announce"]);
  });

  test("when the ring sees the other again it is asked once more, and if it is silent this node is back half a second later", () => {
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    bench.hear(bySpeaker("announces", { preferred: true })).until(20_400);
    bench.take();
    bench.answers.clear();
    bench.tenancy.met("node2", 20_400);
    assert.deepEqual(bench.until(30_000).take(), [
      `20700: ask ${speaker}`,
      "20900: conflictEnded node2 followed",
      "20900: announce",
    ]);
  });
});

suite("against another speaker of the ring", () => {
  test("an address that moves is no conflict: there are two seconds to hear of it", () => {
    const bench = new Bench("announce").until(10_000).hear(bySpeaker("announces", { preferred: true, active: true }));
    assert.deepEqual(bench.until(11_999).take(), ["0: announce"]);
  });

  test("one that still announces it then has it or not by the same rule", () => {
    const theirs = bySpeaker("announces", { preferred: true, active: true });
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, theirs);
    bench.hear(theirs).until(12_500);
    assert.equal(bench.tenancy.stage, "yielded");
  });

  test("one that the ring loses meanwhile is judged sooner", () => {
    const bench = new Bench("announce").hear(bySpeaker("announces", { preferred: true, active: true })).until(1100);
    bench.take();
    assert.deepEqual(
      bench
        .hear(bySpeaker("announces", { preferred: true }))
        .until(1400)
        .take(),
      [`1400: ask ${speaker}`],
    );
  });
});

test("property: whatever is heard and when, defences keep ten seconds apart, and a timer is always later or there is work", () => {
  const kinds = fc.constantFrom<HeardClaim["kind"]>("announces", "uses", "asks");
  const by = fc.option(fc.record({ node: fc.constantFrom("node2", "node3"), active: fc.boolean(), preferred: fc.boolean() }), {
    nil: undefined,
  });
  const heard = fc.record({ wait: fc.nat(3000), kind: kinds, by, mac: fc.constantFrom(stranger, speaker, "other") });
  fc.assert(
    fc.property(fc.constantFrom<Beginning>("announce", "announceAndAsk", "askFirst"), fc.array(heard), (beginning, all) => {
      const bench = new Bench(beginning);
      for (const { wait, kind, by, mac } of all) {
        bench.until(bench.now + wait).hear(claim(kind, { by, mac }));
        assert.ok(bench.tenancy.nextAt > bench.now);
      }
      bench.until(bench.now + 100_000);
      const defences = bench.lines.filter((line) => line.endsWith("defend")).map((line) => Number.parseInt(line, 10));
      for (const [i, at] of defences.slice(1).entries()) assert.ok(at - (defences[i] ?? 0) >= 10_000);
      assert.deepEqual(bench.tenancy.stage === "occupied" ? [] : bench.tenancy.conflicts, []);
    }),
  );
});
