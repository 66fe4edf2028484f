import { loadAll } from "js-yaml";
import { type ConvertOptions, convert } from "../convert.ts";

export const noOptions: ConvertOptions = { namespace: undefined, prefer: undefined };

export function converted(text: string, options: Partial<ConvertOptions> = {}) {
  const result = convert([{ name: "in.yaml", text }], { ...noOptions, ...options });
  const problems = result.problems.map(
    ({ source, line, column, severity, message }) => `${source}:${line}:${column}: ${severity}: ${message}`,
  );
  return { ...result, problems, config: result.text === undefined ? undefined : configText(result.text) };
}

/** The text inside the ConfigMap. */
function configText(text: string): string | undefined {
  const [object] = loadAll(text) as { data?: { config?: string } }[];
  return object?.data?.config;
}

export const metallb = (kind: string, name: string, spec: string, more = "") =>
  `---\napiVersion: metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}\nkind: ${kind}\nmetadata: {name: ${name}, namespace: metallb-system${more}}\nspec: ${spec}\n`;
export const pool = (name: string, addresses: string, more = "") =>
  metallb("IPAddressPool", name, `{addresses: [${addresses}]${more}}`);
export const l2 = metallb("L2Advertisement", "l2", "{}");
export const peer = (more: string) =>
  metallb(
    "BGPPeer",
    "tor",
    `{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 90s, enableGracefulRestart: true, dualStackAddressFamily: true${more}}`,
  );
