import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFault, type Fault, isFault } from "./index.ts";

const faults: readonly (readonly [Fault, string])[] = [
  [{ type: "killSpeaker", node: 0 }, "killSpeaker n0"],
  [{ type: "stallController", controller: 1 }, "stallController 2"],
  [{ type: "setClock", node: 2, seconds: -5 }, "setClock n2 by -5 s"],
  [{ type: "cutOneWay", from: [0, 1], to: [2] }, "cutOneWay from n0,n1 to n2"],
];
for (const [fault, text] of faults)
  test(`describeFault: ${text}`, () => {
    assert.ok(isFault(fault));
    assert.equal(
      describeFault(fault, (node) => `n${node}`),
      text,
    );
  });

test("what only one of the two has is no shared fault", () => {
  for (const type of ["restartApi", "impair"]) assert.equal(isFault({ type }), false);
});
