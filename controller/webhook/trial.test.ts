import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { parseConfig } from "#pkg/config";
import { type ObjectMeta, resources } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { configText, namespace, World } from "../testing/world.ts";
import { reviewChange } from "./review.ts";

const one = configText("main 10.0.0.0-10.0.0.0");
const team = { key: "team", name: "team", uid: "1", resourceVersion: "1", labels: { tenant: "a" } } as unknown as ObjectMeta;

/** A cluster in which `team/waits` waits for an address, and what its controller, at work or standing by, says of another text. */
async function review(
  after: string,
  { isStandby = false, occupied = "", labels = true, mayRead = true },
): Promise<readonly string[]> {
  const world = new World({ isStandby });
  world.config(one);
  world.lastGood(one);
  world.cluster.put("services", service("team/waits"));
  world.service("web", { ingress: ["10.0.0.0"] });
  world.cluster.put("namespaces", team);
  if (!labels) world.cluster.silent.add("namespaces");
  if (!mayRead) world.cluster.forbidden.add("namespaces");
  if (occupied !== "") world.occupied(occupied);
  world.controller.start();
  await world.settle();
  assert.equal(
    world.cluster.informers.some(({ resource }) => resource.plural === resources.namespaces.plural),
    false,
  );
  const request = { uid: "1", namespace, name: "config", data: { config: after }, annotations: {}, before: { config: one } };
  const verdict = reviewChange(
    request,
    {
      namespace,
      configMap: "config",
      reader: { read: (text, done) => done(parseConfig(text)) },
      terms: world,
    },
    { now: () => world.clock.now(), deadline: world.clock.now() + 2_000, nextTurn: () => setImmediate() },
  );
  await setImmediate();
  await world.settle();
  if (!labels) world.clock.advanceBy(1_000);
  return (await verdict).warnings;
}

const selector = "namespace-selectors: [{match-labels: {tenant: a}}]";
const forTeam = `${one}- {name: team, protocol: layer2, addresses: [10.1.0.0/32], sharing: namespace, ${selector}}\n`;
const strict = `${one}- {name: lan, protocol: layer2, conflict-probe: strict, addresses: [10.1.0.0/31]}\n`;

for (const isStandby of [false, true]) {
  const who = isStandby ? "a standby" : "the controller at work";
  test(`${who} knows the labels of namespaces at the first change that asks for them`, async () => {
    const found = await review(forTeam, { isStandby });
    assert.deepEqual(found, ["1 Service would get an address: team/waits (10.1.0.0)"]);
  });

  test(`${who} knows the addresses of other hosts at the first change that asks for them`, async () => {
    const found = await review(strict, { isStandby, occupied: "10.1.0.0" });
    assert.deepEqual(found, ["1 Service would get an address: team/waits (10.1.0.1)"]);
    const ownStrict = one.replace("protocol: layer2", "protocol: layer2\n  conflict-probe: strict");
    const more = `${ownStrict}- {name: more, protocol: layer2, addresses: [10.1.0.0/32]}\n`;
    const held = await review(more, { isStandby, occupied: "10.0.0.0" });
    assert.deepEqual(held, ["1 Service would get an address: team/waits (10.1.0.0)"], "who has such an address keeps it");
  });
}

const inNetbox = "netbox: {url: https://netbox.example.com, token-secret: {name: netbox}, tags: [ingot]}";
test("a review says that NetBox is not asked, where a pool is kept there and Services would get other addresses", async () => {
  const kept = `${one}- {name: kept, protocol: layer2, addresses: [10.1.0.0/32], ${inNetbox}}\n`;
  assert.deepEqual(await review(kept, {}), [
    "1 Service would get an address: team/waits (10.1.0.0)",
    'NetBox is not asked: Services may get other addresses, where pools are kept there ("kept")',
  ]);
  assert.deepEqual(
    await review(kept.replace("layer2, addresses: [10.1", "layer2, auto-assign: false, addresses: [10.1"), {}),
    [],
  );
});

test("a review does not wait for labels of namespaces that do not come", async () => {
  assert.deepEqual(await review(forTeam, { labels: false }), []);
});

test("a review says that a controller without the right to read labels of namespaces does not use what asks for them", async () => {
  const [found, ...others] = await review(forTeam, { mayRead: false });
  assert.match(
    `${found}`,
    /^not used: address-pools\[1\]\.namespace-selectors: the controller may not read the labels of Namespaces: /,
  );
  assert.deepEqual(others, []);
});

test("a review compares both configurations in one state, whatever changes until its end", async () => {
  const world = new World();
  world.config(forTeam);
  world.service("web");
  world.cluster.put("services", service("team/waits"));
  world.cluster.put("namespaces", team);
  world.controller.start();
  await world.settle();
  const trial = await world.controller.trial(parseConfig(forTeam), world.clock.now());
  world.cluster.put("namespaces", { ...team, labels: {} } as unknown as ObjectMeta);
  world.service("later");
  await world.settle();
  assert.deepEqual([trial?.namespaces.get("team"), trial?.services.length], [{ tenant: "a" }, 2]);
});
