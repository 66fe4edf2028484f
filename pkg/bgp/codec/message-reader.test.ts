import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessageReader } from "./message-reader.ts";
import { hex, message, notification, octets } from "./testing/octets.ts";

const marker = "ff".repeat(16);
const keepalive = message(4, "");

/** All messages of a stream that arrives in these chunks, as type and body. */
function read(chunks: readonly Uint8Array[], extended = false): [number, string][] {
  const reader = new MessageReader();
  const found: [number, string][] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(extended); frame !== undefined; frame = reader.next(extended))
      found.push([frame.type, hex(frame.body)]);
  }
  return found;
}

const filled = (octetsOfBody: number) => "00".repeat(octetsOfBody);

// RFC 4271, section 6.1: "All errors detected while processing the Message Header MUST be indicated by sending the NOTIFICATION message
// with the Error Code Message Header Error. The Error Subcode elaborates on the specific nature of the error."
const headers: { name: string; octets: Uint8Array; extended?: true; refused?: [codes: string, data?: string] }[] = [
  { name: "the least OPEN", octets: message(1, filled(10)) },
  { name: "the greatest OPEN", octets: message(1, filled(4077)), extended: true },
  { name: "the least UPDATE", octets: message(2, filled(4)) },
  { name: "the greatest UPDATE", octets: message(2, filled(4077)) },
  { name: "the greatest extended UPDATE", octets: message(2, filled(65_516)), extended: true },
  { name: "the least NOTIFICATION", octets: message(3, filled(2)) },
  { name: "an extended NOTIFICATION", octets: message(3, filled(5000)), extended: true },
  { name: "a KEEPALIVE", octets: keepalive },
  { name: "a ROUTE-REFRESH cut short, whose error is another", octets: message(5, filled(3)) },
  { name: "an extended ROUTE-REFRESH", octets: message(5, filled(5000)), extended: true },
  { name: "a marker with a bit missing", octets: octets(`${"ff".repeat(15)}fe 0013 04`), refused: ["1/1"] },
  { name: "HTTP", octets: new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), refused: ["1/1"] },
  { name: "a length below 19", octets: octets(`${marker} 0012 04`), refused: ["1/2", "0012"] },
  { name: "a length of 0", octets: octets(`${marker} 0000 04`), refused: ["1/2", "0000"] },
  { name: "a length above 4,096", octets: octets(`${marker} 1001 02`), refused: ["1/2", "1001"] },
  { name: "an OPEN below 29", octets: octets(`${marker} 001c 01`), refused: ["1/2", "001c"] },
  { name: "an UPDATE below 23", octets: octets(`${marker} 0016 02`), refused: ["1/2", "0016"] },
  { name: "a NOTIFICATION below 21", octets: octets(`${marker} 0014 03`), refused: ["1/2", "0014"] },
  { name: "a KEEPALIVE with a body", octets: octets(`${marker} 0014 04`), refused: ["1/2", "0014"] },
  { name: "an extended OPEN", octets: octets(`${marker} 1001 01`), extended: true, refused: ["1/2", "1001"] },
  { name: "an extended KEEPALIVE", octets: octets(`${marker} 1001 04`), extended: true, refused: ["1/2", "1001"] },
  { name: "type 0", octets: octets(`${marker} 0013 00`), refused: ["1/3", "00"] },
  { name: "type 6", octets: octets(`${marker} 0013 06`), refused: ["1/3", "06"] },
  { name: "a wrong length before an unknown type", octets: octets(`${marker} 0012 06`), refused: ["1/2", "0012"] },
];
for (const { name, octets: stream, extended, refused } of headers)
  test(`a header: ${name} is ${refused ? "refused" : "taken"}, whole and octet by octet`, () => {
    for (const chunks of [[stream], Array.from(stream, (octet) => Uint8Array.of(octet))])
      if (refused) assert.throws(() => read(chunks, extended), notification(...refused));
      else assert.deepEqual(read(chunks, extended), [[stream[18], hex(stream.subarray(19))]]);
  });

test("a header is judged as soon as it is whole, not when its message is", () => {
  assert.deepEqual(read([octets(`${marker} ffff`)]), []);
  assert.throws(() => read([octets(`${marker} ffff 02`)]), notification("1/2", "ffff"));
});

test("the limit of a message is that of the moment it is read", () => {
  const reader = new MessageReader();
  reader.push(new Uint8Array([...message(4, ""), ...message(2, filled(5000))]));
  assert.equal(reader.next(false)?.type, 4);
  assert.equal(reader.next(true)?.body.length, 5000);
});

test("property: however a stream is cut into chunks, the same messages are found", () => {
  const body = fc.uint8Array({ minLength: 10, maxLength: 300, size: "max" }).map((all) => message(2, hex(all)));
  const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.oneof(body, fc.constant(keepalive)), { maxLength: 10 }), cuts, (messages, at) => {
      const stream = new Uint8Array(messages.flatMap((one) => [...one]));
      const ends = [0, ...at.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
      const chunks = ends.slice(1).map((end, index) => stream.slice(ends[index], end));
      assert.deepEqual(
        read(chunks),
        messages.map((one) => [one[18], hex(one.subarray(19))]),
      );
    }),
  );
});

test("a message inside one chunk is not copied, one across two is not of either", () => {
  const reader = new MessageReader();
  const chunk = new Uint8Array([...message(2, filled(4)), ...message(2, filled(4))]);
  reader.push(chunk.subarray(0, 30));
  assert.equal(reader.next(false)?.body.buffer, chunk.buffer);
  assert.equal(reader.next(false), undefined);
  reader.push(chunk.subarray(30));
  assert.equal(reader.next(false)?.body.buffer.byteLength, 23);
});

test("a chunk is refused before the one in front of it is read to its end", () => {
  const reader = new MessageReader();
  reader.push(new Uint8Array([...keepalive, 0xff]));
  reader.next(false);
  assert.throws(() => reader.push(keepalive), /not read to its end/);
  reader.next(false);
  reader.push(keepalive);
});
