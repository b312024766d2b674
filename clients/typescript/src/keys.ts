// Names of other systems as ids and keys of the store. The Python client has the same.

const ID = /^(?!\.+$)[!$(-.0-;=@-[\]^_a-z|~]{1,128}$/;
const NO_ID = /[^!$(-.0-;=@-[\]^_a-z|]/;
const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g;
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SORTED = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/**
 * The conversation of a thread or session of another system: the name itself, if it can be an id.
 *
 * Another name, and one that begins with `~`, follows a `~`, with `~` and two hexadecimal digits in the place of each byte that
 * an id cannot have: `user/7` is `~user~2F7`.
 */
export function conversationId(name: string): string {
  if (ID.test(name) && !name.startsWith("~")) return name;
  const bytes = Array.from(new TextEncoder().encode(name), (byte) => [byte, String.fromCharCode(byte)] as const);
  const id = `~${bytes.map(([byte, char]) => (NO_ID.test(char) ? `~${hex(byte).toUpperCase()}` : char)).join("")}`;
  if (id.length <= 128) return id;
  throw new RangeError(`${JSON.stringify(name)} is too long for the id of a conversation: that has 128 characters, this ${id.length}.`);
}

/** The name that `conversationId` was given. */
export function nameOf(id: string): string {
  if (!id.startsWith("~")) return id;
  const chars = id.slice(1).replace(/~(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return new TextDecoder().decode(Uint8Array.from(chars, (char) => char.charCodeAt(0)));
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
