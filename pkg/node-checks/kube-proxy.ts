import { get, type IncomingMessage } from "node:http";
import type { Millis } from "#pkg/clock";
import { octetsUpTo } from "#pkg/untrusted";
import { type KubeProxyConfiguration, readKubeProxyConfiguration } from "./rules/node-files.ts";

// kube-proxy's metricsBindAddress unless it is configured otherwise; no other host reaches it there.
const address = { host: "127.0.0.1", port: 10249, path: "/configz" } as const;
const timeout: Millis = 2_000;
const maxOctets = 1 << 20;

/** The configuration of this node's kube-proxy; undefined if no kube-proxy answers, or another answer comes. Never throws. */
export function askKubeProxy(port: number = address.port): Promise<KubeProxyConfiguration | undefined> {
  return new Promise((resolve) => {
    const request = get({ ...address, port, agent: false, signal: AbortSignal.timeout(timeout) }, (response) => {
      void bodyOf(response).then((body) => resolve(body === undefined ? undefined : readKubeProxyConfiguration(body)));
    });
    request.on("error", () => resolve(undefined));
  });
}

async function bodyOf(response: IncomingMessage): Promise<string | undefined> {
  const octets = await octetsUpTo(response, maxOctets).catch(() => undefined);
  return response.statusCode === 200 ? octets?.toString() : undefined;
}
