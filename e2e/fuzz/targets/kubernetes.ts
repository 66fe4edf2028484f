import assert from "node:assert/strict";
import { fields } from "#pkg/untrusted";
import { LineSplitter } from "../../../pkg/k8s/lines.ts";
import { projectMeta, resources, servicesOf } from "../../../pkg/k8s/resources.ts";
import { parseJson } from "../../../pkg/k8s/untrusted.ts";
import { parseAddress } from "../../../pkg/net/index.ts";
import { decodeQuarantine, encodeQuarantine, quarantineKey } from "../../../pkg/quarantine/index.ts";
import { annotations, classlessOnly, maxAddresses, readRequest, recordedAddresses } from "../../../pkg/service/index.ts";
import { octetsOf, type Target, textOf } from "../target.ts";
import { wordsIn } from "../words.ts";

const meta = { name: "web", namespace: "default", uid: "u", resourceVersion: "1" };
const service = {
  metadata: { ...meta, annotations: Object.fromEntries(Object.values(annotations).map((name) => [name, "192.0.2.1"])) },
  spec: {
    type: "LoadBalancer",
    clusterIPs: ["10.96.0.1", "fd00::1"],
    loadBalancerIP: "192.0.2.1",
    externalTrafficPolicy: "Local",
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    selector: { app: "web", tier: "front" },
  },
  status: {
    loadBalancer: { ingress: [{ ip: "192.0.2.1" }, { hostname: "web.example.com" }, { ip: "2001:db8::1", ipMode: "VIP" }] },
  },
};
const objects = [
  service,
  {
    metadata: { ...meta, labels: { "kubernetes.io/service-name": "web" } },
    endpoints: [{ nodeName: "node-1", conditions: { ready: true, serving: true, terminating: false } }],
  },
  { metadata: meta, subsets: [{ addresses: [{ ip: "10.0.0.1", nodeName: "node-1" }], notReadyAddresses: [{ ip: "10.0.0.2" }] }] },
  {
    metadata: { ...meta, labels: { a: "b" } },
    spec: { unschedulable: true, taints: [{ key: "node.kubernetes.io/unreachable" }] },
  },
  {
    metadata: meta,
    spec: { nodeName: "node-1" },
    status: { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }], conditions: [{ type: "Ready", status: "True" }] },
  },
  { metadata: meta, data: { config: "address-pools: []", memberlist: "c2VjcmV0" } },
  { metadata: meta, spec: { holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 1 } },
];
const words = [
  '""',
  "null",
  "[]",
  "{}",
  "0",
  "-1",
  "1e999",
  '"x"',
  '"192.0.2.1, 2001:db8::1"',
  '"::ffff:192.0.2.1"',
  '"__proto__":',
  '"constructor":',
  '"None"',
]
  .map(octetsOf)
  .concat(wordsIn("pkg/k8s/resources.ts", "pkg/service/*.ts", "pkg/quarantine/*.ts"));
// The API server gives no more than 1.5 MB of an object.
const bounds = { work: 2_000, workPerOctet: 60, memory: 32, time: 100 };

/** A Service as JSON, with what people write into it. */
export const annotated: Target = {
  name: "annotations",
  maxLength: 4_000,
  seeds: [octetsOf(JSON.stringify(service))],
  words: [
    ...words,
    ...Object.values(annotations).map((name) => octetsOf(`"${name}":`)),
    ...["LoadBalancer", "clusterIPs", "loadBalancerIP", ",", "%eth0", "/24"].map(octetsOf),
  ],
  isText: true,
  bounds,
  run: (input) => {
    const raw = fields(parseJson(textOf(input)));
    const read = servicesOf(classlessOnly).project(raw, projectMeta(raw) ?? { ...meta, key: "default/web" });
    const reading = readRequest(read);
    if (reading.type !== "notOurs") assert.ok(reading.request.families.length >= 1 && reading.request.families.length <= 2);
    if (reading.type === "request") assert.ok(reading.request.requestedAddresses.length <= maxAddresses);
    for (const address of recordedAddresses(read)) assert.ok(parseAddress(`${address}`)?.equals(address));
  },
};

/** Lines of a watch, with objects of every kind; the first octet says in which pieces they arrive. */
export const watch: Target = {
  name: "kubernetes",
  maxLength: 8_000,
  seeds: objects.map((object) => octetsOf(`@${JSON.stringify({ type: "ADDED", object })}\n`)),
  words: [...words, octetsOf("\n"), octetsOf('{"type":"MODIFIED","object":')],
  isText: true,
  bounds,
  run: (input) => {
    const splitter = new LineSplitter(1 << 20);
    const piece = 1 + (input[0] ?? 0);
    for (let at = 1; at < input.length; at += piece)
      for (const line of splitter.push(Buffer.from(input.subarray(at, at + piece)))) readEvent(line);
  },
};

function readEvent(line: string): void {
  const object = fields(fields(parseJson(line)).object);
  const known = projectMeta(object);
  if (known === undefined) return;
  for (const resource of Object.values(resources)) resource.project(object, known);
  const occupants = decodeQuarantine(resources.configMaps.project(object, known).data);
  for (const [address, occupant] of occupants) {
    const key = quarantineKey(parseAddress(address) ?? assert.fail(address));
    assert.deepEqual(decodeQuarantine({ [key]: encodeQuarantine(occupant) }), new Map([[address, occupant]]));
  }
}
