import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseConfig } from "#pkg/config";
import { view } from "../testing/view.ts";
import { checkKubeProxy } from "./node.ts";

suite("kube-proxy", () => {
  const path = "/api/v1/namespaces/kube-system/configmaps/kube-proxy";
  const layer2 = "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}]\n";
  const cases: { name: string; conf: string | undefined; pools?: string; want: RegExp | undefined }[] = [
    { name: "IPVS without strictARP", conf: "mode: ipvs\nipvs: {strictARP: false}", want: /^error mode ipvs without strictARP/ },
    { name: "IPVS with its defaults", conf: "mode: ipvs\nipvs: null", want: /^error mode ipvs without strictARP/ },
    ...["true", "True", "TRUE", "yes", "on"].map((word) => ({
      name: `strictARP that is ${word}, which kube-proxy reads as true`,
      conf: `mode: "ipvs"\nipvs:\n  strictARP: ${word}\n`,
      want: undefined,
    })),
    { name: "JSON", conf: '{"mode": "ipvs", "ipvs": {"strictARP": true}}', want: undefined },
    { name: "no mode", conf: 'mode: ""\n', want: undefined },
    { name: "nftables", conf: "mode: nftables\nipvs: {strictARP: false}\n", want: undefined },
    {
      name: "a configuration that is no YAML",
      conf: "mode: ipvs\n\tipvs: {}\n",
      want: /^note its mode is not known: .*cannot be read/,
    },
    { name: "a list", conf: "[]", want: /^note its mode is not known: .*cannot be read/ },
    {
      name: "a ConfigMap with another key",
      conf: undefined,
      want: /^note its mode is not known: .*nothing under the key config.conf/,
    },
    {
      name: "IPVS without strictARP where BGP alone announces addresses",
      conf: "mode: ipvs\n",
      pools: layer2.replace("layer2", "bgp"),
      want: /^note mode ipvs without strictARP/,
    },
    {
      name: "IPVS without strictARP where no pool has IPv4: only ARP is answered for addresses of another interface",
      conf: "mode: ipvs\n",
      pools: layer2.replace("192.0.2.0/28", "'2001:db8::/120'"),
      want: /^note mode ipvs without strictARP/,
    },
  ];
  for (const { name, conf, pools = layer2, want } of cases)
    test(name, async () => {
      const cluster = await view({ [path]: { data: conf === undefined ? { config: "mode: ipvs" } : { "config.conf": conf } } });
      const found = checkKubeProxy(cluster, parseConfig(pools).config).map(({ severity, found }) => `${severity} ${found}`);
      assert.equal(found.length, want === undefined ? 0 : 1, found.join());
      if (want !== undefined) assert.match(found.join(), want);
    });

  test("none", async () => {
    assert.match(checkKubeProxy(await view({}), undefined)[0]?.found ?? "", /there is no such ConfigMap, as with k3s/);
  });
});
