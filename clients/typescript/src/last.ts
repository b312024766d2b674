import { ConversationStoreError, NotFoundError } from "./errors.js";
import { sleep, withVersion } from "./http.js";
import type { Transport } from "./http.js";
import { elementsOf } from "./json.js";
import type * as T from "./types.js";

/** How many messages a page has. */
const PAGE = 100;
/** How often a read begins again because messages were deleted or replaced meanwhile. */
const MOST_RESTARTS = 20;
/** So often a part of a history is read anew. Then the whole is, of which the conversation says how many messages it has. */
const RESTARTS_OF_PART = 5;
/** How often the end of a history is looked for while others add to it. */
const MOST_LOOKS = 50;

/** Messages of one version of a conversation: 0 if there is none. */
export interface MessageRange {
  messages: T.Message[];
  version: number;
  /** The JSON of the messages as it is stored. */
  texts(): string[];
}

interface Page extends T.MessagePage {
  text: string;
}

/** Reads of one conversation, whose path this is. */
interface Reader {
  transport: Transport;
  path: string;
  options: T.RequestOptions | undefined;
}

/**
 * The last `count` messages of one version.
 *
 * Others may write between two pages. What they add is read on; where it is not only that, the read begins again.
 */
export async function readLast(transport: Transport, path: string, count: number, options?: T.RequestOptions): Promise<MessageRange> {
  const reader = { transport, path, options };
  for (let restart = 0; restart < MOST_RESTARTS; restart += 1) {
    const isWhole = restart >= RESTARTS_OF_PART;
    const pages = await readPages(reader, isWhole ? Infinity : count);
    if (pages) return rangeOf(pages, count);
    await pauseAfter(restart, options);
  }
  throw new ConversationStoreError(`The messages of ${path} changed whenever they were read`);
}

/** The pages that have the last `count` messages, oldest first; undefined if they are not of one version. */
async function readPages(reader: Reader, count: number): Promise<Page[] | undefined> {
  const pages: Page[] = [];
  let [left, before, version]: [number, number | null, number] = [count, null, 0];
  do {
    if (left <= 0) return pages;
    const query = { limit: Math.min(left, PAGE), ...(before !== null && { before }), ...(version > 0 && { min_version: version }) };
    const page = await readPage(reader, query);
    if (!page) return [];
    pages.unshift(page);
    left -= page.data.length;
    ({ before, version } = page);
  } while (left > 0 && before !== null);
  if (pages.every((page) => page.version === version)) return pages;
  return before === null ? readOn(reader, pages) : undefined;
}

/** All messages: the pages, and what was added meanwhile. They are of one version if they are as many as it has. */
async function readOn(reader: Reader, pages: Page[]): Promise<Page[] | undefined> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    const { after, version } = pages.at(-1)!;
    const [page, conversation] = await Promise.all([
      readPage(reader, { after, limit: PAGE, min_version: version }),
      found(reader.transport.json<T.Conversation>({ method: "GET", path: reader.path, options: reader.options })),
    ]);
    if (!page || !conversation) return [];
    pages.push(page);
    const { version: present, message_count } = conversation.body!;
    // Only a count of the same version says something.
    if (!page.has_more && page.version === present) return sizeOf(pages) === message_count ? pages : undefined;
    if (!page.has_more) await pauseAfter(0, reader.options);
  }
  return undefined;
}

const sizeOf = (pages: Page[]): number => pages.reduce((sum, { data }) => sum + data.length, 0);

function rangeOf(pages: Page[], count: number): MessageRange {
  const from = count === Infinity ? 0 : Math.max(sizeOf(pages) - count, 0);
  return {
    messages: pages.flatMap(({ data }) => data).slice(from),
    version: pages.at(-1)?.version ?? 0,
    texts: () => pages.flatMap(({ text }) => elementsOf(text, "data")).slice(from),
  };
}

async function readPage({ transport, path, options }: Reader, query: T.ListMessages): Promise<Page | undefined> {
  const answer = await found(transport.json<T.MessagePage>({ method: "GET", path: `${path}/messages`, query, options }));
  return answer && { ...withVersion(answer)!, text: answer.text };
}

/** What there is; undefined where there is no such conversation. */
async function found<A>(answer: Promise<A>): Promise<A | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NotFoundError && error.code === "conversation_not_found") return undefined;
    throw error;
  }
}

/** Readers that were disturbed together do not come back together. */
export const pauseAfter = (restart: number, options?: T.RequestOptions): Promise<void> =>
  sleep(Math.min(20 * 2 ** restart, 1000) * Math.random(), options?.signal);
