import type { schema } from "./schema-check.generated.ts";

// The types of the configuration follow from `schema.json`: a field that is added there is known here.

type Definitions = (typeof schema)["definitions"];
type NameIn<Reference> = Reference extends `#/definitions/${infer Name}` ? Name & keyof Definitions : never;

/** The type of values that fit a schema. */
type Raw<S> = S extends { readonly $ref: infer Reference }
  ? Raw<Definitions[NameIn<Reference>]>
  : S extends { readonly anyOf: readonly (infer Each)[] }
    ? Raw<Each>
    : S extends { readonly enum: readonly (infer Word)[] }
      ? Word
      : S extends { readonly type: readonly (infer Type)[] }
        ? OfType<S, Type>
        : S extends { readonly type: infer Type }
          ? OfType<S, Type>
          : never;

type OfType<S, Type> = Type extends "string"
  ? string
  : Type extends "integer"
    ? number
    : Type extends "boolean"
      ? boolean
      : Type extends "array"
        ? RawList<S extends { readonly items: infer Item } ? Raw<Item> : never>
        : RawObject<S>;

type RawObject<S> = S extends { readonly properties: infer Fields }
  ? { readonly [Name in keyof Fields]?: Raw<Fields[Name]> }
  : Readonly<Record<string, string | undefined>>; // The only maps are of text.

/** An entry that did not fit keeps its place as undefined, so that positions stay true. */
export type RawList<T> = readonly (T | undefined)[];

/**
 * The configuration as `schema.json` shapes it: every value that is there has the right type and lies in its range. Anything may
 * be absent, because the rules between fields are checked even where the shape is wrong.
 */
export type RawConfig = RawObject<typeof schema>;

export type RawPool = Raw<Definitions["address-pools-item"]>;
export type RawReservation = Extract<NonNullable<RawPool["reserved"]>[number], object>;
export type RawNetbox = Raw<Definitions["address-pools-item-netbox"]>;
export type RawAdvertisement = Raw<Definitions["address-pools-item-bgp-advertisements-item"]>;
export type RawQuota = Raw<Definitions["quotas-item"]>;
export type RawPeer = Raw<Definitions["peers-item"]>;
export type RawBfdProfile = Raw<Definitions["bfd-profiles-item"]>;
export type RawSecretKey = Raw<Definitions["peers-item-password-secret"]>;
export type RawSelector = Raw<Definitions["label-selector"]>;
export type RawPreferredNode = Raw<Definitions["preferred-node"]>;
export type RawExpression = Raw<Definitions["label-expression"]>;
