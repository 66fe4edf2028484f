import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, textOf } from "#pkg/http/testing";
import { controllerApi } from "./api.ts";
import { configText, startWorld, type World } from "./testing/world.ts";

async function ask(world: World, path: string): Promise<Record<string, unknown>> {
  const [name = "", query = ""] = path.split("?");
  const route = controllerApi({ terms: world, recorder: world.recorder, clock: world.clock })[name];
  assert.ok(route, path);
  const found = await route(asked(query));
  assert.deepEqual([found.status, found.contentType], [200, "application/json"]);
  return JSON.parse(textOf(found));
}

const names = (listed: unknown) => (listed as { kind?: string; name: string }[]).map(({ kind, name }) => `${kind} ${name}`);

test("/v1/verdicts has all that the controller decides on, and the problems alone where these are asked for", async () => {
  const world = await startWorld(configText("a 10.0.0.0/32"), { one: {} });
  world.service("two");
  await world.settle();
  const { verdicts, leader, program } = await ask(world, "/v1/verdicts");
  assert.deepEqual([leader, program], [true, "controller"]);
  assert.deepEqual(names(verdicts), ["configuration configuration", "pool a", "service default/one", "service default/two"]);
  const problems = (await ask(world, "/v1/verdicts?problems")).verdicts;
  assert.deepEqual(names(problems), ["configuration configuration", "pool a", "service default/two"]);
  const one = (await ask(world, "/v1/services?service=default/one")).services as object[];
  assert.equal(one.length, 1);
  const { service, pool, addresses, verdict } = one[0] as Record<string, unknown>;
  assert.deepEqual([service, pool, addresses], ["default/one", "a", ["10.0.0.0"]]);
  const { since, ...rest } = verdict as Record<string, string>;
  assert.ok(Date.parse(since ?? "") <= Date.now());
  assert.deepEqual(rest, {
    state: "Assigned",
    cause: "assigned",
    message: "10.0.0.0 of pool a is assigned",
    evidence: [{ name: "pool", value: "a", source: "allocator" }],
    next: "",
  });
});

test("/v1/services leaves details of verdicts out where these are not asked for, with brief=names all but names of what is well", async () => {
  const world = await startWorld(configText("a 10.0.0.0/32"), { one: {} });
  world.service("two");
  await world.settle();
  const fields = async (query: string) =>
    ((await ask(world, `/v1/services?${query}`)).services as { verdict: object }[]).map(
      ({ verdict }) => Object.keys(verdict).length,
    );
  assert.deepEqual(await fields(""), [6, 6]);
  assert.deepEqual(await fields("brief"), [3, 3]);
  assert.deepEqual(await fields("brief=names"), [6]);
  assert.deepEqual((await ask(world, "/v1/services?brief=names")).well, ["default/one"]);
});

test("/v1/pools says how full each is, and which addresses it has", async () => {
  const world = await startWorld(`${configText("a 10.0.0.0-10.0.0.1", "b 10.1.0.0/32")}  closed: true\n`, { one: {} });
  const pools = (await ask(world, "/v1/pools")).pools as Record<string, unknown>[];
  assert.deepEqual(
    pools.map(({ pool, protocol, total, inUse, full, ranges, avoidBuggyIPs, closed }) => [
      pool,
      protocol,
      total,
      inUse,
      full,
      ranges,
      avoidBuggyIPs,
      closed,
    ]),
    [
      ["a", "layer2", 2, 1, [], ["10.0.0.0-10.0.0.1"], false, false],
      ["b", "layer2", 1, 0, [], ["10.1.0.0-10.1.0.0"], false, true],
    ],
  );
});

test("/v1/pools says what is kept for whom", async () => {
  const text = `address-pools:
- {name: a, protocol: layer2, addresses: [10.0.0.0/29], reserved: [10.0.0.1, {addresses: [10.0.0.2], namespace: shop}]}
`;
  const world = await startWorld(text, {});
  const [pool] = (await ask(world, "/v1/pools")).pools as { reserved: unknown }[];
  assert.deepEqual(pool?.reserved, [{ ranges: ["10.0.0.1-10.0.0.1"] }, { ranges: ["10.0.0.2-10.0.0.2"], namespace: "shop" }]);
});

test("/v1/configuration has a hash that a password does not change", async () => {
  const withPassword = (password: string, port: number) =>
    `${configText("a 10.0.0.0/32")}peers: [{my-asn: 1, peer-asn: 2, peer-address: 10.9.9.9, peer-port: ${port}, password: ${password}}]\n`;
  const hash = async (text: string) => {
    const answer = await ask(await startWorld(text), "/v1/configuration");
    assert.doesNotMatch(JSON.stringify(answer), /hunter2/);
    return answer.hash;
  };
  const first = await hash(withPassword("hunter2", 179));
  assert.match(`${first}`, /^[0-9a-f]{16}$/);
  assert.equal(await hash(withPassword("other", 179)), first);
  assert.notEqual(await hash(withPassword("hunter2", 1790)), first);
  assert.equal(await hash("nonsense"), null);
});

test("a controller that stands by lists nothing, and says that it does not lead", async () => {
  const world = await startWorld(configText("a 10.0.0.0/32"), { one: {} });
  await world.restart();
  for (const list of ["services", "pools", "verdicts"]) {
    const { leader, [list]: listed } = await ask(world, `/v1/${list}`);
    assert.deepEqual([leader, listed], [false, []]);
  }
});
