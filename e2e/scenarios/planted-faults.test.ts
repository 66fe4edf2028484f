// Long: many faults show only once they last.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, eventsOf, type Fault, scenes } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import {
  centralFaults,
  clusterFaults,
  described,
  falselyNamed,
  found,
  nodeFaults,
  objectFaults,
  objectsConfiguration,
  type Points,
  plantedFaults,
  routerFaults,
  startFaultRouter,
  subjectOf,
  sum,
  undescribed,
  unfound,
  worldConfiguration,
  worldFaults,
} from "#e2e/planted-faults";
import { type Router, routerRefusal } from "#e2e/routers";
import { World } from "../simulation/scenarios/world.ts";
import { startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const noRouter = await routerRefusal("bird");
const kinds: Readonly<Record<string, string | undefined>> = { svc: "Service", node: "Node" };

type Named = Fault<never, unknown>;

/** Points of each fault: by the one command, and by `kubectl describe`. */
const points = new Map<string, { readonly command: Points; readonly describe: Points }>();

/** Notes the points of a fault, and holds them against what is promised of it. */
function judge(name: string, fault: Named, out: string, shown: string): void {
  const given = { command: found(out, fault), describe: described(shown, fault) };
  points.set(name, given);
  assert.deepEqual(falselyNamed(out, fault), [], `false: ${out}`);
  assert.equal(sum(given.command), Object.hasOwn(unfound, name) ? 0 : 2, out);
  if (!undescribed.has(name)) assert.equal(sum(given.describe), 2, `kubectl describe ${subjectOf(fault)} shows: ${shown}`);
}

test("there are 71 of them", () => {
  assert.equal(Object.keys(plantedFaults).length, 71);
  for (const name of [...undescribed, ...Object.keys(unfound)]) assert.ok(Object.hasOwn(plantedFaults, name), name);
});

suite("one command names cause and remedy of a fault, where decisions show it", () => {
  const worlds = [
    { faults: worldFaults, configuration: worldConfiguration, configSource: "configmap" },
    { faults: objectFaults, configuration: objectsConfiguration, configSource: "crds" },
  ] as const;
  const planted = worlds.flatMap(({ faults, ...of }) => Object.entries(faults).map(([name, fault]) => ({ name, fault, ...of })));
  for (const { name, fault, configuration, configSource } of planted)
    test(`${name}: ${fault.symptom}`, async () => {
      const world = await World.start(configuration, { configSource });
      world.expose("web", [0, 1]);
      const [address = ""] = await world.assigned("web");
      await world.explains("svc/web", /Announced/);
      const isSaid = async () => sum(found((await world.tool(fault.find)).out, fault)) === 2;
      assert.ok(!(await isSaid()), "said before it is planted");
      await fault.plant(world, address);
      await world.until(async () => assert.ok(await isSaid(), (await world.tool(fault.find)).out));
      await world.cluster.pass(90_000); // Events may wait for whether it stays so, and for the next attempt.
      judge(name, fault, (await world.tool(fault.find)).out, world.described(subjectOf(fault)));
    });
});

interface Needs {
  readonly skip?: string | false;
  /** Starts what else they take. */
  readonly beside?: typeof startFaultRouter;
  readonly centralSpeakers?: number;
}

/** Plants these faults in a cluster of their own, one after another. */
function inCluster(name: string, faults: typeof scenes, { skip = false, beside, centralSpeakers = 0 }: Needs = {}): void {
  suite(name, { concurrency: 1, skip }, () => {
    let cluster: DemoCluster;
    let tool: Tool;
    let router: Router | undefined;
    let address: string;
    before(async () => {
      cluster = await startCluster({ forwarding: true, netAdmin: true, centralSpeakers });
      tool = new Tool(cluster);
      address = await (await cluster.expose("web", ["node1", "node2"])).address();
      await isWell();
      router = await beside?.(cluster);
    });
    after(async () => {
      await router?.[Symbol.asyncDispose]();
      tool?.[Symbol.dispose]();
      await cluster?.[Symbol.asyncDispose]();
    });

    async function isWell(): Promise<void> {
      await tool.explains("svc/web", /^Service default\/web: Announced \(announced\)/);
      await tool.explains("config", /Ready \(inForce\)/);
      for (const node of cluster.nodes) await tool.explains(`node/${node.name}`, /Ready \(ready\)/);
    }

    /** The Events that an object has, and how often each came. */
    const known = async (subject: string) => new Set((await shown(subject)).split("\n"));

    /** The Events of an object, but for these: `kubectl describe` shows no conditions of a Service. */
    async function shown(subject: string, before: ReadonlySet<string> = new Set()): Promise<string> {
      const [kind = "", name = ""] = subject.split("/");
      const apiKind = kinds[kind] ?? "ConfigMap";
      const namespace = apiKind === "ConfigMap" ? "metallb-system" : "default";
      const events = await eventsOf(cluster, apiKind, name, namespace);
      const counted = events.map(({ type, reason, message, count }) => `${count} x ${type} ${reason}: ${message}`);
      return counted.filter((line) => !before.has(line)).join("\n");
    }

    for (const [name, fault] of Object.entries(faults))
      test(`${name}: ${fault.symptom}`, async () => {
        const args = fault.find.split(" ");
        let out = "";
        const isSaid = async () => {
          ({ out } = await tool.run(...args));
          return sum(found(out, fault)) === 2;
        };
        assert.ok(!(await isSaid()), "said before it is planted");
        const subject = subjectOf(fault);
        const before = await known(subject);
        const mend = await fault.plant(cluster, address);
        try {
          if (Object.hasOwn(unfound, name)) await tool.prints(args, /: Announced/);
          else
            await waitFor(`ingotctl ${fault.find} to name ${fault.causes[0] ?? fault.cause}`, isSaid, {
              timeout: 120_000,
              every: 100,
            });
          const isShown = async () => undescribed.has(name) || sum(described(await shown(subject, before), fault)) === 2;
          await waitFor(`kubectl describe ${subject} to show it`, isShown, { timeout: 90_000, every: 500 });
          // A busy machine may keep a process from answering in time once; what is then missing is said.
          if (Object.hasOwn(unfound, name)) ({ out } = await tool.run(...args));
          else await waitFor(`ingotctl ${fault.find} to go on naming it`, isSaid, { timeout: 30_000, every: 100 });
          judge(name, fault, out, await shown(subject, before));
        } finally {
          await mend();
        }
        await isWell();
      });
  });
}

// Most of the time they wait for what lasts.
suite("one command names cause and remedy of a fault, where kernels, wires or processes decide", {
  skip: await Lab.refusal(),
  concurrency: 3,
}, () => {
  inCluster("scenes of the guided tour", scenes);
  inCluster("others", clusterFaults);
  inCluster("of one node, or around it", nodeFaults);
  inCluster("at a router", routerFaults, { skip: noRouter, beside: startFaultRouter });
  inCluster("with central speakers", centralFaults, { centralSpeakers: 2 });
});

after(() => {
  const mark = ({ cause, remedy }: Points) => `${cause ? "cause" : "-    "} ${remedy ? "remedy" : "-     "}`;
  const rows = [...points].map(([name, { command, describe }]) => `${name.padEnd(20)} ${mark(command)}   ${mark(describe)}`);
  const total = (which: "command" | "describe") => [...points.values()].reduce((all, each) => all + sum(each[which]), 0);
  const sums = `${total("command")} of ${2 * points.size} points by one command, ${total("describe")} by kubectl describe`;
  process.stdout.write(`\n${"fault".padEnd(20)} one command    kubectl describe\n${rows.join("\n")}\n${sums}\n`);
});
