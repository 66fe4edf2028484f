/** A certificate or key: in a file, which is read again as it may be replaced, or as given. */
export type Material = { readonly file: string } | { readonly data: Buffer };

/** How to reach an API server and who to be there, as a kubeconfig or a service account says it. */
export interface Access {
  /** Where this was found, for messages. */
  readonly origin: string;
  readonly server: URL;
  /** Absent: the authorities that Node trusts. */
  readonly authority: Material | undefined;
  readonly skipVerify: boolean;
  readonly serverName: string | undefined;
  /** A URL with `http:` or `https:`. */
  readonly proxy: string | undefined;
  readonly certificate: Material | undefined;
  readonly key: Material | undefined;
  readonly token: Material | undefined;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  /** Headers `Impersonate-…`. */
  readonly impersonate: Readonly<Record<string, string | readonly string[]>>;
  /** The block `exec` of the user as it stands, with the path of its command resolved. */
  readonly exec: Readonly<Record<string, unknown>> | undefined;
}
