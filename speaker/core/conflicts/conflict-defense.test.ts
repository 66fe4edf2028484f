import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type DefenseEvent, stepDefense } from "./conflict-defense.ts";
import {
  type Beginning,
  type ConflictDefense,
  conflictsOf,
  createDefense,
  type DefenseEffect,
  nextDefenseAt,
} from "./defense-state.ts";
import type { OtherSpeaker, Sighting } from "./rivals.ts";

const foreign = "02:00:00:00:00:99";
const speaker = "02:00:00:00:00:02";
const seen = { interface: "eth0", ownMac: "02:00:00:00:00:01" };

function sighting(kind: Sighting["kind"], changes: Partial<Sighting> = {}): Sighting {
  return { ...seen, mac: foreign, kind, by: undefined, answersForMany: false, ...changes };
}

/** By another speaker: unless `active`, one that failed, and that may be cut off. */
function bySpeaker(kind: Sighting["kind"], by: { preferred: boolean; active?: boolean } & Partial<OtherSpeaker>): Sighting {
  const { active = false } = by;
  return sighting(kind, { mac: speaker, by: { node: "node2", active, saysSo: false, mayBeCutOff: !active, ...by } });
}

function print(effect: DefenseEffect): string {
  switch (effect.type) {
    case "probe":
      return `probe ${effect.to ?? "all"}${effect.fromOwnAddress ? " fromOwnAddress" : ""}`;
    case "challenge":
      return `challenge ${effect.to}`;
    case "conflictBegan":
    case "conflictEnded":
    case "occupied":
    case "wanted":
      return `${effect.type} ${effect.rival.node ?? effect.rival.mac}${effect.rival.followed ? " followed" : ""}`;
    default:
      return effect.type;
  }
}

/** A defense, the time, and a transcript of lines "time: effect". */
class Bench {
  readonly defense: ConflictDefense;
  readonly lines: string[] = [];
  now = 0;
  /** Answers to a probe of this MAC address. */
  readonly answers = new Map<string, Sighting>();
  /** Proofs of speakers, by MAC address. */
  readonly proofs = new Map<string, Sighting>();

  constructor(beginning: Beginning, isQuarantined = false) {
    this.defense = createDefense(beginning, 0, isQuarantined);
    this.until(0);
  }

  until(end: number): this {
    while (nextDefenseAt(this.defense) <= end) {
      this.now = Math.max(this.now, nextDefenseAt(this.defense));
      this.step({ type: "timer" });
    }
    this.now = end;
    return this;
  }

  sight(sighting: Sighting): this {
    this.step({ type: "sighting", sighting });
    return this;
  }

  step(event: DefenseEvent): void {
    this.#carryOut(stepDefense(this.defense, event, this.now, 1000));
  }

  take(): string[] {
    return this.lines.splice(0);
  }

  #carryOut(effects: readonly DefenseEffect[]): void {
    for (const effect of effects) this.lines.push(`${this.now}: ${print(effect)}`);
    for (const effect of effects) {
      if (!("to" in effect) || effect.to === undefined) continue;
      const answer = effect.type === "probe" ? this.answers.get(effect.to) : this.proofs.get(effect.to);
      if (answer !== undefined) this.sight(answer);
    }
  }
}

suite("an address begins", () => {
  test("at once, where no other has had it or could have", () => {
    assert.deepEqual(new Bench("announce").until(60_000).take(), ["0: announce"]);
  });

  test("at once and probed beside, where conflicts are only reported", () => {
    const want = ["0: announce", "0: probe all", "200: probe all", "400: probe all"];
    assert.deepEqual(new Bench("announceAndProbe").until(60_000).take(), want);
  });

  test("after three probes that nobody answered, where it must be free", () => {
    const want = ["0: listen", "0: probe all", "200: probe all", "400: probe all", "600: announce"];
    assert.deepEqual(new Bench("probeFirst").until(60_000).take(), want);
  });

  for (const kind of ["announces", "uses", "probes"] as const)
    test(`not at all where it must be free and another host ${kind} (RFC 5227, section 2.1.1)`, () => {
      const bench = new Bench("probeFirst").until(450).sight(sighting(kind));
      assert.deepEqual(bench.until(60_000).take().slice(-2), ["400: probe all", `450: occupied ${foreign}`]);
      assert.deepEqual(bench.sight(sighting(kind)).take(), []);
      assert.equal(bench.defense.stage, "occupied");
    });

  test("after probes, although a speaker that is not preferred answers", () => {
    const bench = new Bench("probeFirst").sight(bySpeaker("uses", { preferred: false }));
    assert.ok(bench.until(1000).take().includes("600: announce"));
  });
});

