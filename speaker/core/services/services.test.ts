import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type EndpointSlice, resources } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import { Bench, nodes, pools } from "../../testing/speaker-bench.ts";
import { createState } from "../state.ts";
import { SpeakerView } from "../view.ts";
import { holderKeys, holdersWith, noServices, type Services, setService, setSlice } from "./services.ts";

const x = address("192.0.2.1");
const web = "default/web";

function withWeb(): Services {
  const services = noServices();
  setService(services, web, service(web, { ingress: [x.toString()] }));
  return services;
}

/** The known endpoints of the Service, in the order of the nodes. */
function endpointsOf(services: Services) {
  const [holder] = holdersWith(services, holderKeys(services, x.toString()), x.family);
  assert.ok(holder);
  return holder.endpoints.toSorted((a, b) => String(a.nodeName).localeCompare(String(b.nodeName)));
}

/** A slice from the API, with an endpoint on each of these nodes. */
function slice(
  name: string,
  service: string,
  on: readonly { readonly node: string | undefined; readonly ready: boolean }[],
  addressType = "IPv4",
): EndpointSlice {
  const meta = { key: `default/${name}`, namespace: "default", name, uid: name, resourceVersion: "1" };
  const endpoints = on.map(({ node, ready }) => ({
    nodeName: node,
    conditions: { ready, serving: true, terminating: !ready },
  }));
  const raw = { metadata: { labels: { "kubernetes.io/service-name": service } }, addressType, endpoints };
  return resources.endpointSlices.project(raw, meta);
}

const familyOf = (name: string) => (name.endsWith("6") ? "IPv6" : "IPv4");

const anyEndpoints = fc.array(
  fc.record({ node: fc.constantFrom("node1", "node2", "node3", undefined), ready: fc.boolean() }, { noNullPrototype: true }),
  { maxLength: 6 },
);

test("whatever slices come, change, go and pass to another Service, each node has the sum of its endpoints of the family, or of both if it has none", () => {
  const anyChange = fc.record({
    name: fc.constantFrom("a", "b", "c", "d6", "e6"),
    of: fc.constantFrom("web", "other", "gone"),
    on: anyEndpoints,
  });
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 20 }), (changes) => {
      const services = withWeb();
      const slices = new Map<
        string,
        { readonly slice: EndpointSlice; readonly of: string; readonly on: (typeof changes)[number]["on"] }
      >();
      for (const { name, of, on } of changes) {
        const before = slices.get(name)?.slice;
        const now = of === "gone" ? undefined : slice(name, of, on, familyOf(name));
        setSlice(services, `default/${name}`, now, before);
        if (now === undefined) slices.delete(name);
        else slices.set(name, { slice: now, of, on });
        const those = [...slices].filter(([, one]) => one.of === "web" && one.on.length > 0);
        const own = those.filter(([each]) => familyOf(each) === "IPv4");
        const all = (own.length > 0 ? own : those).flatMap(([, one]) => one.on);
        const want = ["node1", "node2", "node3", undefined].flatMap((nodeName) => {
          const there = all.filter(({ node }) => node === nodeName);
          const ready = there.filter((one) => one.ready).length;
          return there.length === 0 ? [] : [{ nodeName, ready, draining: there.length - ready }];
        });
        assert.deepEqual(endpointsOf(services), want);
        const ofWeb = [...slices.values()].filter((one) => one.of === "web").length;
        assert.equal(services.merged.has(web), ofWeb > 1, "only where there are several");
      }
    }),
  );
});

test("of a Local Service's addresses each is where its family has endpoints, which kube-proxy alone takes, and anywhere where it has none", () => {
  const y = "2001:db8::1";
  const lan = pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/28, 2001:db8::/124]}");
  const announcers = (ready: Record<string, boolean>) =>
    nodes.flatMap((name) => {
      const bench = new Bench(name);
      bench.setConfig(lan);
      bench.setService(web, service(web, { ingress: [x.toString(), y], externalTrafficPolicy: "Local" }));
      bench.endpoints(web, Object.fromEntries(nodes.map((one) => [one, true])), "IPv4");
      bench.endpoints(web, ready, "IPv6");
      bench.start();
      bench.proceed();
      return [...bench.wire.keys()].map((key) => ({ name, key }));
    });
  for (const node of nodes) {
    const found = announcers({ [node]: true });
    assert.deepEqual(
      found.filter(({ key }) => key === y).map(({ name }) => name),
      [node],
    );
    assert.equal(found.length, 2);
  }
  assert.deepEqual(new Set(announcers({}).map(({ key }) => key)), new Set([x.toString(), y]));
});

test("a Pod of a Service with both families counts once", () => {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  const on = (...ready: boolean[]) => ready.map((one) => ({ node: "node1", ready: one }));
  for (const one of [slice("a4", "web", on(true, false)), slice("a6", "web", on(true, true), "IPv6")])
    setSlice(state.services, one.key, one, undefined);
  const found = [...new SpeakerView(state).endpoints(web)];
  assert.deepEqual(found, [{ nodeName: "node1", ready: 2, draining: 1 }]);
});

test("a Service with 100,000 endpoints costs what its nodes cost, once for each slice and once for all", () => {
  const services = withWeb();
  const nodes = Array.from({ length: 50 }, (_, i) => `node-${i + 100}`);
  for (let i = 0; i < 100; i++) {
    const on = Array.from({ length: 1000 }, (_, k) => ({ node: nodes[(i * 1000 + k) % 50], ready: true }));
    const one = slice(`web-${i}`, "web", on);
    assert.equal(one.endpoints.length, 50);
    setSlice(services, one.key, one, undefined);
  }
  assert.deepEqual(
    endpointsOf(services),
    nodes.map((nodeName) => ({ nodeName, ready: 2_000, draining: 0 })),
  );
});

test("each Service is listed once, also one that is made again while a long list is read", () => {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  const see = (name: string, uid: string) => setService(state.services, name, service(name, { uid }));
  for (const name of ["shop/one", "shop/two"]) see(name, "1");
  const listed: (string | undefined)[] = [];
  for (const key of new SpeakerView(state).loadBalancers()) {
    listed.push(key);
    if (listed.length > 1) continue;
    setService(state.services, "shop/one", undefined);
    see("shop/one", "2");
  }
  assert.deepEqual(listed, ["shop/one", "shop/two"]);
});
