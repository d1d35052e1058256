import { withPatience } from "../deadline.ts";
import { answerOnce, fingerprintOf, idempotencyKeyOf } from "../idempotency.ts";
import type { Answer } from "../send.ts";
import { receiveUpload, type Upload } from "../upload.ts";
import type { UserContext } from "./route.ts";

type Receiver = UserContext<unknown, unknown>;

/** Does what a request with these contents asks for, once per `Idempotency-Key`. */
export async function once(
  context: Receiver,
  contents: unknown,
  act: () => Promise<Answer>,
): Promise<Answer> {
  const { services, request, requestId, user } = context;
  const key = idempotencyKeyOf(request);
  if (key === null) return await act();
  const { store, logger } = services;
  const route = `${request.method} ${request.url?.split("?")[0]}`;
  const fingerprint = fingerprintOf(contents);
  return await answerOnce({ replies: store.replies, logger, user, route, key, fingerprint, requestId }, act);
}

/**
 * Receives a file and does with it what the request asks for. Bytes that no book came of are removed: a repeated request, one
 * whose other fields are wrong.
 */
export async function onceReceived(
  context: Receiver,
  act: (upload: Upload) => Promise<() => Promise<Answer>>,
): Promise<Answer> {
  const { services, request, user } = context;
  const { store, limits, logger } = services;
  // What is wrong with the key is said before the file is sent.
  idempotencyKeyOf(request);
  const upload = await receiveUpload(request, user, { books: store.books, limits });
  let used = false;
  const work = async () => {
    try {
      const prepared = await act(upload);
      return await once(context, { sha256: upload.sha256, fields: upload.fields }, () => {
        used = true;
        return prepared();
      });
    } finally {
      if (!used) {
        // What cannot be removed now is collected after a day.
        await store.books
          .removeBytes(user, upload.id)
          .catch((err: unknown) => logger.warn({ err }, "bytes without a book were left behind"));
      }
    }
  };
  return await withPatience(work());
}
