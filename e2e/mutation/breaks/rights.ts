import type { Break } from "../break.ts";

const packetTests = ["pkg/memberlist/codec/packet.test.ts", "pkg/memberlist/codec/keyring.test.ts"];
const aesGcmTests = [...packetTests, "pkg/aes-gcm/aes-gcm.test.ts"];
const accessTests = ["pkg/api-access/access.test.ts"];
const heldBackTests = ["speaker/core/conflicts/held-back.test.ts"];

/** Promise 6: nobody without the right moves an address, and no secret gets out. */
export const rights: readonly Break[] = [
  {
    before: "return final(context, this.#room, this.#written) === 1 ? plaintext.slice() : undefined;",
    after: "final(context, this.#room, this.#written);\n    return plaintext.slice();",
    tests: aesGcmTests,
  },
  {
    before: "if (associated.length > 0)",
    after: "if (false)",
    tests: aesGcmTests,
  },
  {
    before: "if (looksPlain(packet))",
    after: "if (looksPlain(packet)) return packet;\n    if (false)",
    tests: packetTests,
  },
  {
    before: 'if (first !== MessageType.encrypt) throw new MemberlistError("plaintext"',
    after:
      'if (first !== MessageType.encrypt) return decodeStreamMessage(octets);\n    if (false) throw new MemberlistError("plaintext"',
    tests: ["pkg/memberlist/codec/stream.test.ts"],
  },
  {
    before: 'throw new MemberlistError("label"',
    after: 'if (false) throw new MemberlistError("label"',
    tests: [...packetTests, "pkg/memberlist/codec/stream.test.ts"],
  },
  {
    before: "return this.#nonces.has(packet, nonceAt);",
    after: "return false;",
    tests: ["pkg/memberlist/packet-guard.test.ts"],
  },
  {
    before: "if (this.left(now) < 1) return false;",
    after: "",
    tests: ["pkg/clock/allowance.test.ts", "pkg/memberlist/packet-guard.test.ts"],
  },
  {
    before: "if (this.has(address)) return;",
    after: "this.know(address);",
    tests: ["pkg/memberlist/packet-guard.test.ts", "pkg/memberlist/packets.test.ts"],
  },
  {
    before: "new Tokens(share, now, 0)",
    after: "new Tokens(share, now)",
    tests: ["pkg/memberlist/packet-guard.test.ts"],
  },
  {
    before: "if (this.#flood.passes(from.address))",
    after: "if (false)",
    tests: ["pkg/memberlist/packets.test.ts"],
  },
  {
    before: "this.#before[place] = this.#newest[chain] ?? 0;",
    after: "",
    tests: ["pkg/memberlist/recent-nonces.test.ts"],
  },
  {
    before: "return mac === source ? { address, mac, kind }",
    after: "return true ? { address, mac, kind }",
    tests: ["pkg/layer2/frames/sightings.test.ts"],
  },
  { before: `if (token === "") return text(401`, after: "if (false) return text(401", tests: accessTests },
  { before: "return isLocalName(host) ? undefined", after: "return true ? undefined", tests: accessTests },
  {
    before: `(await cluster.reviewPath(user, path)) ? "allowed" : "forbidden"`,
    after: `(await cluster.reviewPath(user, path)) ? "allowed" : "allowed"`,
    tests: accessTests,
  },
  {
    before: "return this.takeOwn(source, now) && this.#all.take(now);",
    after: "return this.#all.take(now);",
    tests: [...accessTests, "pkg/clock/allowance.test.ts"],
  },
  {
    before: " && limit.take(line.level, line.fields)",
    after: "",
    tests: [
      "pkg/log/namespace-limit.test.ts",
      "controller/core/tenancy.test.ts",
      "speaker/core/services/announcement-status.test.ts",
    ],
  },
  {
    before: "&& macs.length < maxMacs",
    after: "",
    tests: ["speaker/members/macs.test.ts"],
  },
  {
    before:
      "return packet.myDiscriminator === session.remote.discriminator && (arrivedOn ?? way.interfaceIndex) === way.interfaceIndex;",
    after: "return (arrivedOn ?? way.interfaceIndex) === way.interfaceIndex;",
    tests: ["pkg/bfd/session/matching.test.ts"],
  },
  {
    before: "(holder.backendKey === oldest?.backendKey ? holder : { ...holder, isAllowed: false })",
    after: "holder",
    tests: ["pkg/placement/sharing.test.ts"],
  },
  {
    before: "(oldestOf(holders) ?? holders[0])?.goesWith",
    after: "holders.at(-1)?.goesWith",
    tests: ["pkg/placement/sharing.test.ts"],
  },
  {
    before: "`${namespaceOf(key)}/${labelString(selector)}`",
    after: "labelString(selector)",
    tests: ["pkg/service/request.test.ts"],
  },
  {
    before: "now.use !== use",
    after: "false",
    tests: ["pkg/k8s/secret-values.test.ts"],
  },
  {
    before: "if (withoutSlash(home) === withoutSlash(url)) return value;",
    after: "return value;",
    tests: ["controller/netbox/netbox-keeper.test.ts"],
  },
  { before: "return count < maxOfPool;", after: "return true;", tests: heldBackTests },
  { before: "if (now < at + window) break;", after: "break;", tests: heldBackTests },
  { before: "const isHeldBack = defense.isQuarantined ||", after: "const isHeldBack =", tests: heldBackTests },
  { before: "node === self || !members.active.includes(node)", after: "true", tests: heldBackTests },
];
