import assert from "node:assert/strict";
import { test } from "node:test";
import { announcedConfigMap, announcedKey, encodeAnnounced, subjectOf } from "#pkg/announced";
import { keyOf, namespace } from "../api/objects.ts";
import { Scene, spec } from "./scene.ts";
import { linesOf, wronglyTold } from "./told.ts";

test("a line and a condition that are not as the cluster is are found, and those of addresses of all kinds are right", async () => {
  const scene = await Scene.atRest();
  const { cluster } = scene;
  cluster.people.setService("c", { ...spec, pool: "both,given" });
  cluster.people.setService("d", { ...spec, pool: "lan", isDual: true });
  cluster.people.setService("e", { ...spec, pool: "nic,routed" });
  cluster.people.setService("f", { ...spec, endpoints: [] });
  await scene.pass(60_000);
  assert.equal(wronglyTold(cluster), undefined);

  const [service, [address = ""]] = [keyOf("a"), cluster.people.status("a")];
  const { uid = "" } = cluster.api.get("services", service)?.metadata ?? {};
  const right = linesOf(cluster).get(service);
  assert.ok(right);
  const map = `${namespace}/${announcedConfigMap(service)}`;
  const say = (line: Partial<typeof right> | undefined) => {
    const text = line && encodeAnnounced({ ...right, ...line });
    cluster.api.patch("configmaps", map, { data: { [announcedKey(service)]: text ?? null } });
    return wronglyTold(cluster) ?? "nothing";
  };
  assert.equal(say(undefined), "no line tells of a");
  assert.match(say({ subject: subjectOf({ uid, ingress: ["192.0.2.9"] }) }), /which is of another Service or other addresses$/);
  assert.match(say({ cause: "noReadyEndpoint", message: "no endpoint is ready" }), /and it is announced$/);
  const other = right.message.endsWith("node-0") ? "node-1" : "node-0";
  assert.match(say({ message: `${address} is announced by ${other}` }), new RegExp(`and ${address} is at node-`));
  assert.match(say({ message: `${address} is announced by BGP` }), new RegExp(`and ${address} is at node-`));
  assert.equal(say({}), "nothing");
  const { conditions = [] } = (cluster.api.get("services", service)?.status ?? {}) as { readonly conditions?: object[] };
  const withConditions = (some: object[]) => {
    cluster.api.patch("services", service, { status: { conditions: some as [] } });
    return wronglyTold(cluster) ?? "nothing";
  };
  assert.equal(conditions.length, 2);
  const ofType = (type: string) => conditions.filter((each) => (each as { type: string }).type === type);
  assert.match(withConditions(ofType("ingot.dev/Assigned")), /and its condition says undefined/);
  assert.match(withConditions(ofType("ingot.dev/Announced")), /its condition says that it has none$/);
});
