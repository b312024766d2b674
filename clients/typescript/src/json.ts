/** A value as JSON with the keys of its objects in order: the same text for equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/**
 * The elements of an array as they stand in a text that is JSON: of the array that the text is, or of a field of its object.
 *
 * A message is kept and sent again as text where it is not changed: parsed, it would lose the last digits of large integers.
 */
export function elementsOf(text: string, field?: string): string[] {
  const found: string[] = [];
  let at = field === undefined ? beginOf(text, 0) : fieldOf(text, field);
  for (at = beginOf(text, at + 1); text[at] !== "]";) {
    const end = endOf(text, at);
    found.push(text.slice(at, end).trimEnd());
    at = afterComma(text, end);
  }
  return found;
}

/** The text of an object with another value of a field that it has. */
export function withField(text: string, field: string, value: string): string {
  const at = fieldOf(text, field);
  return text.slice(0, at) + JSON.stringify(value) + text.slice(endOf(text, at));
}

/** Where the value of a field of the outermost object begins. */
function fieldOf(text: string, field: string): number {
  for (let at = beginOf(text, beginOf(text, 0) + 1); text[at] === '"';) {
    const end = endOfString(text, at);
    const value = beginOf(text, beginOf(text, end) + 1);
    if (JSON.parse(text.slice(at, end)) === field) return value;
    at = afterComma(text, endOf(text, value));
  }
  throw new TypeError(`There is no field ${field}`);
}

/** Where the next token begins. */
function beginOf(text: string, at: number): number {
  while (text.charCodeAt(at) <= 32) at += 1;
  return at;
}

function afterComma(text: string, end: number): number {
  const at = beginOf(text, end);
  return text[at] === "," ? beginOf(text, at + 1) : at;
}

/** Where the value that begins at a position ends. */
function endOf(text: string, at: number): number {
  for (let depth = 0; at < text.length;) {
    const char = text[at]!;
    if (char === '"') at = endOfString(text, at);
    else if (char === "[" || char === "{") [depth, at] = [depth + 1, at + 1];
    else if (depth > 0 && (char === "]" || char === "}")) [depth, at] = [depth - 1, at + 1];
    else if (depth === 0 && (char === "]" || char === "}" || char === ",")) return at;
    else {
      at += 1;
      continue;
    }
    if (depth === 0) return at;
  }
  return at;
}

function endOfString(text: string, at: number): number {
  for (;;) {
    at = text.indexOf('"', at + 1);
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
}