/** The effect of each event in each stage, as in the table beside `stepDefense`: the stage after it, and the effects. */
const bench = {
  probing: () => new Bench("probeFirst"),
  announced: () => new Bench("announce"),
  yielded: () => {
    const yielded = new Bench("announce").sight(bySpeaker("announces", { preferred: true }));
    yielded.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    yielded.proofs.set(speaker, bySpeaker("proves", { preferred: true }));
    return yielded.until(300);
  },
  occupied: () => new Bench("probeFirst").sight(sighting("uses")),
} as const;
const events = {
  foreignUses: { type: "sighting", sighting: sighting("uses") },
  foreignProbes: { type: "sighting", sighting: sighting("probes") },
  speakerAnnounces: { type: "sighting", sighting: bySpeaker("announces", { preferred: true }) },
  speakerProves: { type: "sighting", sighting: bySpeaker("proves", { preferred: true }) },
  speakerProbes: { type: "sighting", sighting: bySpeaker("probes", { preferred: true }) },
  nodeReturned: { type: "nodeReturned", node: "node2", macs: [] },
  announcers: { type: "announcers", nodes: ["node2"] },
  quarantine: { type: "quarantine", isQuarantined: true },
  timer: { type: "timer" },
} as const satisfies Record<string, DefenseEvent>;
const began = `conflictBegan ${foreign}`;
const wanted = `wanted ${foreign}`;
const table: Record<keyof typeof bench, Record<keyof typeof events, [stage: string, ...effects: string[]]>> = {
  probing: {
    foreignUses: ["occupied", `occupied ${foreign}`],
    foreignProbes: ["occupied", `occupied ${foreign}`],
    speakerAnnounces: ["probing"],
    speakerProves: ["probing"],
    speakerProbes: ["probing"],
    nodeReturned: ["probing"],
    announcers: ["probing"],
    quarantine: ["probing"],
    timer: ["probing", "probe all"],
  },
  announced: {
    foreignUses: ["announced", began, "defend"],
    foreignProbes: ["announced", wanted],
    speakerAnnounces: ["announced"],
    speakerProves: ["announced"],
    speakerProbes: ["announced"],
    nodeReturned: ["announced"],
    announcers: ["announced"],
    quarantine: ["announced"],
    timer: ["announced"],
  },
  yielded: {
    foreignUses: ["yielded", began],
    foreignProbes: ["yielded", wanted],
    speakerAnnounces: ["yielded"],
    speakerProves: ["yielded"],
    speakerProbes: ["yielded"],
    nodeReturned: ["yielded"],
    announcers: ["yielded"],
    quarantine: ["yielded"],
    timer: ["yielded", `challenge ${speaker}`],
  },
  occupied: {
    foreignUses: ["occupied"],
    foreignProbes: ["occupied"],
    speakerAnnounces: ["occupied"],
    speakerProves: ["occupied"],
    speakerProbes: ["occupied"],
    nodeReturned: ["occupied"],
    announcers: ["occupied"],
    quarantine: ["occupied"],
    timer: ["probing", "probe all"],
  },
};
suite("states and events", () => {
  for (const stage of Object.keys(table) as (keyof typeof table)[])
    for (const event of Object.keys(events) as (keyof typeof events)[])
      test(`${stage}: ${event}`, () => {
        const one = bench[stage]();
        assert.equal(one.defense.stage, stage);
        one.now = Math.min(nextDefenseAt(one.defense), one.now + 60_000);
        one.take();
        one.step(events[event]);
        const effects = one.take().map((line) => line.replace(/^\d+: /, ""));
        assert.deepEqual([one.defense.stage, ...effects], table[stage][event]);
      });
});

