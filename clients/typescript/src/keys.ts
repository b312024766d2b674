// Names of other systems as ids and keys of the store. The Python client has the same, except for names that are too long for an id.
import { digest } from "./digest.js";

const ID = /^(?!\.+$)[!$(-.0-;=@-[\]^_a-z|~]+$/;
const NO_ID = /[^!$(-.0-;=@-[\]^_a-z|]/;
const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g;
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SORTED = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/** What the ids of names begin with that are too long for an id. No other name makes such an id: digits follow the `~` of an escape. */
const DIGEST = "~~~";

/** Whether a conversation, message or item can have this id. */
export const isId = (id: unknown, longest = 128): id is string => typeof id === "string" && id.length <= longest && ID.test(id);

/**
 * The conversation of a thread or session of another system: the name itself, if it can be an id.
 *
 * Another name, and one that begins with `~`, follows a `~`, with `~` and two hexadecimal digits in the place of each byte that
 * an id cannot have: `user/7` is `~user~2F7`. A name that is too long for that, or cut through a
 * character, is `~~~` and the SHA-256 of it as JSON.
 */
export async function conversationId(name: string): Promise<string> {
  if (isId(name) && !name.startsWith("~")) return name;
  const bytes = Array.from(new TextEncoder().encode(name), (byte) => [byte, String.fromCharCode(byte)] as const);
  const id = `~${bytes.map(([byte, char]) => (NO_ID.test(char) ? `~${hex(byte).toUpperCase()}` : char)).join("")}`;
  // UTF-8 has no half characters: names that differ in them would be one.
  const isExact = id.length <= 128 && !/\p{Surrogate}/u.test(name);
  return isExact ? id : `${DIGEST}${await digest(JSON.stringify(name))}`;
}

/** Whether only `conversationId` knows the name of this conversation. */
export const isDigest = (id: string): boolean => id.startsWith(DIGEST);

/** The name that `conversationId` was given; undefined if it makes this id of none, or of one that is too long. */
export async function nameOf(id: string): Promise<string | undefined> {
  if (!id.startsWith("~")) return id;
  const chars = id.slice(1).replace(/~(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  const name = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(chars, (char) => char.charCodeAt(0)));
  return (await conversationId(name)) === id ? name : undefined;
}

/** A name as a part of a key, between slashes: in 23 bytes where it is a UUID, and UUIDs keep their order. */
export function pack(name: string): string {
  const escaped = name.replace(/[%/~\0]/g, (char) => `%${hex(char.charCodeAt(0)).toUpperCase()}`);
  return escaped.replace(UUID, (uuid) => {
    const bytes = uuid.replaceAll("-", "").replace(/../g, (digits) => String.fromCharCode(parseInt(digits, 16)));
    return `~${translate(btoa(bytes).slice(0, 22), BASE64, SORTED)}`;
  });
}

/** The name that `pack` was given. */
export function unpack(part: string): string {
  const escaped = part.replace(/~(.{22})/g, (_, packed: string) => {
    const bytes = Array.from(atob(translate(packed, SORTED, BASE64)), (char) => hex(char.charCodeAt(0))).join("");
    return bytes.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  });
  return escaped.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
const translate = (text: string, from: string, to: string): string => text.replace(/./g, (char) => to[from.indexOf(char)] ?? char);
