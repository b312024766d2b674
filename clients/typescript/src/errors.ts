import type { ErrorCode, Problem } from "./types.js";

/** Every error that this package throws by itself. */
export class ConversationStoreError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No answer arrived: the connection failed or was lost, or the time was up. `cause` is what `fetch` threw. */
export class ConnectionError extends ConversationStoreError {}

/** The server speaks another version of the contract than this client. */
export class IncompatibleVersionError extends ConversationStoreError {
  constructor(
    readonly client: string,
    readonly server: string,
  ) {
    super(
      `This client was made for version ${client} of the API, and the server has version ${server}. ` +
        `Install the client of the server's version.`,
    );
  }
}

/** The server answered with an error. */
export class ApiError extends ConversationStoreError {
  /** What programs decide by; undefined where something in front of the store answered. */
  readonly code: ErrorCode | undefined;
  /** The path to the value that the error is about, like `messages[3].role`. */
  readonly param: string | undefined;
  /** With 412: the version of the conversation; 0 if there is none. */
  readonly version: number | undefined;
  /** With 412 of a record: its revision; 0 if there is none. */
  readonly revision: number | undefined;

  constructor(
    readonly status: number,
    problem: Partial<Problem>,
    /** Names the request in the server's logs. */
    readonly requestId: string | undefined,
  ) {
    const { code, message } = problem;
    super(`${status}${code ? ` ${code}` : ""}: ${message ?? "the answer has no message"}`);
    this.code = code;
    this.param = problem.param ?? undefined;
    this.version = problem.version;
    this.revision = problem.revision;
  }
}

/** 401 and 403: the token is missing or invalid, or no owner is named. */
export class AuthenticationError extends ApiError {}
/** 404 */
export class NotFoundError extends ApiError {}
/** 409: an id or an idempotency key stands for something else, or what it stands for was deleted. */
export class ConflictError extends ApiError {}
/** 412: the conversation or the record is not at the version of the condition. Nothing was stored. */
export class PreconditionFailedError extends ApiError {}
/** 413 */
export class TooLargeError extends ApiError {}
/** 429: the gateway throttles. */
export class RateLimitError extends ApiError {}
/** 400, 405, 415 and others of the kind: the request breaks a rule. */
export class BadRequestError extends ApiError {}
/** 500 and above */
export class ServerError extends ApiError {}

const BY_STATUS: Record<number, typeof ApiError> = {
  401: AuthenticationError,
  403: AuthenticationError,
  404: NotFoundError,
  409: ConflictError,
  412: PreconditionFailedError,
  413: TooLargeError,
  429: RateLimitError,
};

/** The error that an answer stands for. What is in front of the store has errors of its own, which may be no JSON. */
export function toError(status: number, headers: Headers, body: string): ApiError {
  const Kind = BY_STATUS[status] ?? (status >= 500 ? ServerError : BadRequestError);
  return new Kind(status, problemOf(body), headers.get("x-request-id") ?? headers.get("apigw-requestid") ?? undefined);
}

function problemOf(body: string): Partial<Problem> {
  try {
    const { error, ...rest } = Object(JSON.parse(body));
    if (typeof error === "object" && error !== null) return error;
    // As API Gateway, AWS's services, OAuth's servers and frameworks have it.
    const messages = [rest.message, rest.Message, rest.error_description, error];
    return { message: messages.find((message) => typeof message === "string") };
  } catch {
    return { message: body.slice(0, 200) };
  }
}
