import { type AnyRow, type Model, type TableName, tableNames } from "./rows.ts";

/** The difference between two models: for each table that differs, new or changed rows, and ids that are gone. */
export type Changes = { readonly [Name in TableName]?: TableChanges };

export interface TableChanges {
  readonly set: readonly AnyRow[];
  readonly gone: readonly string[];
}

type Tables = Readonly<Record<TableName, ReadonlyMap<string, AnyRow>>>;

/** @returns undefined where nothing differs. Rows are compared as objects: see `keepRows`. */
export function changesBetween(before: Model, after: Model): Changes | undefined {
  const changes: Partial<Record<TableName, TableChanges>> = {};
  for (const name of tableNames) {
    const [old, now] = [(before as Tables)[name], (after as Tables)[name]];
    if (old === now) continue;
    const set = [...now.values()].filter((row) => old.get(row.id) !== row);
    const gone = [...old.keys()].filter((id) => !now.has(id));
    if (set.length > 0 || gone.length > 0) changes[name] = { set, gone };
  }
  return Object.keys(changes).length === 0 ? undefined : changes;
}

/** Tables that do not differ stay the same objects. */
export function applyChanges(model: Model, changes: Changes): Model {
  const tables: Record<TableName, ReadonlyMap<string, AnyRow>> = Object.assign({}, model as Tables);
  for (const name of tableNames) {
    const change = changes[name];
    if (change === undefined) continue;
    const rows = new Map(tables[name]);
    for (const id of change.gone) rows.delete(id);
    for (const row of change.set) rows.set(row.id, row);
    tables[name] = rows;
  }
  return tables as unknown as Model;
}

/**
 * The rows of `after`, each as the object that it was in `before` where it says the same; `before` itself where all are the same. So what
 * differs is found later without another look into the rows.
 */
export function keepRows<Row extends AnyRow>(before: ReadonlyMap<string, Row>, after: readonly Row[]): ReadonlyMap<string, Row> {
  let isSame = before.size === after.length;
  const kept = new Map<string, Row>();
  for (const row of after) {
    const old = before.get(row.id);
    const isOld = old !== undefined && isEqual(old, row);
    kept.set(row.id, isOld ? old : row);
    isSame &&= isOld;
  }
  return isSame ? before : kept;
}

/** Compares plain data, as in JSON. */
function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [ones, others] = [Object.keys(one), Object.keys(other)];
  if (ones.length !== others.length) return false;
  return ones.every((key) => isEqual((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]));
}
