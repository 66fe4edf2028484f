import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { test } from "node:test";
import fc from "fast-check";
import { askKubeProxy } from "./kube-proxy.ts";
import { isManagedByNetworkd, isManagedByNetworkManager, readKubeProxyConfiguration } from "./rules/node-files.ts";

async function asked(answer: RequestListener) {
  await using server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  assert.ok(typeof bound === "object" && bound !== null);
  return await askKubeProxy(bound.port);
}

test("kube-proxy is asked for its configuration; what answers something else, breaks off, never ends or is not there tells nothing", async () => {
  const configuration = { "kubeproxy.config.k8s.io": { mode: "nftables", nodePortAddresses: ["primary", 7] } };
  const found = await asked(({ url }, answer) => void answer.end(url === "/configz" ? JSON.stringify(configuration) : "{}"));
  assert.deepEqual(found, { mode: "nftables", nodePortAddresses: ["primary"] });
  assert.equal(await asked((_, answer) => void answer.writeHead(404).end(JSON.stringify(configuration))), undefined);
  assert.equal(await asked((_, answer) => void answer.end("<html>")), undefined);
  assert.equal(await asked((_, answer) => void answer.write("{", () => answer.destroy())), undefined);
  const endless: RequestListener = (_, answer) => {
    answer.on("drain", () => answer.write(" ".repeat(1 << 16)));
    answer.write(" ".repeat(1 << 20));
  };
  assert.equal(await asked(endless), undefined);
  assert.equal(await askKubeProxy(1), undefined);
});

test("property: any text is taken in", () => {
  const name = "kubeproxy.config.k8s.io";
  const values = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((value) => `{"${name}":${value}}`),
    fc.json().map((value) => `{"${name}":{"nodePortAddresses":[${value}]}}`),
  );
  fc.assert(
    fc.property(values, (text) => {
      const found = readKubeProxyConfiguration(text);
      assert.ok(found === undefined || found.nodePortAddresses.every((one) => typeof one === "string"));
      assert.equal(typeof isManagedByNetworkd(text), "boolean");
      assert.equal(typeof isManagedByNetworkManager(text), "boolean");
    }),
  );
});

test("who manages an interface is read from what the programs keep under /run", () => {
  const link = (state: string, file = "NETWORK_FILE=/run/systemd/network/10-eth0.network\n") =>
    `# This is private data. Do not parse.\nADMIN_STATE=${state}\nOPER_STATE=routable\n${file}`;
  assert.equal(isManagedByNetworkd(link("configured")), true);
  assert.equal(isManagedByNetworkd(link("configuring")), true);
  assert.equal(isManagedByNetworkd(link("unmanaged", "")), false);
  assert.equal(isManagedByNetworkd(link("pending", "")), false);
  assert.equal(isManagedByNetworkd(""), false);
  assert.equal(isManagedByNetworkManager("[device]\nmanaged=true\nnm-owned=false\n"), true);
  assert.equal(isManagedByNetworkManager("[device]\nmanaged=false\n"), false);
});
