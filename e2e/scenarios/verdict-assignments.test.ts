import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadAll } from "js-yaml";
import type { ApiObject, DemoCluster } from "#e2e/demo-cluster";
import { Lab } from "#e2e/lab";
import { addressesOf, applyService, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const configuration = `address-pools:
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
`;

suite("what keeps a Service from its address is the cause of a verdict, until it is mended", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 1, configuration });
    tool = new Tool(cluster);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("a controller without the right to write a status", async () => {
    const role = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "metallb-system:controller" },
    };
    const whole = (await cluster.api.get(role)) as ApiObject & { rules: { resources?: string[] }[] };
    const rules = whole.rules.filter(({ resources }) => !resources?.includes("services/status"));
    assert.ok(rules.length < whole.rules.length);
    await cluster.api.patch(role, { rules });
    await applyService(cluster, "unwritten");
    await tool.explains("svc/unwritten", [
      /^Service default\/unwritten: Pending \(statusRefused\)/,
      /the API server refuses the status with the assigned addresses: .*cannot patch resource "services\/status"/,
      /To do: change the policy, the webhook or the rights that the message names/,
    ]);
    await cluster.api.patch(role, { rules: whole.rules });
    await tool.explains("svc/unwritten", /^Service default\/unwritten: Pending \(noReadyEndpoint\)/);
  });

  test("an address that NetBox has for somebody else, once the token of NetBox may be read", async () => {
    const { controlPlane } = cluster;
    const program = fileURLToPath(new URL("netbox-process.ts", import.meta.url));
    await using netbox = await controlPlane.spawn("netbox", ["node", program, "172.30.0.220-172.30.0.229"]);
    const [url = "", token = ""] = (await netbox.waitForLine(/^http/)).split(" ");
    const ask = async (method: string, path: string, body = "") => {
      const script = `const [url, method, token, body] = process.argv.slice(1);
const headers = { authorization: "Token " + token };
fetch(url, { method, headers, ...(body && { body }) }).then(async (answer) => console.log(await answer.text()));`;
      return controlPlane.output([process.execPath, "-e", script, `${url}${path}`, method, token, body]);
    };
    const record = { address: "172.30.0.221/24", description: "printer" };
    const { id } = JSON.parse(await ask("POST", "/api/ipam/ip-addresses/", JSON.stringify(record)));
    const metadata = { name: "netbox", namespace: "metallb-system", labels: { "ingot-use": "netbox-token" } };
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    await cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data: { token: base64(token), url: base64(url) } });
    const configure = (tag: string) =>
      cluster.configure(
        `${configuration}- {name: kept, protocol: layer2, auto-assign: false, addresses: [172.30.0.220-172.30.0.229], netbox: {url: "${url}", token-secret: {name: netbox}, tags: [${tag}]}}\n`,
      );
    await configure("k8s");
    await tool.explains("pool/kept", [
      /^Pool kept: Degraded \(ipamFailing\).*\n.*may not be read/,
      /Secret metallb-system\/netbox may not be read: the process's ServiceAccount needs a Role/,
    ]);
    const rights = new URL("../../manifests/components/netbox/rbac.yaml", import.meta.url);
    for (const object of loadAll(readFileSync(rights, "utf8"))) await cluster.api.apply(object as ApiObject);
    await tool.explains("pool/kept", /^Pool kept: Ready \(available\)/);

    await applyService(cluster, "wants", { annotations: { "metallb.universe.tf/loadBalancerIPs": "172.30.0.221" } });
    await tool.explains("svc/wants", [
      /^Service default\/wants: Pending \(recordedElsewhere\)/,
      /address 172\.30\.0\.221 of pool "kept" is somebody else's in NetBox \("printer"\)/,
      /To do: request another address, or remove that record in NetBox/,
    ]);
    await ask("DELETE", `/api/ipam/ip-addresses/${id}/`);
    await configure("cluster-a"); // A new configuration reads NetBox at once.
    await tool.explains("svc/wants", /^Service default\/wants: Pending \(noReadyEndpoint\)/);
    assert.deepEqual(await addressesOf(cluster, "wants"), ["172.30.0.221"]);
  });
});
