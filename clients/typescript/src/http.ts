import { ConnectionError, ConversationStoreError, IncompatibleVersionError, toError } from "./errors.js";
import { isId } from "./keys.js";
import { CONTRACT_VERSION } from "./openapi.js";

/** A request as it is about to be sent. */
export interface OutgoingRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body: Body | undefined;
}

/** Text or bytes; Node's `Buffer` is a `Uint8Array`. */
export type Body = string | Uint8Array;

/** Returns the headers that authenticate a request. It is called for each attempt, since signatures expire. */
export type Sign = (request: OutgoingRequest) => Promise<Record<string, string>>;

export interface ClientOptions {
  /** Where the API is, like `https://example.execute-api.eu-west-1.amazonaws.com`. */
  baseUrl: string | URL;
  /** The bearer token, or a function that gets it. The function is called for each attempt: it should cache. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Signs requests, for example `sigv4` of `conversation-store/aws`. */
  sign?: Sign | undefined;
  /** The owner, as `x-owner-id`, for deployments that trust this header. */
  owner?: string | undefined;
  /** More headers, for example of a gateway. Those that the client sets itself have its values. */
  headers?: Record<string, string> | undefined;
  /** How often a request is sent again after a failure that may pass; 4 by default. */
  retries?: number | undefined;
  /** Milliseconds until an attempt is given up; 35,000 by default, since API Gateway answers within 30 seconds. */
  timeout?: number | undefined;
  /** Whether the first answer is looked at for the version of the server's contract; true by default. */
  checkVersion?: boolean | undefined;
  fetch?: typeof globalThis.fetch | undefined;
}

/** What a method of the client asks for. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  query?: object | undefined;
  /** A value to send as JSON. */
  json?: unknown;
  /** Bytes to send as they are. */
  raw?: { body: Body; contentType: string };
  /** Whether the request has an `Idempotency-Key`; by default POST and PUT have. */
  isKeyed?: boolean;
  options?:
    | {
        signal?: AbortSignal | undefined;
        ifMatch?: number | "*" | undefined;
        ifNoneMatch?: number | "*" | undefined;
        idempotencyKey?: string | null | undefined;
      }
    | undefined;
}

/** An answer that is no error. */
export interface Answer {
  status: number;
  headers: Headers;
  bytes: ArrayBuffer;
}

const PASSING = [429, 502, 503, 504];
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 30_000;

/** Sends requests, again where that is safe, and turns answers into errors. */
export class Transport {
  readonly #options: ClientOptions;
  readonly #base: string;
  #isCompatible: boolean;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#isCompatible = !(options.checkVersion ?? true);
    // The OpenAI SDKs want `/v1` in their URL: so it may stand here as well.
    this.#base = String(options.baseUrl).replace(/(\/v1)?\/*$/, "");
    if (!URL.canParse(this.#base)) throw new TypeError(`baseUrl must be a URL; it is ${JSON.stringify(this.#base)}`);
  }

  /** Sends a request whose answer is JSON, or nothing (304); the JSON also as text, which has its numbers as they are stored. */
  async json<T>(call: Call): Promise<{ body: T | null; text: string; headers: Headers }> {
    const { status, headers, bytes } = await this.request(call);
    if (status === 304) return { body: null, text: "", headers };
    try {
      const text = new TextDecoder().decode(bytes);
      return { body: JSON.parse(text), text, headers };
    } catch (cause) {
      throw new ConversationStoreError(`${call.method} ${call.path} was answered with ${status}, but not with JSON`, { cause });
    }
  }

  async request(call: Call): Promise<Answer> {
    const request = this.#prepare(call);
    const { retries = 4 } = this.#options;
    const signal = call.options?.signal;
    for (let retry = 0; ; retry += 1) {
      const outcome = await this.#attempt(request, signal);
      const pause = retry < retries ? pauseAfter(outcome, retry) : undefined;
      if (pause === undefined) return accept(outcome);
      await sleep(pause, signal);
    }
  }

  #prepare({ method, path, query = {}, json, raw, isKeyed = ["POST", "PUT"].includes(method), options = {} }: Call): OutgoingRequest {
    const { owner, headers: more = {} } = this.#options;
    // Names of headers have no case, those of an object have.
    const own = Object.entries(more).map(([name, value]) => [name.toLowerCase(), value]);
    const headers: Record<string, string> = { accept: "application/json", ...Object.fromEntries(own) };
    if (owner !== undefined) headers["x-owner-id"] = owner;
    const contentType = raw?.contentType ?? (json === undefined ? undefined : "application/json");
    if (contentType !== undefined) headers["content-type"] = contentType;
    // 0 is the version of what is not there, as the errors of the store and `last` have it.
    const { ifMatch, ifNoneMatch = ifMatch === 0 ? "*" : undefined } = options;
    if (ifMatch) headers["if-match"] = entityTag(ifMatch);
    if (ifNoneMatch !== undefined) headers["if-none-match"] = entityTag(ifNoneMatch);
    // The key is the call's, not the attempt's: an attempt whose answer was lost is not done twice.
    const key = options.idempotencyKey === undefined ? crypto.randomUUID() : options.idempotencyKey;
    if (isKeyed && key !== null) headers["idempotency-key"] = key;
    const url = new URL(this.#base + path);
    url.search = toQuery(query);
    return { method, url, headers, body: raw?.body ?? (json === undefined ? undefined : JSON.stringify(json)) };
  }

  async #attempt(request: OutgoingRequest, signal: AbortSignal | undefined): Promise<Answer | ConnectionError> {
    const { timeout = 35_000, fetch = globalThis.fetch } = this.#options;
    // Made here, since what `fetch` throws for a header that is none looks like a lost connection.
    const headers = new Headers(request.headers);
    for (const [name, value] of Object.entries(await this.#credentials(request))) headers.set(name, value);
    signal?.throwIfAborted();
    const signals = [AbortSignal.timeout(timeout), ...(signal ? [signal] : [])];
    const { method, url, body } = request;
    try {
      const content = (body ?? null) as BodyInit | null;
      const response = await fetch(url, { method, headers, body: content, signal: AbortSignal.any(signals) });
      const answer = { status: response.status, headers: response.headers, bytes: await response.arrayBuffer() };
      this.#checkVersion(answer.headers);
      return answer;
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof IncompatibleVersionError) throw cause;
      return new ConnectionError(`${method} ${url} was not answered: ${cause}`, { cause });
    }
  }

  /** Done with the first answer that says its version: proxies may answer in the store's place, and may hide the header. */
  #checkVersion(headers: Headers): void {
    const version = headers.get("x-contract-version");
    if (this.#isCompatible || version === null) return;
    compare(version, CONTRACT_VERSION);
    this.#isCompatible = true;
  }

  async #credentials(request: OutgoingRequest): Promise<Record<string, string>> {
    const { token, sign } = this.#options;
    if (sign) return sign(request);
    if (token === undefined) return {};
    return { authorization: `Bearer ${typeof token === "function" ? await token() : token}` };
  }
}

