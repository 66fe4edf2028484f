export type ApiAnswer =
  | { readonly type: "found"; readonly value: unknown }
  /** There is no such object, or no such kind. */
  | { readonly type: "absent" }
  /** It may not be read, or could not be. */
  | { readonly type: "unread"; readonly why: string };

/** The API server, with the rights of the person who asks. Paths begin with a slash. */
export interface Api extends ReadApi {
  /** Such as `https://192.0.2.1:6443`. */
  readonly server: string;
  /** Creates (POST, to the path of the kind), replaces (PUT, to that of the object) or merges into it (PATCH, RFC 7386). */
  write(method: "POST" | "PUT" | "PATCH", path: string, object: object): Promise<ApiAnswer>;
}

/** An object of the API, of any kind: each field may be absent. */
export interface RawObject {
  readonly metadata?: {
    readonly [field: string]: unknown;
    readonly namespace?: string;
    readonly name?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind?: string }[];
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

export interface ReadApi {
  /** An object, or what else has one path. */
  read(path: string): Promise<ApiAnswer>;
  /** Every object of a kind, in pages. */
  list(path: string): Promise<ApiAnswer>;
}
