import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { fakeProcesses } from "../testing/processes.ts";

const own = { program: "speaker", version: "1.0.0" };
const tried = { owner: "n1", interface: "eth0", port: 80, macs: ["02:00:00:00:00:01"], connection: "accepts", verdict: null };
const announced = { ...verdict("service", "announced", { message: "m" }), since: "2026-01-02T03:03:55.000Z" };
const address = { address: "192.0.2.1", pool: "lan", protocol: "layer2", owner: "n1", candidates: [], verdict: announced };
const services = [{ service: "shop/web", addresses: [address], verdict: announced }];

function cluster(second: object) {
  const answers = (node: string, probe: object) => ({
    "/v1/services": { ...own, node, missing: [], services },
    "/v1/probe": { ...own, node, ...probe },
  });
  return fakeProcesses({ "speaker-n1": answers("n1", { why: "this node announces it" }), "speaker-n2": answers("n2", second) });
}
const probe = async (args: string, second: object) => {
  const { status, out } = await ingotctl(`probe ${args}`, { processes: cluster(second) });
  return { status, lines: out.split("\n") };
};
const first = ["192.0.2.1", "  n1: not tried: this node announces it"];

test("an address that is well, by its Service and by itself", async () => {
  const lines = [...first, "  n2: answered by 02:00:00:00:00:01 on eth0; TCP port 80 accepts a connection", ""];
  for (const args of ["svc/shop/web", "svc web -n shop", "192.0.2.1"])
    assert.deepEqual(await probe(args, { tried }), { status: Exit.ok, lines }, args);
});

test("a fault comes with its remedy, and its text steers no terminal", async () => {
  const fault = verdict("service", "notConnected", { message: "port 80 is\u001b[31m silent", next: "see the endpoints" });
  const found = { ...tried, connection: "silent", verdict: { ...fault, since: "2026-01-02T03:03:55.000Z" } };
  const lines = [...first, "  n2: Degraded: port 80 is·[31m silent", "  see the endpoints", ""];
  assert.deepEqual(await probe("192.0.2.1", { tried: found }), { status: Exit.losses, lines });
});

test("that nobody could try an address is no good result", async () => {
  const { status, lines } = await probe("192.0.2.1", { why: "no interface of this node has an address in its subnet" });
  assert.equal(status, Exit.losses);
  assert.match(lines[3] ?? "", /^ {2}Nobody could try it: /);
});

test("a Service that there is not, and a subject that is none", async () => {
  assert.equal((await probe("svc/shop/none", { tried })).status, Exit.invalid);
  assert.equal((await probe("pool/lan", { tried })).status, Exit.usage);
});
