/** Names of the fields in which two objects of one kind differ, also where only one of them has the field. */
export function changedFields(before: object, after: object): string[] {
  const [was, is] = [before as Record<string, unknown>, after as Record<string, unknown>];
  return Object.keys({ ...before, ...after }).filter((name) => textOf(was[name]) !== textOf(is[name]));
}

function textOf(value: unknown): string {
  return JSON.stringify([value], (_, each) => (each instanceof Map ? [...each] : each));
}
