/** Prints a line. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function sayIndented(text: string): void {
  say(text.replace(/^(?=.)/gm, "    "));
}

/** Prints names and values in two columns. */
export function table(rows: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) say(`    ${name.padEnd(width)}  ${value}`);
}