suite("against a foreign host (RFC 5227, section 2.4)", () => {
  test("the first sighting is defended at once, and others once in ten seconds, however many come", () => {
    const bench = new Bench("announce").until(1000);
    bench.take();
    for (let i = 0; i < 1000; i++) bench.sight(sighting(i % 2 === 0 ? "uses" : "announces"));
    assert.deepEqual(bench.take(), [`1000: conflictBegan ${foreign}`, "1000: defend"]);
    bench.until(10_999);
    for (let i = 0; i < 1000; i++) bench.sight(sighting("uses"));
    assert.deepEqual(
      bench
        .until(20_000)
        .take()
        .filter((line) => line.endsWith("defend")),
      ["11000: defend"],
    );
  });

  test("one that keeps answering stays known, one that does not is gone after three probes", () => {
    const bench = new Bench("announce").sight(sighting("uses"));
    bench.answers.set(foreign, sighting("uses"));
    bench.until(100_000);
    assert.deepEqual(
      conflictsOf(bench.defense).map(({ mac }) => mac),
      [foreign],
    );
    assert.ok(bench.take().includes(`90000: probe ${foreign} fromOwnAddress`));
    bench.answers.clear();
    const gone = bench
      .until(200_000)
      .take()
      .filter((line) => line.includes("conflict"));
    assert.deepEqual(gone, [`140000: conflictEnded ${foreign}`]);
    assert.equal(nextDefenseAt(bench.defense), Infinity);
  });

  test("one that only probes is no conflict", () => {
    const bench = new Bench("announce").sight(sighting("probes")).until(60_000);
    assert.deepEqual(bench.take(), ["0: announce", `0: wanted ${foreign}`]);
  });

  test("of a storm with a new MAC address each four are remembered", () => {
    const bench = new Bench("announce");
    for (let i = 0; i < 1000; i++) bench.sight(sighting("uses", { mac: `mac ${i}` }));
    assert.equal(conflictsOf(bench.defense).length, 4);
    assert.equal(bench.take().filter((line) => line.endsWith("defend")).length, 1);
  });
});

