import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { at, versions } from "../testing/lone-ring.ts";
import { placeOf } from "./choice.ts";
import { isMember, type NodeRecord, newRecord } from "./node-record.ts";
import { Places } from "./places.ts";
import { sameEndpoint } from "./ring.ts";

const rack = (rack: number, size: number) => Array.from({ length: size }, (_, i) => `rack${rack}-node${i}`);

/** Members of these names, in the order in which they are met. */
function among(names: readonly string[]) {
  const places = new Places();
  const records = names.map((name, i): NodeRecord => ({ ...newRecord(name, at(i), versions, undefined, 0), status: "alive" }));
  for (const record of records) places.update(record);
  return { places, records };
}

const change = fc.record({
  index: fc.nat(11),
  status: fc.constantFrom("alive", "suspect", "dead", "left"),
  incarnation: fc.nat(3),
  endpoint: fc.nat(15).map((last) => at(last)),
  offersFast: fc.boolean(),
  slowProbes: fc.nat(1),
  lostPackets: fc.nat(1),
});

for (const nodes of [2, 3, 10, 50])
  test(`each of ${nodes} members is followed by exactly one, and knows whom it follows, in whatever order they are met`, () => {
    const names = rack(1, nodes);
    const { places, records } = among(names);
    const followers = records.map((record) => places.after(record)?.node);
    assert.deepEqual(followers.toSorted(), names.toSorted());
    for (const record of records) assert.equal(places.before(places.after(record) as NodeRecord), record);
    const reversed = among(names.toReversed());
    assert.deepEqual(reversed.records.map((record) => reversed.places.after(record)?.node).toReversed(), followers);
  });

test("two names of one place stand one behind the other, in whatever order they are met", () => {
  const twins = ["ip-10-157-202-a", "ip-10-142-160-d"];
  assert.equal(new Set(twins.map(placeOf)).size, 1);
  for (const names of [
    [...twins, ...rack(1, 5)],
    [...rack(1, 5), ...twins.toReversed()],
  ]) {
    const { places, records } = among(names);
    const seen = new Set<NodeRecord | undefined>();
    for (let at = records[0]; !seen.has(at); at = places.after(at as NodeRecord)) seen.add(at);
    assert.equal(seen.size, names.length);
    for (const record of records) assert.equal(places.before(places.after(record) as NodeRecord), record);
  }
});

test("who is not eligible is passed over, and who is alone follows nobody", () => {
  const { places, records } = among(rack(1, 3));
  const [self] = records as [NodeRecord];
  const first = places.after(self);
  assert.equal(
    places.after(self, (record) => record !== first),
    records.find((record) => record !== first && record !== self),
  );
  const alone = among(["a"]);
  const [only] = alone.records as [NodeRecord];
  assert.deepEqual(
    [alone.places.after(only), alone.places.before(only), alone.places.beside(only, 3)],
    [undefined, undefined, []],
  );
});

test("most nodes of a rack are followed by one of another", () => {
  const { places, records } = among([1, 2, 3, 4, 5].flatMap((number) => rack(number, 10)));
  const inside = records.filter((record) => places.after(record)?.node.slice(0, 5) === record.node.slice(0, 5));
  assert.ok(inside.length <= 20, `${inside.length} of 50 are followed by one of their own`); // By chance, 9 of 49.
});

test("property: what is kept is what would be counted anew", () => {
  fc.assert(
    fc.property(fc.array(change, { size: "large" }), (changes) => {
      const { places, records } = among(rack(1, 12));
      for (const { index, ...fields } of changes) {
        const record = Object.assign(records[index] as NodeRecord, fields);
        places.update(record);
      }
      const members = records.filter(isMember);
      const anew = new Places();
      for (const record of members.toReversed()) anew.update(Object.assign(record, { counted: undefined }));
      assert.deepEqual(places.members, anew.members);
      assert.equal(places.digest, anew.digest);
      assert.deepEqual(new Set(places.withoutFast), new Set(members.filter(({ offersFast }) => !offersFast)));
      assert.deepEqual(
        new Set(places.doubted),
        new Set(members.filter(({ slowProbes, lostPackets }) => slowProbes + lostPackets > 0)),
      );
      for (const record of records) {
        const there = members.filter(({ endpoint }) => sameEndpoint(endpoint, record.endpoint));
        if (there.length <= 1) assert.equal(places.at(record.endpoint), there[0]);
      }
    }),
  );
});
