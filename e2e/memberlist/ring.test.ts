// Nightly: rings with members of other programs, which Go builds, and waits of minutes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#e2e/lab";
import { type GoVersion, goPeerMissing, goVersions } from "./go-peer.ts";
import { metaText } from "./ring-line.ts";
import { type ProgramKind, RingProcess, type RingProcessOptions, ringAddresses } from "./ring-process.ts";

// Rings of real processes on loopback: ours beside HashiCorp's. A test checks its claims about both sides on both.

const port = 7946;
const key = "30313233343536373839616263646566";
const missing: Record<GoVersion, string | false> = {
  "v0.1.7": await goPeerMissing("v0.1.7"),
  "v0.6.0": await goPeerMissing("v0.6.0"),
};

/** Nodes that end with the test. */
class Ring extends AsyncDisposableStack {
  readonly #address = ringAddresses();
  readonly #options: Partial<RingProcessOptions>;
  #last = 0;

  constructor(options: Partial<RingProcessOptions> = {}) {
    super();
    this.#options = options;
  }

  async node(kind: ProgramKind, options: Partial<RingProcessOptions> = {}): Promise<RingProcess> {
    const number = ++this.#last;
    const defaults = { name: `${kind}-${number}`, address: this.#address(number), port, meta: `meta of ${number}` };
    return this.use(await RingProcess.start(kind, { ...defaults, ...this.#options, ...options }));
  }

  /** Starts them and has each later one join the first. */
  async joined(...kinds: readonly ProgramKind[]): Promise<RingProcess[]> {
    const nodes: RingProcess[] = [];
    for (const kind of kinds) nodes.push(await this.node(kind));
    const [first, ...others] = nodes;
    if (first !== undefined) for (const other of others) await other.join(first);
    await agree(nodes);
    return nodes;
  }
}

/** Waits until all of them list exactly all of them, with address, port and meta. */
async function agree(nodes: readonly RingProcess[], metas: Readonly<Record<string, string>> = {}): Promise<void> {
  const expected = nodes.map(({ name, address, meta }) => ({ name, address, port, meta: metas[name] ?? meta })).toSorted(byName);
  await waitFor(`all to list ${expected.map(({ name }) => name).join(", ")}`, async () => {
    const lists = await Promise.all(nodes.map((node) => node.members()));
    for (const list of lists) assert.deepEqual(list, lists[0]);
    assert.deepEqual(
      lists[0]?.map((member) => ({ ...member, meta: metaText(member.meta) })),
      expected,
    );
    return true;
  });
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/**
 * Waits until our member's log names this many members in lines of this message: it comes by another pipe than events.
 * @returns the members
 */
async function logged(ours: RingProcess, message: string, count: number): Promise<string[]> {
  return waitFor(`${ours.name} to log: ${message}`, () => {
    const named = ours.log.map((line) => JSON.parse(line)).flatMap(({ msg, member }) => (msg === message ? [member] : []));
    return named.length >= count && named;
  });
}

describe("a ring of ours and HashiCorp's", { concurrency: 4 }, () => {
  for (const version of goVersions) {
    const options = { skip: missing[version] };

    test(`we join a ${version} node`, options, async () => {
      await using ring = new Ring({ key });
      await ring.joined(version, "ingot");
    });

    test(`a ${version} node joins us`, options, async () => {
      await using ring = new Ring({ key });
      await ring.joined("ingot", version);
    });

    test(`changed meta reaches and leaves a ${version} node`, options, async () => {
      await using ring = new Ring({ key });
      const [theirs, ours] = await ring.joined(version, "ingot");
      assert.ok(ours && theirs);
      await ours.request("meta ours again", "metaSet");
      await theirs.request("meta theirs again", "metaSet");
      await agree([ours, theirs], { [ours.name]: "ours again", [theirs.name]: "theirs again" });
      assert.ok(theirs.has("update", ours.name) && ours.has("update", theirs.name));
    });

    test(`a killed node is found dead by us and by a ${version} node, whichever it was`, options, async () => {
      await using ring = new Ring({ key });
      const [ours, theirs, ourVictim, theirVictim] = await ring.joined("ingot", version, "ingot", version);
      assert.ok(ours && theirs && ourVictim && theirVictim);
      await Promise.all([ourVictim.kill(), theirVictim.kill()]);
      for (const victim of [ourVictim, theirVictim])
        for (const witness of [ours, theirs]) await witness.line("leave", { about: victim.name });
      assert.deepEqual((await logged(ours, "member failed", 2)).sort(), [ourVictim.name, theirVictim.name].sort());
      await agree([ours, theirs]);
    });

    test(`leaving is final at once, ours for a ${version} node and the reverse`, options, async () => {
      await using ring = new Ring({ key });
      const [ours, theirs, ourLeaver, theirLeaver] = await ring.joined("ingot", version, "ingot", version);
      assert.ok(ours && theirs && ourLeaver && theirLeaver);
      for (const leaver of [ourLeaver, theirLeaver]) {
        const { error } = await leaver.request("leave", "left");
        assert.equal(error, undefined);
        for (const witness of [ours, theirs]) await witness.line("leave", { about: leaver.name });
        const failed = `Marking ${leaver.name} as failed`; // HashiCorp's member logs this after a failure, five seconds later at least.
        assert.deepEqual(
          theirs.log.filter((line) => line.includes(failed)),
          [],
        );
      }
      assert.deepEqual(await logged(ours, "member left", 2), [ourLeaver.name, theirLeaver.name]);
      await agree([ours, theirs]);
    });

    test(`after a crash the same name comes back, ours to a ${version} node and the reverse`, options, async () => {
      await using ring = new Ring({ key });
      for (const [stays, returns] of [
        ["ingot", version],
        [version, "ingot"],
      ] as const) {
        const [witness, victim] = await ring.joined(stays, returns);
        assert.ok(witness && victim);
        await victim.kill();
        const again = await ring.node(returns, { name: victim.name, address: victim.address, meta: "back" });
        await again.join(witness);
        await agree([witness, again]);
      }
    });

    test(`a ${version} node with another key is refused, and each side says so`, options, async () => {
      await using ring = new Ring();
      const ours = await ring.node("ingot", { key });
      const theirs = await ring.node(version, { key: key.replace("30", "31") });
      await assert.rejects(theirs.join(ours));
      await assert.rejects(ours.join(theirs));
      await assert.rejects(theirs.join(ours));
      assert.equal((await ours.members()).length, 1);
      // A stream comes from 127.0.0.1 and a reply from where we dialled, so that there are two peers.
      await waitFor("both refusals in the log", () => {
        const refusals = ours.log.filter((line) => line.includes("memberlist message refused")).map((line) => JSON.parse(line));
        assert.deepEqual(
          refusals.map(({ peer, reason }) => ({ peer, reason })),
          [
            { peer: "127.0.0.1", reason: "wrongKey" },
            { peer: theirs.address, reason: "wrongKey" },
          ],
        );
        for (const { advice } of refusals) assert.match(advice, /same memberlist secret/);
        return true;
      });
    });

    test(`without a key a ${version} node is refused by us, and we by it`, options, async () => {
      await using ring = new Ring();
      const ours = await ring.node("ingot", { key });
      const theirs = await ring.node(version);
      await assert.rejects(theirs.join(ours));
      await assert.rejects(ours.join(theirs));
      await waitFor("the refusal in the log", () => ours.log.some((line) => line.includes('"reason":"plaintext"')));
    });

    test(`when no packet passes, TCP alone keeps us and a ${version} node alive for each other`, options, async () => {
      await using ring = new Ring({ key });
      const theirs = await ring.node(version);
      const ours = await ring.node("ingot", { flags: ["--loss=1"] });
      await ours.join(theirs);
      await waitFor("both to probe by TCP", async () => {
        const warned = theirs.log.some((line) => line.includes("misconfigured"));
        return warned && ours.log.some((line) => line.includes("answers over TCP or other members alone"));
      });
      assert.ok(!theirs.has("leave") && !ours.has("leave"));
    });
  }

  test("a label keeps a ring apart from ours", { skip: missing["v0.6.0"] }, async () => {
    await using ring = new Ring({ key });
    const ours = await ring.node("ingot");
    const other = await ring.node("v0.6.0", { label: "green" });
    await assert.rejects(other.join(ours));
    await assert.rejects(ours.join(other));
  });

  test("user messages and user state reach ours, and neither version takes any notice of them", {
    skip: missing["v0.1.7"] || missing["v0.6.0"],
  }, async () => {
    await using ring = new Ring({ key });
    const [old, recent] = await ring.joined("v0.1.7", "v0.6.0");
    const [one, other] = [
      await ring.node("ingot", { flags: ["--user=one"] }),
      await ring.node("ingot", { flags: ["--user=other"] }),
    ];
    assert.ok(old && recent);
    for (const theirs of [old, recent]) await one.join(theirs);
    await other.join(one);
    await other.line("user one");
    await one.line("user other");
    await agree([old, recent, one, other]); // A broadcast reaches members, which the other one is when it has answered a ping.
    await one.request("broadcast z", "broadcast");
    await other.line(`user ${"z".repeat(20)}`);
    await sleep(2_000);
    await agree([old, recent, one, other]);
    for (const { log, name } of [old, recent])
      assert.deepEqual(
        log.filter((line) => /\[(ERR|WARN)\]/.test(line)),
        [],
        name,
      );
  });

  // Above 32 members ours tell digests in answers to pings.
  for (const size of [5, 36])
    test(`${size} members of both versions and ours in one ring suspect nobody in 30 s`, {
      skip: missing["v0.1.7"] || missing["v0.6.0"],
    }, async () => {
      await using ring = new Ring({ key });
      const kinds = ["v0.1.7", "ingot", "v0.6.0", "ingot"] as const;
      const nodes = await ring.joined(...Array.from({ length: size }, (_, index) => kinds[index % kinds.length] ?? "ingot"));
      await sleep(30_000);
      await agree(nodes);
      for (const node of nodes) {
        assert.ok(!node.has("leave"), `${node.name} lost somebody`);
        const lines = node.log.filter((line) => /suspect/i.test(line));
        assert.deepEqual(lines, [], `${node.name} suspected somebody`);
      }
    });
});
