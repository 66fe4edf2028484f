import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { redactConfig } from "#pkg/config";

const cases: { name: string; text: string; want: string; secrets?: string[] }[] = [
  {
    name: "a password, and nothing else that a field is for",
    text: "peers:\n- {peer-address: 10.0.0.1, my-asn: 64512, peer-asn: 64513, password: planted}\n",
    want: "peers:\n- {peer-address: 10.0.0.1, my-asn: 64512, peer-asn: 64513, password: REDACTED}\n",
    secrets: ["planted"],
  },
  {
    name: "the key of a Secret stays",
    text: "peers:\n- password-secret: {name: router, key: password}\n",
    want: "peers:\n- password-secret: {name: router, key: password}\n",
  },
  {
    name: "a password in quotes, with escapes, and over lines",
    text: "peers:\n- password: \"pl\\u0061nted\"\n- password: |\n    planted\n    two\n- password: 'it''s'\n",
    want: "peers:\n- password: \"REDACTED\"\n- password: |\nREDACTED\n\n- password: 'REDACTED'\n",
    secrets: ["planted", "planted\ntwo\n", "it's"],
  },
  {
    name: "what stands behind a name that no field has",
    text: "peers:\n- pasword: planted\n  my-asn: 64512\npeer:\n  password: planted\n",
    want: "peers:\n- xxxxxxx: xxxxxxx\n  my-asn: 64512\nxxxx:\n  password: REDACTED\n",
    secrets: ["planted"],
  },
  {
    name: "a comment",
    text: "# was: planted\naddress-pools: # planted-2\n- name: lan # ok\n",
    want: "# xxx: xxxxxxx\naddress-pools: # xxxxxxx-x\n- name: lan # xx\n",
  },
  {
    name: "an alias to it",
    text: "bgp-communities: {a: &p planted}\npeers: [{password: *p}]\n",
    want: "bgp-communities: {x: &x REDACTED}\npeers: [{password: *x}]\n",
    secrets: ["planted"],
  },
  {
    name: "all values of what is no YAML",
    text: "peers:\n\t- password: planted\n  peer-address: 10.0.0.1\n",
    want: "peers:\n\t- password: xxxxxxx\n  peer-address: xx.x.x.x\n",
  },
];
for (const { name, text, want, secrets = [] } of cases)
  test(`redactConfig hides ${name}`, () => {
    const redacted = redactConfig(text);
    assert.equal(redacted.text, want);
    assert.deepEqual([...redacted.secrets], secrets);
  });

test("of any text nothing is left of a word that stands where a password may", () => {
  const piece = fc.constantFrom(
    "peers:\n",
    "- ",
    "password: ",
    "planted",
    "pass: ",
    "'",
    '"',
    "\n",
    "  ",
    "# ",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "|\n",
    "\t",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      if (!/password|pass:|#/.test(text)) return;
      const shown = redactConfig(`peers:\n- password: planted\n${text}`).text;
      assert.ok(!/(password|pass): ['"]?planted/.test(shown), shown);
    }),
  );
});