/** An id as one part of a path. What is no id could name other data: gateways decode `%2F`, and `fetch` takes dots for a way up. */
export function segment(id: string, longest = 128): string {
  if (isId(id, longest)) return encodeURIComponent(id);
  const alphabet = "visible ASCII characters other than / ? # % \\ { } < > \" ' & `";
  throw new TypeError(`an id must not be empty, nor only dots, and has up to ${longest} ${alphabet}; it is ${JSON.stringify(id)}`);
}

/** The version or the revision that an answer is of. */
export function versionOf(headers: Headers): number {
  const tag = /^(?:W\/)?"(\d+)"$/.exec(headers.get("etag") ?? "");
  if (!tag) throw new ConversationStoreError("The answer has no ETag. Does something in front of the store remove it?");
  return Number(tag[1]);
}

/** The cursor to the page that the header `Link` names; null if there is none. */
export function nextCursor(headers: Headers): string | null {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers.get("link") ?? "");
  return link && new URL(link[1]!, "http://store").searchParams.get("after");
}

/** A page, and the version of the conversation that it is of. */
export function withVersion<P extends object>({ body, headers }: { body: P | null; headers: Headers }): (P & { version: number }) | null {
  return body && { ...body, version: versionOf(headers) };
}

const entityTag = (version: number | "*"): string => (version === "*" ? "*" : `"${version}"`);

/** Lists are repeated, objects are `name[key]=value`. A space is `%20`, as signatures have it. */
export function toQuery(query: object): string {
  const pairs = Object.entries(query).flatMap(([name, value]): [string, unknown][] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((one) => [name, one]);
    if (typeof value !== "object") return [[name, value]];
    return Object.entries(value).map(([key, one]) => [`${name}[${key}]`, one]);
  });
  return pairs.map((pair) => pair.map((part) => encodeURIComponent(String(part))).join("=")).join("&");
}

/** Another major version is another API. A server that is older than its client lacks operations, perhaps none that is used. */
function compare(server: string, client: string): void {
  const [major = 0, minor = 0] = server.split(".").map(Number);
  const [ownMajor = 0, ownMinor = 0] = client.split(".").map(Number);
  if (major !== ownMajor) throw new IncompatibleVersionError(client, server);
  if (minor >= ownMinor) return;
  console.warn(`conversation-store: the server has version ${server} of the API, this client ${client}; upgrade the server first.`);
}

function accept(outcome: Answer | ConnectionError): Answer {
  if (outcome instanceof ConnectionError) throw outcome;
  const { status, headers, bytes } = outcome;
  if ((status >= 200 && status < 300) || status === 304) return outcome;
  throw toError(status, headers, new TextDecoder().decode(bytes));
}

/** Milliseconds until the next attempt; undefined if there should be none. */
function pauseAfter(outcome: Answer | ConnectionError, retry: number): number | undefined {
  const pause = FIRST_PAUSE * 2 ** retry * (0.5 + Math.random() / 2);
  if (outcome instanceof ConnectionError) return pause;
  const { status, headers } = outcome;
  if (!PASSING.includes(status) || headers.get("x-should-retry") === "false") return undefined;
  const asked = retryAfter(headers.get("retry-after"));
  // To come back earlier than asked would not be polite, and to wait for longer is not ours to decide.
  return asked > LONGEST_PAUSE ? undefined : Math.max(asked, pause);
}

/** Milliseconds; the header has seconds or a date. */
function retryAfter(header: string | null): number {
  const seconds = Number(header ?? 0);
  const pause = Number.isNaN(seconds) ? Date.parse(header!) - Date.now() : seconds * 1000;
  return Number.isNaN(pause) ? 0 : pause;
}

export function sleep(pause: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, pause);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
