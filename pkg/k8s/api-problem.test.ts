import assert from "node:assert/strict";
import { test } from "node:test";
import { problemOf } from "./api-problem.ts";
import { ApiError } from "./errors.ts";

const cases = [
  {
    name: "a name that nobody knows",
    of: ["Cannot list services", 0, new Error("getaddrinfo ENOTFOUND api")],
    next: /^correct the name/,
  },
  {
    name: "a certificate of another time",
    of: ["Cannot list services", 0, new Error("certificate is not yet valid")],
    next: /timedatectl/,
  },
  { name: "a token that is not taken", of: ["Cannot list services: 401 Unauthorized", 401], next: /comes back with a new token/ },
  {
    name: "a right that is not there, of an account with the name that Helm gives it",
    of: [
      'Cannot list configmaps: configmaps is forbidden: User "system:serviceaccount:lb:lb-metallb-speaker" cannot list resource "configmaps"',
      403,
    ],
    next: /Helm release.*; kubectl -n metallb-system auth can-i --list --as=system:serviceaccount:lb:lb-metallb-speaker shows/,
  },
  {
    name: "a right that is not there, in words without the account",
    of: ["Cannot list services: forbidden", 403],
    next: /^apply the manifests again.* --as=system:serviceaccount:metallb-system:speaker shows/,
  },
  {
    name: "a webhook whose certificate the API server does not trust",
    of: [
      "Cannot list bgppeers: 500 Internal Server Error: conversion webhook for metallb.io/v1beta1, Kind=BGPPeer failed: x509: certificate signed by unknown authority",
      500,
    ],
    next: /^$/,
  },
  {
    name: "a failure that has the number of another one in its words",
    of: ["Cannot list services: 503 Service Unavailable: no upstream 10.0.0.1:403", 503],
    next: /^$/,
  },
  { name: "an API server that does not answer", of: ["Cannot list services", 0, new Error("connect ECONNREFUSED")], next: /^$/ },
] as const;
for (const {
  name,
  of: [message, status, cause],
  next,
} of cases)
  test(`problemOf: ${name}`, () => {
    const problem = problemOf(new ApiError(message, status, "", { cause }));
    assert.equal(problem.why, cause === undefined ? message : `${message}: ${cause.message}`);
    assert.match(problem.next, next);
  });

test("problemOf: whatever an API server answers, it is a short text", () => {
  assert.equal(problemOf(new ApiError("x".repeat(10_000), 500, "")).why.length, 300);
});
