// What each Pod's first process does: it sleeps until a signal, and again. The runtime ends it by SIGKILL.
const machines: Readonly<Partial<Record<NodeJS.Architecture, { readonly elf: number; readonly code: string }>>> = {
  x64: { elf: 62, code: "b822000000 0f05 ebf7" }, // pause() for ever.
  arm64: { elf: 183, code: "000080d2 010080d2 020080d2 030080d2 040080d2 280980d2 010000d4 f9ffff17" }, // ppoll() of nothing for ever.
};
const address = 0x400000;
const headers = 64 + 56; // Octets: the file's, and that of its one segment.

/**
 * An executable for Linux that holds the namespaces of a Pod, as Kubernetes' `pause` does. The Kubernetes binary can do so, too, but takes a seventh of
 * a second of a processor to begin, in each Pod.
 */
export function pauseProgram(architecture: NodeJS.Architecture): Uint8Array {
  const machine = machines[architecture];
  if (machine === undefined) throw new Error(`Cannot make the program of Pods: no instructions for ${architecture} are known`);
  const code = Buffer.from(machine.code.replaceAll(" ", ""), "hex");
  const file = Buffer.alloc(headers);
  file.write("\x7fELF\x02\x01\x01", "latin1"); // 64 bits, little-endian, version 1.
  file.writeUInt16LE(2, 16); // An executable.
  file.writeUInt16LE(machine.elf, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(address + headers), 24); // Where it begins.
  file.writeBigUInt64LE(64n, 32); // Where the segments' headers are.
  for (const [index, size] of [64, 56, 1, 64].entries()) file.writeUInt16LE(size, 52 + 2 * index);
  file.writeUInt32LE(1, 64); // Loaded.
  file.writeUInt32LE(5, 68); // Read and executed.
  file.writeBigUInt64LE(BigInt(address), 80);
  file.writeBigUInt64LE(BigInt(address), 88);
  for (const at of [96, 104]) file.writeBigUInt64LE(BigInt(headers + code.length), at);
  file.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([file, code]);
}
