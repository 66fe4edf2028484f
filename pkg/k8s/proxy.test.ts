import assert from "node:assert/strict";
import { test } from "node:test";
import { proxyFromEnvironment } from "./proxy.ts";

const cases = [
  { name: "nothing is set", env: {} },
  { name: "https takes HTTPS_PROXY", env: { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://q:2" }, want: "http://p:1" },
  {
    name: "http takes HTTP_PROXY",
    server: "http://10.96.0.1:80",
    env: { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "q:2" },
    want: "http://q:2",
  },
  { name: "lower case works too", env: { https_proxy: "p:1" }, want: "http://p:1" },
  { name: "never for this machine", server: "https://127.0.0.1:6443", env: { HTTPS_PROXY: "p:1" } },
  { name: "never for localhost", server: "https://localhost:6443", env: { HTTPS_PROXY: "p:1" } },
  { name: "never for the loopback of IPv6", server: "https://[::1]:6443", env: { HTTPS_PROXY: "p:1" } },
  { name: "a CIDR in NO_PROXY exempts", env: { HTTPS_PROXY: "p:1", NO_PROXY: "192.0.2.0/24, 10.96.0.0/12" } },
  { name: "an IPv6 CIDR exempts", server: "https://[fd00::1]", env: { HTTPS_PROXY: "p:1", NO_PROXY: "fd00::/8" } },
  { name: "another CIDR does not", env: { HTTPS_PROXY: "p:1", NO_PROXY: "10.0.0.0/16" }, want: "http://p:1" },
  { name: "an address exempts", env: { HTTPS_PROXY: "p:1", no_proxy: "10.96.0.1" } },
  { name: "an address with the port exempts", env: { HTTPS_PROXY: "p:1", NO_PROXY: "10.96.0.1:443" } },
  { name: "an address with another port does not", env: { HTTPS_PROXY: "p:1", NO_PROXY: "10.96.0.1:6443" }, want: "http://p:1" },
  {
    name: "an IPv6 address in brackets exempts",
    server: "https://[fd00::1]:6443",
    env: { HTTPS_PROXY: "p:1", NO_PROXY: "[fd00::1]:6443" },
  },
  { name: "a star exempts all", env: { HTTPS_PROXY: "p:1", NO_PROXY: "*" } },
  { name: "a domain exempts itself", server: "https://k8s.test", env: { HTTPS_PROXY: "p:1", NO_PROXY: "K8S.test" } },
  {
    name: "a domain exempts what is below it",
    server: "https://api.k8s.test",
    env: { HTTPS_PROXY: "p:1", NO_PROXY: "k8s.test" },
  },
  {
    name: "a domain does not exempt one that ends alike",
    server: "https://ak8s.test",
    env: { HTTPS_PROXY: "p:1", NO_PROXY: "k8s.test" },
    want: "http://p:1",
  },
  {
    name: "a leading dot exempts only what is below",
    server: "https://k8s.test",
    env: { HTTPS_PROXY: "p:1", NO_PROXY: ".k8s.test" },
    want: "http://p:1",
  },
  { name: "a star and a dot do the same", server: "https://api.k8s.test", env: { HTTPS_PROXY: "p:1", NO_PROXY: "*.k8s.test" } },
];
for (const { name, server = "https://10.96.0.1:443", env, want } of cases)
  test(`proxy: ${name}`, () => assert.equal(proxyFromEnvironment(new URL(server), env), want));
