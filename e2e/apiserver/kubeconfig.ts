import type { Credential } from "./certificates.ts";

/** How a client proves who it is. */
export type KubeconfigUser =
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "certificate"; readonly credential: Credential };

/** The text of a kubeconfig with one cluster, user and context, all embedded. `authority` is the PEM of the server's CA. */
export function kubeconfigText(url: string, authority: string, user: KubeconfigUser): string {
  const credentials =
    user.type === "token"
      ? `token: ${user.token}`
      : `client-certificate-data: ${base64(user.credential.certificate)}
    client-key-data: ${base64(user.credential.key)}`;
  return `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: ${url}
    certificate-authority-data: ${base64(authority)}
users:
- name: user
  user:
    ${credentials}
contexts:
- name: test
  context:
    cluster: test
    user: user
current-context: test
`;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