suite("against another speaker that this node does not see in the ring", () => {
  test("the one that is not preferred stops answering once the other has proven that it announces, challenges it on, and comes back when there is no proof", () => {
    const bench = new Bench("announce").until(10_000);
    bench.take();
    const theirs = bySpeaker("announces", { preferred: true });
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    bench.proofs.set(speaker, bySpeaker("proves", { preferred: true }));
    bench.sight(theirs).until(12_000);
    assert.deepEqual(bench.take(), [
      `10300: probe ${speaker}`,
      `10300: challenge ${speaker}`,
      "10300: listen",
      "10300: conflictBegan node2 followed",
      `11300: challenge ${speaker}`,
    ]);
    assert.equal(bench.until(600_000).defense.stage, "yielded");
    bench.take();
    bench.proofs.clear();
    for (let at = 600_000; at <= 602_400; at += 100)
      bench
        .until(at)
        .sight(theirs)
        .sight(bySpeaker("uses", { preferred: true }));
    assert.deepEqual(bench.until(602_600).take(), [
      `600300: challenge ${speaker}`,
      `601300: challenge ${speaker}`,
      `602300: challenge ${speaker}`,
      "602500: conflictEnded node2 followed",
      "602500: announce",
    ]);
  });

  test("the preferred one stays, announces again so that hosts come back, and knows of it while the other probes", () => {
    const bench = new Bench("announce").until(10_000);
    bench.take();
    const theirs = bySpeaker("announces", { preferred: false });
    bench.answers.set(speaker, theirs);
    bench.sight(theirs).until(10_400);
    assert.deepEqual(bench.take(), [`10300: probe ${speaker}`, "10300: conflictBegan node2", "10300: announce"]);
    bench.answers.clear();
    for (let at = 11_000; at <= 60_000; at += 1000) bench.until(at).sight(bySpeaker("probes", { preferred: false }));
    assert.deepEqual(bench.take(), []);
    assert.deepEqual(bench.until(80_000).take(), [`70000: probe ${speaker}`, "70200: conflictEnded node2"]);
  });

  test("one that only sees the other's probes knows of it, too", () => {
    const bench = new Bench("announce").sight(bySpeaker("probes", { preferred: false }));
    assert.deepEqual(bench.take(), ["0: announce"], "one may be by chance");
    bench.until(1000).sight(bySpeaker("probes", { preferred: false }));
    assert.deepEqual(bench.take(), [`300: probe ${speaker}`, "1000: conflictBegan node2"]);
  });

  test("both of two speakers decide so that one is left, whoever announced first", () => {
    for (const first of [0, 1]) {
      const benches = [new Bench("announce"), new Bench("announce")];
      const [one, two] = benches as [Bench, Bench];
      const seenBy = (preferred: boolean) => (kind: Sighting["kind"]) => bySpeaker(kind, { preferred });
      const [byOne, byTwo] = [seenBy(false), seenBy(true)]; // One is preferred.
      for (let at = 0; at < 5000; at += 100) {
        for (const bench of benches) bench.until(at);
        one.answers.set(speaker, byOne("uses"));
        two.answers.set(speaker, byTwo("uses"));
        two.proofs.set(speaker, byTwo("proves"));
        if (two.defense.stage === "yielded") one.answers.clear();
        if (at === 100) [one.sight(byOne("announces")), two.sight(byTwo("announces"))][first];
      }
      assert.deepEqual([one.defense.stage, two.defense.stage], ["announced", "yielded"]);
    }
  });

  test("a kernel that merely answers for the address silences nobody", () => {
    const bench = new Bench("announceAndProbe");
    const answer = bySpeaker("uses", { preferred: true });
    bench.answers.set(speaker, answer);
    bench.sight(answer).until(20_000);
    assert.equal(bench.defense.stage, "announced");
    assert.deepEqual(
      conflictsOf(bench.defense).map(({ node, followed }) => [node, followed]),
      [["node2", false]],
    );
  });

  test("one that announced and has stopped leaves no conflict, and hosts get another announcement", () => {
    const bench = new Bench("announce").until(10_000).sight(bySpeaker("announces", { preferred: true }));
    assert.deepEqual(bench.until(60_000).take(), ["0: announce", `10300: probe ${speaker}`, "10500: announce"]);
  });

  test("when the ring sees the other again it is probed once more, and if it does not answer this node is back half a second later", () => {
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    bench.proofs.set(speaker, bySpeaker("proves", { preferred: true }));
    bench.sight(bySpeaker("announces", { preferred: true })).until(20_400);
    bench.take();
    bench.proofs.clear();
    bench.step({ type: "nodeReturned", node: "node2", macs: [] });
    assert.deepEqual(bench.until(30_000).take(), [
      `20700: challenge ${speaker}`,
      "20900: conflictEnded node2 followed",
      "20900: announce",
    ]);
  });
});

suite("against a node that failed, or whoever answers in its name", () => {
  /** Forged frames, ten a second for ten minutes, and answers to all probes. */
  function storm(bench: Bench, by: Parameters<typeof bySpeaker>[1]): string[] {
    bench.answers.set(speaker, bySpeaker("announces", by));
    for (const end = bench.now + 600_000; bench.now < end; bench.until(bench.now + 100)) bench.sight(bySpeaker("announces", by));
    return bench.take();
  }

  test("frames without a proof are left nothing, whatever they say, and it is reported once", () => {
    const lines = storm(new Bench("announce").until(10_000), { preferred: true });
    assert.ok(!lines.some((line) => line.endsWith("listen")));
    assert.ok(lines.includes("11300: conflictBegan node2"), "a second after its challenge");
    assert.equal(lines.filter((line) => line.includes("conflictBegan")).length, 1);
  });

  test("a proof counts only for the speaker that was challenged, and while it is", () => {
    const proof = bySpeaker("proves", { preferred: true });
    const bench = new Bench("announce")
      .sight(proof)
      .until(10_000)
      .sight(bySpeaker("announces", { preferred: true }));
    bench.sight(proof).until(10_299);
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true }));
    bench.sight(proof).until(10_300);
    assert.equal(bench.defense.stage, "announced");
    bench.sight({ ...proof, mac: "another" });
    assert.equal(bench.defense.stage, "announced");
    bench.until(11_300).sight(proof);
    assert.equal(bench.defense.stage, "announced", "a second later");
  });

  for (const [what, by] of Object.entries({
    "whose failure this one did not see, or whose Node is NotReady or deleted,": { mayBeCutOff: false },
    "that the election does not prefer": { preferred: false },
  }))
    test(`a node ${what} is left nothing, proof or not`, () => {
      const bench = new Bench("announce").until(10_000);
      const theirs = { preferred: true, ...by };
      bench.proofs.set(speaker, bySpeaker("proves", theirs));
      assert.ok(!storm(bench, theirs).some((line) => line.endsWith("listen")));
    });

  test("a node that becomes NotReady while the address is left to it is left it for three seconds more", () => {
    const node = bench.yielded();
    node.proofs.set(speaker, bySpeaker("proves", { preferred: true, mayBeCutOff: false }));
    assert.ok(node.until(4_000).take().includes("3500: announce"));
  });
});

