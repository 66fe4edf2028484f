import assert from "node:assert/strict";
import { test } from "node:test";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { fakeProcesses } from "../testing/processes.ts";
import { together } from "./recent.ts";

const at = (seconds: number) => ({ at: `2026-01-02T03:04:${String(seconds).padStart(2, "0")}.000Z`, instant: seconds * 1000 });
const ip = { "@ip": "192.0.2.1" };
const announce = { type: "announce", address: ip, interfaces: [] };
const member = (change: string, node: string) => ({ type: "member", change, node, incarnation: 1 });
const evidence = { accusers: ["n2", "n3"], suspectedMs: 151, silentMs: 270, lateMs: 30, lateAgoMs: 900 };
const log = (event: string, fields: object) => ({ type: "log", level: "info", message: event, fields: { event, ...fields } });
const web = { service: "default/web", ips: ["192.0.2.1"] };
const assigned = log("ipAllocated", { ...web, pool: "lan" });
const self = (program: string, found: object[]) => ({ program, version: "1", found });

const speakers = (query: string) => ({
  "speaker-n1": {
    [query]: {
      ...self("speaker", [
        { ...at(1), input: { type: "continue" }, decisions: [announce, log("serviceAnnounced", web)] },
        { ...at(9), input: { type: "continue" }, decisions: [{ type: "withdraw", address: ip }] },
        { ...at(10), input: { type: "continue" }, decisions: [log("serviceWithdrawn", { ...web, reason: "noReadyEndpoint" })] },
      ]),
      node: "n1",
    },
  },
  "speaker-n2": {
    [query]: {
      ...self("speaker", [
        { ...at(12), input: member("left", "n9"), decisions: [] }, // Long before anything moves here.
        { ...at(29), input: { ...member("failed", "n1"), evidence }, decisions: [] },
        {
          ...at(30),
          input: { type: "continue" },
          decisions: [announce, { type: "tookOver", address: ip, from: "n1", cause: "failed", afterMs: 310.4 }],
        },
        {
          ...at(31),
          input: { type: "sighting", sighting: { kind: "use", mac: "02:00:00:00:00:01", interface: "\u001b[2J" } },
          decisions: [],
        },
      ]),
      node: "n2",
    },
  },
});

const lines = `TIME                      BY          WHAT
2026-01-02T03:04:00.000Z  controller  assigns 192.0.2.1 of pool lan
2026-01-02T03:04:01.000Z  n1          announces 192.0.2.1 by layer 2
2026-01-02T03:04:09.000Z  n1          withdraws 192.0.2.1: noReadyEndpoint
2026-01-02T03:04:29.000Z  n2          sees that node n1 failed (accused by n2, n3; suspected for 151 ms; last heard 270 ms before; this node itself was 30 ms late 900 ms before)
2026-01-02T03:04:30.000Z  n2          announces 192.0.2.1 by layer 2
2026-01-02T03:04:30.000Z  n2          took 192.0.2.1 over from node n1: it stopped answering 310 ms before
2026-01-02T03:04:31.000Z  n2          sees a frame (use) of 02:00:00:00:00:01 on ·[2J
`;

test("history is one time line of what all processes recorded, with reasons, and what others wrote does nothing to a terminal", async () => {
  const query = "/v1/recorder?about=192.0.2.1";
  const controller = { [query]: self("controller", [{ ...at(0), input: { type: "continue" }, decisions: [assigned] }]) };
  const processes = fakeProcesses({ "controller-1": controller, ...speakers(query) });
  const { status, out } = await ingotctl("history 192.0.2.1", { processes });
  assert.equal(out, lines);
  assert.equal(status, Exit.ok);
});

test("on a narrow terminal nothing of it is cut", async () => {
  const processes = fakeProcesses(speakers("/v1/recorder?about=192.0.2.1"));
  const { out } = await ingotctl("history 192.0.2.1", { processes, columns: 40 });
  assert.match(out, /^2026-01-02\n {2}\d\d:\d\d:\d\d n1: announces 192\.0\.2\.1 by layer 2\n/);
  assert.match(out, /n2: took 192\.0\.2\.1 over from node n1: it stopped answering \d+ ms before\n/);
});

test("the history of a Service is that of the addresses which decisions on it name, too", async () => {
  const ofService = "/v1/recorder?about=default%2Fweb";
  const ofAddress = "/v1/recorder?about=192.0.2.1";
  const nothing = { ...self("speaker", []), node: "n1" };
  const byAddress = speakers(ofAddress);
  const processes = fakeProcesses({
    "controller-1": {
      [ofService]: self("controller", [{ ...at(0), input: { type: "continue" }, decisions: [assigned] }]),
      [ofAddress]: self("controller", [{ ...at(0), input: { type: "continue" }, decisions: [assigned] }]),
    },
    "speaker-n1": { [ofService]: nothing, ...byAddress["speaker-n1"] },
    "speaker-n2": { [ofService]: { ...nothing, node: "n2" }, ...byAddress["speaker-n2"] },
  });
  const { out } = await ingotctl("history svc/web", { processes });
  assert.equal(out, lines);
  const { history } = JSON.parse((await ingotctl("history svc/web -o json", { processes })).out);
  assert.deepEqual(history[0], { at: at(0).at, program: "controller", node: "", what: "assigns 192.0.2.1 of pool lan", why: "" });
});

