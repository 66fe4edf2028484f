import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldSelector, parseFieldSelector, parseLabelSelector } from "./selectors.ts";

const labels = { app: "metallb", component: "speaker", "example.com/tier": "a.b-c", empty: "" };
const labelCases = [
  { selector: "", want: true },
  { selector: "app=metallb", want: true },
  { selector: "app==metallb,component=speaker", want: true },
  { selector: "app = metallb", want: true },
  { selector: "app=other", want: false },
  { selector: "app!=other", want: true },
  { selector: "absent!=x", want: true },
  { selector: "absent=", want: false },
  { selector: "empty=", want: true },
  { selector: "component in (controller, speaker)", want: true },
  { selector: "component in (controller)", want: false },
  { selector: "component notin (controller),app", want: true },
  { selector: "absent notin (x)", want: true },
  { selector: "example.com/tier=a.b-c", want: true },
  { selector: "!absent", want: true },
  { selector: "!app", want: false },
  { selector: "absent", want: false },
  { selector: "toString", want: false },
];
for (const { selector, want } of labelCases) {
  test(`label selector "${selector}" ${want ? "matches" : "does not match"}`, () => {
    assert.equal(parseLabelSelector(selector)(labels), want);
  });
}
for (const selector of ["=b", "a b", "a in b", "a=b=c", "(a)"]) {
  test(`label selector "${selector}" is refused`, () => {
    assert.throws(() => parseLabelSelector(selector), { code: 400 });
  });
}

const fieldCases = [
  { selector: "metadata.name=a", want: true },
  { selector: "metadata.name==a,type!=Warning", want: true },
  { selector: "type!=Normal", want: false },
  { selector: "metadata.name=b", want: false },
];
for (const { selector, want } of fieldCases) {
  test(`field selector "${selector}" ${want ? "matches" : "does not match"}`, () => {
    const fields = { "metadata.name": "a", type: "Normal" };
    assert.equal(fieldSelector(parseFieldSelector(selector, Object.keys(fields)))(fields), want);
  });
}
test("a field that the kind does not offer is refused by name", () => {
  assert.throws(() => parseFieldSelector("spec.foo=bar", ["metadata.name"]), {
    code: 400,
    message: "field label not supported: spec.foo",
  });
  assert.throws(() => parseFieldSelector("metadata.name", ["metadata.name"]), { code: 400 });
});