suite("against a host that may be a speaker's", () => {
  const unknown = { node: undefined, active: true, preferred: false, saysSo: false, mayBeCutOff: false };
  const mac = "02:00:00:00:00:77";

  test("an address that moves is no conflict, and one that goes on using it is", () => {
    const bench = new Bench("announce")
      .until(10_000)
      .sight(sighting("announces", { mac, by: unknown }))
      .until(60_000);
    assert.ok(!bench.take().some((line) => line.includes("conflict")));
    bench.answers.set(mac, sighting("uses", { mac, by: unknown }));
    bench.sight(sighting("announces", { mac, by: unknown })).until(63_000);
    assert.deepEqual(bench.take(), [`62000: probe ${mac}`, `62000: conflictBegan ${mac}`, "62000: defend"]);
  });

  test("its answers keep no address from being announced", () => {
    const bench = new Bench("probeFirst").sight(sighting("uses", { mac, by: unknown })).until(1000);
    assert.equal(bench.defense.stage, "announced");
  });
});

suite("an address that is quarantined", () => {
  test("is announced all the same when no host answers here", () => {
    const bench = new Bench("announce", true).until(1000);
    assert.deepEqual(bench.take(), ["0: listen", "0: probe all", "200: probe all", "400: probe all", "600: announce"]);
  });

  test("is not announced while a host answers here, and each minute it is probed again", () => {
    const bench = new Bench("announce", true).sight(sighting("uses")).until(60_100).sight(sighting("uses"));
    assert.deepEqual(bench.take(), ["0: listen", "0: probe all", `0: occupied ${foreign}`, "60000: probe all"]);
    bench.until(120_000);
    assert.deepEqual(bench.take(), ["120100: probe all"].slice(1));
    assert.equal(bench.until(122_000).defense.stage, "announced");
  });

  test("goes on being announced until a host is seen here", () => {
    const bench = new Bench("announce").until(10_000);
    bench.take();
    bench.step({ type: "quarantine", isQuarantined: true });
    bench.until(20_000);
    assert.deepEqual(bench.take(), ["10000: probe all", "10200: probe all", "10400: probe all"]);
    bench.sight(sighting("uses"));
    assert.deepEqual(bench.take(), ["20000: listen", `20000: occupied ${foreign}`]);
  });

  test("stops being announced at once where the host is known, and is back when the entry is gone and nobody answers", () => {
    const bench = new Bench("announce").until(10_000).sight(sighting("uses"));
    bench.take();
    bench.step({ type: "quarantine", isQuarantined: true });
    assert.deepEqual(bench.take(), ["10000: listen", `10000: conflictEnded ${foreign}`, `10000: occupied ${foreign}`]);
    bench.step({ type: "quarantine", isQuarantined: false });
    assert.equal(bench.until(11_000).take().at(-1), "10600: announce");
  });

  test("is not kept back by a host that answers for many addresses", () => {
    const bench = new Bench("probeFirst").sight(sighting("uses", { answersForMany: true })).until(1000);
    assert.deepEqual(bench.take(), [
      "0: listen",
      "0: probe all",
      `0: conflictBegan ${foreign}`,
      "200: probe all",
      "400: probe all",
      "600: announce",
    ]);
  });
});