test("a process that does not answer is named, and what is no subject is refused", async () => {
  const processes = fakeProcesses({ "speaker-n1": { "/v1/recorder": { ...self("speaker", []), node: "n1" } }, "speaker-n2": {} });
  const { status, out, err } = await ingotctl("history 192.0.2.1", { processes });
  assert.deepEqual([status, out], [Exit.invalid, "nothing is recorded of 192.0.2.1, as far as there are answers\n"]);
  assert.match(err, /speaker-n2 on n2 is not among these/);
  assert.equal((await ingotctl("history node/a", { processes })).status, Exit.usage);
});

test("of an input of which an earlier version left all out but its type nothing is said that may not be so", async () => {
  const types = ["apiLost", "member", "slice", "service", "sighting"];
  const found = types.map((type, index) => ({ ...at(index), input: { type }, decisions: [] }));
  found.push({ ...at(9), input: { type: "continue" }, decisions: [announce as never] });
  const processes = fakeProcesses({ "speaker-n1": { "/v1/recorder": { ...self("speaker", found), node: "n1" } } });
  const { out } = await ingotctl("history 192.0.2.1", { processes });
  const said = out.split("\n").map((line) => line.slice(30));
  assert.deepEqual(said.slice(1, -1), [
    "loses the API server, or sees it again",
    "sees another member of the ring change",
    "sees endpoints change",
    "sees the Service change",
    "announces 192.0.2.1 by layer 2",
  ]);
});

test("an address that is announced on interfaces has its announcements in the history, with the reasons of reports on them", async () => {
  const item = { type: "address", interface: "eth0", address: ip, prefixLength: 32 };
  const has = (items: readonly object[]) => ({ type: "setKernel", address: ip, items });
  const found = [
    { ...at(1), input: { type: "continue" }, decisions: [has([item, { ...item, type: "route" }]), log("serviceAnnounced", web)] },
    { ...at(2), input: { type: "continue" }, decisions: [has([]), log("serviceWithdrawn", { ...web, reason: "notOwner" })] },
  ];
  const processes = fakeProcesses({ "speaker-n1": { "/v1/recorder": { ...self("speaker", found), node: "n1" } } });
  const { out } = await ingotctl("history 192.0.2.1", { processes });
  const said = out.split("\n").map((line) => line.slice(30));
  assert.deepEqual(said.slice(1, -1), ["announces 192.0.2.1 on eth0", "withdraws 192.0.2.1 from its interfaces: notOwner"]);
});

test("the history tells how many endpoints are ready, and where, as speakers record them now and did before", async () => {
  const slice = (endpoints: readonly object[]) => ({
    type: "slice",
    key: "default/web-1",
    now: { service: "default/web", endpoints },
  });
  const inputs = [
    slice([
      { nodeName: "n1", ready: 2, draining: 0 },
      { ready: 1, draining: 0 },
      { nodeName: "n3", ready: 0, draining: 1 },
    ]),
    slice([{ nodeName: "n3", ready: 0, draining: 1 }]),
    slice([
      { nodeName: "n1", ready: true },
      { nodeName: "n1", ready: true },
      { nodeName: "n2", ready: false },
    ]),
    { type: "slice", key: "default/web-1", before: { service: "default/web" } },
  ];
  const found = inputs.map((input, index) => ({ ...at(index), input, decisions: [] }));
  const processes = fakeProcesses({
    "speaker-n1": { "/v1/recorder?about=default%2Fweb": { ...self("speaker", found), node: "n1" } },
  });
  const { history } = JSON.parse((await ingotctl("history svc/web -o json", { processes })).out);
  assert.deepEqual(
    history.map(({ what }: { what: string }) => what),
    [
      "sees ready endpoints: 3 on n1, unknown",
      "sees no ready endpoint",
      "sees ready endpoints: 2 on n1",
      "sees that endpoints are gone",
    ],
  );
});

test("moves of many addresses at once are one moment", () => {
  const move = (second: number, address: string) => ({
    at: at(second).at,
    program: "speaker" as const,
    node: "n2",
    what: `took ${address} over from node n1`,
    why: "it stopped answering",
  });
  const moments = [move(1, "192.0.2.1"), move(2, "192.0.2.2"), move(3, "fd00::1"), move(30, "192.0.2.1")];
  assert.deepEqual(
    together(moments).map(({ what }) => what),
    ["took 192.0.2.1 and 2 other addresses over from node n1", "took 192.0.2.1 over from node n1"],
  );
  const frame = (mac: string) => ({ ...move(1, ""), what: `sees a frame (uses) of ${mac} on eth0` });
  assert.equal(together([frame("02:00:00:00:00:01"), frame("02:00:00:00:00:02")]).length, 2, "of two hosts");
});
