import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { fields, list, octetsUpTo, optionalText, parsed, text } from "#pkg/untrusted";

const cases: { name: string; value: unknown; reads: ReturnType<typeof all> }[] = [
  { name: "an object", value: { a: 1 }, reads: [{ a: 1 }, [], "", undefined] },
  { name: "a list", value: [1], reads: [{}, [1], "", undefined] },
  { name: "text", value: "a", reads: [{}, [], "a", "a"] },
  { name: "empty text", value: "", reads: [{}, [], "", undefined] },
  { name: "null", value: null, reads: [{}, [], "", undefined] },
  { name: "a number", value: 1, reads: [{}, [], "", undefined] },
];

function all(value: unknown) {
  return [fields(value), list(value), text(value), optionalText(value)] as const;
}

for (const { name, value, reads } of cases)
  test(`${name} reads as what it is, and as nothing else`, () => assert.deepEqual(all(value), reads));

test("property: JSON reads as what it says, and other text as nothing", () => {
  fc.assert(fc.property(fc.json(), (json) => assert.deepEqual(parsed(json), JSON.parse(json))));
  for (const broken of ["", "{", "{a: 1}", "undefined"]) assert.equal(parsed(broken), undefined);
});

test("property: a stream is read whole up to a number of octets, and no longer stream is", async () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 5 }), fc.nat(20), async (chunks, most) => {
      const whole = Buffer.concat(chunks);
      const read = await octetsUpTo(Readable.from(chunks), most);
      assert.deepEqual(read, whole.length <= most ? whole : undefined);
    }),
  );
});

test("a stream that is too long is left at once, and one that breaks off throws", async () => {
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(10);
    })(),
  );
  assert.equal(await octetsUpTo(endless, 15), undefined);
  assert.ok(endless.destroyed);
  const broken = new Readable({ read: (): void => void broken.destroy(new Error("broke off")) });
  await assert.rejects(octetsUpTo(broken, 15), { message: "broke off" });
});
