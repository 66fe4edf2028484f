import assert from "node:assert/strict";
import { test } from "node:test";
import { forwarding, type ProxiedService, type ProxiedSlice } from "./forwarding.ts";

const http = { name: "http", protocol: "TCP", port: 80 };
const web: ProxiedService = { key: "default/web", local: false, ingress: ["192.0.2.1"], ports: [http] };
const slice: ProxiedSlice = {
  service: "default/web",
  ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  endpoints: [
    { address: "10.244.1.1", nodeName: "node1" },
    { address: "10.244.2.1", nodeName: "node2" },
  ],
};
const sixth: ProxiedSlice = { ...slice, endpoints: [{ address: "fd00:244:1::1", nodeName: "node1" }] };

const cases: { name: string; services: ProxiedService[]; slices?: ProxiedSlice[]; accepted: string[]; forwards: string[] }[] = [
  {
    name: "Cluster: endpoints of every node, at the port that the slice names alike",
    services: [web],
    accepted: ["192.0.2.1"],
    forwards: ["TCP 192.0.2.1:80 > 10.244.1.1:8080 10.244.2.1:8080"],
  },
  {
    name: "Local: endpoints of this node alone",
    services: [{ ...web, local: true }],
    accepted: ["192.0.2.1"],
    forwards: ["TCP 192.0.2.1:80 > 10.244.1.1:8080"],
  },
  {
    name: "Local without an endpoint here: the address is not taken in",
    services: [{ ...web, local: true }],
    slices: [{ ...slice, endpoints: slice.endpoints.slice(1) }],
    accepted: [],
    forwards: [],
  },
  {
    name: "Cluster without an endpoint: taken in, and refused as nobody listens",
    services: [web],
    slices: [{ ...slice, endpoints: [] }],
    accepted: ["192.0.2.1"],
    forwards: [],
  },
  {
    name: "each address is served by endpoints of its family",
    services: [{ ...web, ingress: ["192.0.2.1", "2001:db8::1"] }],
    slices: [slice, sixth],
    accepted: ["192.0.2.1", "2001:db8::1"],
    forwards: ["TCP 192.0.2.1:80 > 10.244.1.1:8080 10.244.2.1:8080", "TCP 2001:db8::1:80 > fd00:244:1::1:8080"],
  },
  {
    name: "a shared address forwards each Service's ports to its own endpoints",
    services: [
      { ...web, local: true },
      { ...web, key: "default/dns", ports: [{ name: "dns", protocol: "UDP", port: 53 }] },
    ],
    slices: [
      { ...slice, endpoints: [] },
      { service: "default/dns", ports: [{ name: "dns", protocol: "UDP", port: 5353 }], endpoints: slice.endpoints.slice(1) },
    ],
    accepted: ["192.0.2.1"],
    forwards: ["UDP 192.0.2.1:53 > 10.244.2.1:5353"],
  },
  {
    name: "a port of the same name but another protocol is another port",
    services: [{ ...web, ports: [{ ...http, protocol: "UDP" }] }],
    accepted: ["192.0.2.1"],
    forwards: [],
  },
  { name: "a Service without an address", services: [{ ...web, ingress: [] }], accepted: [], forwards: [] },
];
for (const { name, services, slices = [slice], accepted, forwards } of cases) {
  test(`forwarding: ${name}`, () => {
    const result = forwarding(services, slices, "node1");
    assert.deepEqual([...result.accepted], accepted);
    assert.deepEqual(
      result.forwards.map(
        ({ protocol, listen, targets }) =>
          `${protocol} ${listen.address}:${listen.port} > ${targets.map(({ address, port }) => `${address}:${port}`).join(" ")}`,
      ),
      forwards,
    );
  });
}
