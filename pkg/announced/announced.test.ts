import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  announcedConfigMap,
  announcedConfigMaps,
  announcedKey,
  areAllOf,
  decodeAnnounced,
  encodeAnnounced,
  reporterKey,
  subjectOf,
  writerKey,
} from "./announced.ts";

const decode = (data: Record<string, string>) => decodeAnnounced({ name: "ingot-announced-0", data }, "lb");
const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);

test("property: a line is read as it was written, under a key that a ConfigMap may have", () => {
  fc.assert(
    fc.property(name, name, fc.uuid(), fc.string({ maxLength: 600 }), (namespace, service, uid, text) => {
      const subject = subjectOf({ uid, ingress: ["192.0.2.1", "2001:db8::1"] });
      const key = announcedKey(`${namespace}/${service}`);
      assert.match(key, /^[-._a-zA-Z0-9]{1,253}$/);
      const message = text.replaceAll(/[^ -~]/g, "");
      const read = decode({ [key]: encodeAnnounced({ cause: "noReadyEndpoint", subject, message }) });
      assert.deepEqual([...read], [[`${namespace}/${service}`, { cause: "noReadyEndpoint", subject, message }]]);
      assert.ok(announcedConfigMaps.includes(announcedConfigMap(`${namespace}/${service}`)));
    }),
  );
});

test("property: any data is read without an error, and only causes of the table are believed", () => {
  assert.equal(decodeAnnounced({ name: "config", data: { "default.web": "announced x" } }, "lb").size, 0);
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.string()), (data) => void decode(data)));
  for (const text of ["", "announced", "announced a", " announced a x", "announced 12345678 x"])
    assert.equal(decode({ "default.web": text }).size, 0, text);
  for (const text of ["toString a x", "Announced a x", "__proto__ a x", "causeOfALaterVersion a x"])
    assert.deepEqual(
      [...decode({ "default.web": text })],
      [["default/web", { cause: "unknown", subject: "a", message: "x" }]],
      text,
    );
});

test("another Service of the same name, and other addresses, are another subject", () => {
  const services = [
    { uid: "a", ingress: [] },
    { uid: "a", ingress: ["192.0.2.1"] },
    { uid: "b", ingress: ["192.0.2.1"] },
    { uid: "a", ingress: ["192.0.2.1", "192.0.2.2"] },
  ];
  assert.equal(new Set(services.map(subjectOf)).size, services.length);
});

test("lines in a ConfigMap are of one node where no other has written there since it wrote all of them", () => {
  const [first = "", second = ""] = announcedConfigMaps;
  const own = { [reporterKey]: "node1", [writerKey("node1")]: "node1", "default.web": "announced a x" };
  const other = { [writerKey("node2")]: "node2" };
  assert.equal(areAllOf("node1", { name: first, data: own }), true);
  assert.equal(areAllOf("node2", { name: first, data: own }), false);
  assert.equal(areAllOf("node1", { name: first, data: { ...own, ...other } }), false);
  assert.equal(areAllOf("node1", { name: second, data: { "default.web": "announced a x" } }), true, "one of a version before");
  assert.equal(areAllOf("node1", { name: second, data: other }), false);
  assert.deepEqual([...decode({ ...own, ...other }).keys()], ["default/web"]);
  assert.match(writerKey("n".repeat(253)), /^[-._a-zA-Z0-9]{1,253}$/);
});

test("commands in a line are for the namespace in which controller and speakers run", () => {
  const [line] = decode({ "default.web": "noActiveSpeaker a no speaker; kubectl -n metallb-system get pods" }).values();
  assert.equal(line?.message, "no speaker; kubectl -n lb get pods");
});

test("of what somebody made up no more is read than a line has, and no control character", () => {
  const lines = decode({ "default.web": `noSession a \u001b[31m${"x".repeat(100_000)}` });
  const { message = "" } = lines.get("default/web") ?? {};
  assert.ok(message.length < 700);
  assert.doesNotMatch(message, /\p{Cc}/u);
  const many = Object.fromEntries(Array.from({ length: 30_000 }, (_, index) => [`a.b${index}`, "announced a x"]));
  assert.equal(decode(many).size, 10_000);
});

test("the lines of 10,000 Services have room in the ConfigMaps, also where none is announced and no line could be longer", () => {
  const octets = new Map<string, number>();
  for (let index = 0; index < 10_000; index++) {
    const service = `${"n".repeat(58)}${index}/${"s".repeat(58)}${index}`;
    const line = encodeAnnounced({ cause: "noReadyEndpointOnActiveNode", subject: "1z141z3", message: "x".repeat(1_000) });
    const configMap = announcedConfigMap(service);
    octets.set(configMap, (octets.get(configMap) ?? 0) + announcedKey(service).length + line.length);
  }
  assert.equal(octets.size, announcedConfigMaps.length);
  for (const sum of octets.values()) assert.ok(sum < 1 << 20, `${sum} octets`);
});
