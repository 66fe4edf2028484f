import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceAccountOf, serviceAccountUser, Tokens } from "./tokens.ts";

const bearer = { ...serviceAccountUser("ns", "speaker"), serviceAccount: { namespace: "ns", name: "speaker", uid: "u" } };

test("a token stands for whom it was issued, until it expires", () => {
  const tokens = new Tokens();
  const token = tokens.issue(bearer, 0, 10_000);
  assert.deepEqual(tokens.verify(token, 9_999), bearer);
  assert.equal(tokens.verify(token, 10_000), undefined);
});

const forged: { name: string; forge: (token: string) => string }[] = [
  { name: "without a signature", forge: (token) => token.slice(0, token.lastIndexOf(".") + 1) },
  {
    name: "with other claims",
    forge: (token) => token.replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"admin"}').toString("base64url")}.`),
  },
  { name: "of another server", forge: () => new Tokens().issue(bearer, 0, 10_000) },
  { name: "that is empty", forge: () => "" },
  { name: "that is anything", forge: () => "a.b.c" },
];
for (const { name, forge } of forged) {
  test(`a token ${name} stands for nobody`, () => {
    const tokens = new Tokens();
    assert.equal(tokens.verify(forge(tokens.issue(bearer, 0, 10_000)), 0), undefined);
  });
}

test("user names of ServiceAccounts are recognised", () => {
  assert.deepEqual(serviceAccountOf("system:serviceaccount:ns:a"), { namespace: "ns", name: "a" });
  assert.equal(serviceAccountOf("system:serviceaccount:ns"), undefined);
  assert.equal(serviceAccountOf("alice"), undefined);
});
