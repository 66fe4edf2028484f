import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ApiError } from "./api-error.ts";
import { decodeProtobuf } from "./protobuf.ts";

/** One field: a number as a varint, text or a message as octets. */
function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === "number") return Buffer.concat([varint(number << 3), varint(value)]);
  const content = Buffer.from(value as string);
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const octets: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) octets.push((value % 128) | 0x80);
  return Buffer.from([...octets, value]);
}

function body(apiVersion: string, kind: string, ...fields: Buffer[]): Buffer {
  const typeMeta = Buffer.concat([field(1, apiVersion), field(2, kind)]);
  return Buffer.concat([Buffer.from("k8s\0"), field(1, typeMeta), field(2, Buffer.concat(fields))]);
}

const named = field(1, field(1, "x"));
const cases = [
  {
    name: "metadata alone",
    octets: body("v1", "Namespace", named),
    want: { apiVersion: "v1", kind: "Namespace", metadata: { name: "x" } },
  },
  {
    name: "maps of text and of octets, the latter as base64",
    octets: body(
      "v1",
      "Secret",
      named,
      field(2, Buffer.concat([field(1, "k"), field(2, "v")])),
      field(4, Buffer.concat([field(1, "empty")])),
    ),
    want: { apiVersion: "v1", kind: "Secret", metadata: { name: "x" }, data: { k: "dg==" }, stringData: { empty: "" } },
  },
  {
    name: "repeated messages, numbers, and numbers or text",
    octets: body(
      "v1",
      "Service",
      named,
      field(
        2,
        Buffer.concat([
          field(1, Buffer.concat([field(3, 80), field(4, Buffer.concat([field(1, 0), field(2, 8080)]))])),
          field(1, Buffer.concat([field(3, 443), field(4, Buffer.concat([field(1, 1), field(3, "https")]))])),
          field(3, ""), // Not set, but Go writes it all the same.
          field(20, 0), // Set to false: a pointer in Go.
          field(13, 0), // Unknown here, and not set.
        ]),
      ),
    ),
    want: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "x" },
      spec: {
        ports: [
          { port: 80, targetPort: 8080 },
          { port: 443, targetPort: "https" },
        ],
        allocateLoadBalancerNodePorts: false,
      },
    },
  },
  { name: "a body without the magic octets is refused", octets: Buffer.from("{}"), refused: /magic octets/ },
  { name: "an unknown kind is refused by name", octets: body("v1", "Gadget", named), refused: /Gadget is not among the kinds/ },
  {
    name: "a part of a kind is no kind",
    octets: body("v1", "ServiceSpec", named),
    refused: /ServiceSpec is not among the kinds/,
  },
  {
    name: "an unknown field that is set is refused by number",
    octets: body("v1", "ConfigMap", named, field(9, 1)),
    refused: /field 9 of ConfigMap/,
  },
  {
    name: "a field cut short is refused",
    octets: body("v1", "ConfigMap", Buffer.from([0x0a, 0x05, 0x00])),
    refused: /middle of a field/,
  },
  { name: "a number cut short is refused", octets: body("v1", "ConfigMap", Buffer.from([0x80])), refused: /middle of a number/ },
];
for (const { name, octets, want, refused } of cases) {
  test(`decodeProtobuf: ${name}`, () => {
    if (refused) assert.throws(() => decodeProtobuf(octets), { code: 415, message: refused });
    else assert.deepEqual(decodeProtobuf(octets), want);
  });
}

test("decodeProtobuf: arbitrary octets raise only its own error", () => {
  const kind = fc.constantFrom("Service", "Deployment", "Secret", "TokenRequest");
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 60 }), (kind, octets) => {
      try {
        decodeProtobuf(body("v1", kind, Buffer.from(octets)));
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
      }
    }),
  );
});
