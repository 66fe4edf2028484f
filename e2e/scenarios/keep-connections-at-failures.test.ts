// Scenario: speakers end and begin again while kernels hand connections over.
import assert from "node:assert/strict";
import { after, before, beforeEach, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { excludeLabel } from "#pkg/placement";
import { KeptFlows } from "./kept-flows.ts";
import { owner } from "./observe.ts";
import type { TcpFlows } from "./tcp-flows.ts";

const flows = 25;
// Less than the 10 s for which packets go to a node whose speaker failed.
const awayMs = 2_000;
// By then an end of the hand-over would have been seen.
const watchedMs = 13_000;

suite("connections go on while speakers end and begin again", { skip: await Lab.refusal() }, () => {
  let kept: KeptFlows;
  let cluster: DemoCluster;
  let v4: string;

  before(async () => {
    kept = await KeptFlows.start();
    ({ cluster, v4 } = kept);
  });
  beforeEach(() => kept.atHome());
  after(() => kept[Symbol.asyncDispose]());

  async function killed(speaker: DemoNode["speaker"]): Promise<void> {
    speaker.process.kill("SIGKILL");
    await speaker.stop();
    await speaker.start();
    await waitFor("the speaker to be ready", () => speaker.ready());
  }

  async function goesOn(client: LabProcess): Promise<void> {
    const end = performance.now() + watchedMs;
    const { broken } = await waitFor("connections that go on, or are broken", () => {
      const last = JSON.parse(client.lines.at(-1) ?? "{}") as TcpFlows;
      const isOver = performance.now() > end && last.answering === flows;
      return isOver || last.broken > 0 ? last : undefined;
    });
    const said = cluster.nodes.flatMap(({ name, speaker }) => [name, ...speaker.process.lines.slice(-40)]);
    assert.equal(broken, 0, `connections broke: ${broken}\n${said.join("\n")}`);
  }

  /** A client's address moves to another node, and then something happens to the speaker of one of the two. */
  async function follow(act: (former: DemoNode, next: DemoNode) => Promise<void>): Promise<void> {
    const former = await owner(cluster, v4);
    const client = await kept.open(v4, flows);
    await kept.label(former, excludeLabel, "");
    try {
      const next = await waitFor("another owner", async () => {
        const node = await owner(cluster, v4);
        return node.name === former.name ? undefined : node;
      });
      await act(former, next);
      await goesOn(client);
    } finally {
      await kept.label(former, excludeLabel, null);
      await client.stop();
    }
  }

  test("the speaker of the new owner is killed, a third node has the address in between, and the new owner takes it back", () =>
    follow((_, { speaker }) => killed(speaker)));

  async function standsStill({ name, speaker }: DemoNode, other: DemoNode, longer: number): Promise<void> {
    const { lines } = other.speaker.process;
    const { length } = lines;
    const isGone = (line: string) => line.includes('"membersChanged"') && !line.includes(`"${name}"`);
    speaker.process.kill("SIGSTOP");
    try {
      await waitFor("the others to take it for gone", () => lines.slice(length).some(isGone));
      await sleep(longer);
    } finally {
      speaker.process.kill("SIGCONT");
    }
  }

  test("the speaker of the former owner stands still, so that the others take it for gone", () =>
    follow((former, next) => standsStill(former, next, awayMs)));

  test("the speaker of the owner stands still, so that another node takes the address, and goes on at once", async () => {
    const present = await owner(cluster, v4);
    const client = await kept.open(v4, flows);
    const other = cluster.nodes.find((node) => node !== present) ?? assert.fail();
    await standsStill(present, other, 500);
    await goesOn(client);
    await client.stop();
  });
});
