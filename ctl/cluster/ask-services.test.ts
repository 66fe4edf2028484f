import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CauseOf, isProblem, type VerdictAnswer, verdict, worst } from "#pkg/verdict";
import { fakeProcesses } from "../testing/processes.ts";
import { askProblems, askServicesBriefly } from "./ask-services.ts";
import type { Processes } from "./processes.ts";

const announced = { ...verdict("service", "announced", { message: "m" }), since: "2026-01-02T03:03:55.000Z" };
const placed = { address: "192.0.2.1", pool: "lan", protocol: "layer2", owner: "n2", candidates: [], verdict: announced };
const services = [{ service: "shop/web", addresses: [placed], verdict: announced }];
const speaker = (node: string) => ({ "/v1/services": { program: "speaker", version: "1.0.0", node, missing: [], services } });

test("while the first speaker hangs another one is asked for all that it knows, before the silence of the first is certain", async () => {
  const processes = fakeProcesses({ "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2"), "speaker-n3": speaker("n3") });
  const { promise: gaveUp, reject: giveUp } = Promise.withResolvers<never>();
  const asked: string[] = [];
  const get: Processes["get"] = async (target, path) => {
    if (target.node === "n1") return gaveUp;
    if (!path.includes("problems")) {
      asked.push(target.node);
      giveUp(new Error("no answer within 2 s"));
    }
    return processes.get(target, path);
  };
  const found = await askServicesBriefly({ ...processes, get });
  assert.deepEqual(
    found.services.map(({ service }) => service),
    ["shop/web"],
  );
  assert.deepEqual([asked, found.unreachable.map(({ target }) => target.node)], [["n2"], ["n1"]]);
});

test("one that answers is the only one that is asked for all", async () => {
  const processes = fakeProcesses({ "speaker-n1": speaker("n1"), "speaker-n2": speaker("n2") });
  const asked: string[] = [];
  const get: Processes["get"] = async (target, path) => {
    if (!path.includes("problems")) asked.push(target.node);
    return processes.get(target, path);
  };
  await askServicesBriefly({ ...processes, get });
  assert.deepEqual(asked, ["n1"]);
});

const cause = fc.constantFrom(
  "announced",
  "notOwner",
  "noReadyEndpoint",
  "noSession",
  "unsettled",
  "protocolNone",
  "announcedWithFault",
);
const nodes = ["n1", "n2", "n3"] as const;
const address = fc.record({
  protocol: fc.constantFrom("layer2", "bgp"),
  owner: fc.constantFrom(...nodes),
  causes: fc.tuple(cause, cause, cause),
});
const world = fc.array(
  fc.record({
    decided: fc.constantFrom("assigned", "poolFull", "notAllowed", "statusOverwritten", "otherLoadBalancerClass"),
    addresses: fc.array(address, { maxLength: 2 }),
  }),
  { maxLength: 4 },
);

const found = (of: CauseOf<"service">) => ({ ...verdict("service", of, { message: "m" }), since: announced.since });

type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

interface Row {
  readonly service?: string;
  readonly addresses: readonly (string | { readonly verdict: VerdictAnswer })[];
  readonly verdict: VerdictAnswer;
}

function rowOf({ addresses }: World[number], node: number): Row {
  const rows = addresses.map(({ protocol, owner, causes: { [node]: drawn = "announced" } }, index) => {
    const cause = drawn === "notOwner" && protocol === "bgp" ? "announced" : drawn; // Routes have no owner.
    return {
      address: `192.0.2.${index}`,
      pool: "lan",
      protocol,
      owner: protocol === "bgp" ? null : owner,
      announced: cause.startsWith("announced"),
      verdict: found(cause),
    };
  });
  const [first, ...rest] = rows.map((one) => one.verdict);
  return { addresses: rows, verdict: first === undefined ? found("noIPAllocated") : worst([first, ...rest]) };
}

/** What a process lists of Services. */
function listed(world: World, rowOf: (one: World[number]) => Row): Row[] {
  return world.map((one, index) => ({ ...rowOf(one), service: `shop/${index}` }));
}

test("property: Services of which processes say the names alone are counted, and others judged, as if all were listed", async () => {
  const answers = async (rows: Readonly<Record<string, readonly Row[]>>, isNamed: (row: Row) => boolean) => {
    const processes = Object.entries(rows).map(([pod, services]) => {
      const head = { leader: true, node: pod.replace("speaker-", "") };
      const well = services.filter(isNamed).map(({ service }) => service);
      return [
        pod,
        {
          "/v1/services?problems": { ...head, services: services.filter((one) => isProblem(one.verdict)) },
          "/v1/services?brief=names": { ...head, services: services.filter((one) => !isNamed(one)), well },
        },
      ] as const;
    });
    const { services, states } = await askProblems(fakeProcesses(Object.fromEntries(processes)));
    const judged = services.filter((one) => isProblem(one.verdict));
    return { states, judged: judged.map(({ service, verdict: { state, cause } }) => [service, state, cause]) };
  };
  await fc.assert(
    fc.asyncProperty(world, async (world) => {
      const rows = {
        "controller-n1": listed(world, ({ decided, addresses }) => ({
          pool: "lan",
          addresses: addresses.map((_, i) => `192.0.2.${i}`),
          verdict: found(decided),
        })),
        ...Object.fromEntries(nodes.map((node, index) => [`speaker-${node}`, listed(world, (one) => rowOf(one, index))])),
      };
      const isWell = ({ verdict: { state }, addresses }: Row) =>
        state === "Assigned" ||
        [state, ...addresses.map((one) => (typeof one === "string" ? state : one.verdict.state))].every(
          (each) => each === "Announced",
        );
      assert.deepEqual(await answers(rows, isWell), await answers(rows, () => false));
    }),
  );
});