suite("against another speaker of the ring", () => {
  test("an address that moves is no conflict: there are two seconds to learn of it", () => {
    const bench = new Bench("announce").until(10_000).sight(bySpeaker("announces", { preferred: true, active: true }));
    assert.deepEqual(bench.until(11_999).take(), ["0: announce"]);
  });

  test("one that still announces it then is asked over the ring, and is left the address as long as it says that it announces it", () => {
    const theirs = bySpeaker("announces", { preferred: true, active: true });
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, theirs);
    bench.sight(theirs).until(12_500);
    assert.deepEqual(bench.take(), ["0: announce", `12000: probe ${speaker}`, "12000: ask"]);
    bench.step({ type: "announcers", nodes: ["node2"] });
    assert.deepEqual(bench.take(), ["12500: listen", "12500: conflictBegan node2 followed"]);
    assert.deepEqual(bench.until(600_000).take(), [], "no frame is needed for that, and none ends it");
    bench.step({ type: "announcers", nodes: [] });
    assert.deepEqual(bench.take(), ["600000: conflictEnded node2 followed", "600000: announce", "600000: stopAsking"]);
  });

  test("one that does not say so is not left the address, whatever frames say and however often", () => {
    const theirs = bySpeaker("announces", { preferred: true, active: true });
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, theirs);
    for (let at = 10_000; at <= 600_000; at += 100) bench.sight(theirs).until(at);
    const lines = bench.take();
    assert.ok(!lines.some((line) => line.endsWith("listen")));
    assert.ok(lines.includes("15000: conflictBegan node2"));
    assert.ok(lines.filter((line) => line.endsWith("ask")).length <= 10, "questions cost gossip");
  });

  test("one that says so late is left the address with its next answer", () => {
    const theirs = bySpeaker("announces", { preferred: true, active: true });
    const bench = new Bench("announce").until(10_000);
    bench.answers.set(speaker, theirs);
    bench.sight(theirs).until(16_000);
    bench.answers.set(speaker, bySpeaker("uses", { preferred: true, active: true, saysSo: true }));
    bench.until(26_000);
    assert.equal(bench.defense.stage, "yielded");
  });

  test("one that the ring loses meanwhile is judged sooner", () => {
    const bench = new Bench("announce").sight(bySpeaker("announces", { preferred: true, active: true })).until(1100);
    bench.take();
    assert.deepEqual(
      bench
        .sight(bySpeaker("announces", { preferred: true }))
        .until(1400)
        .take(),
      [`1400: probe ${speaker}`],
    );
  });
});

test("property: whatever is sighted and when, defences keep ten seconds apart, and a timer is always later or there is work", () => {
  const kinds = fc.constantFrom<Sighting["kind"]>("announces", "uses", "probes", "proves", "provesAlone");
  const by = fc.option(
    fc.record({
      node: fc.constantFrom("node2", "node3", undefined),
      active: fc.boolean(),
      preferred: fc.boolean(),
      saysSo: fc.constant(false), // Its word ends by another event.
      mayBeCutOff: fc.boolean(),
    }),
    {
      nil: undefined,
    },
  );
  const sightings = fc.record({ wait: fc.nat(3000), kind: kinds, by, mac: fc.constantFrom(foreign, speaker, "other") });
  fc.assert(
    fc.property(
      fc.constantFrom<Beginning>("announce", "announceAndProbe", "probeFirst"),
      fc.array(sightings),
      (beginning, all) => {
        const bench = new Bench(beginning);
        for (const { wait, kind, by, mac } of all) {
          bench.until(bench.now + wait).sight(sighting(kind, { by, mac }));
          assert.ok(nextDefenseAt(bench.defense) > bench.now);
        }
        bench.until(bench.now + 100_000);
        const defences = bench.lines.filter((line) => line.endsWith("defend")).map((line) => Number.parseInt(line, 10));
        for (const [i, at] of defences.slice(1).entries()) assert.ok(at - (defences[i] ?? 0) >= 10_000);
        assert.deepEqual(bench.defense.stage === "occupied" ? [] : conflictsOf(bench.defense), []);
      },
    ),
  );
});
