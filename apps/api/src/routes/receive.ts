import { withPatience } from "../deadline.ts";
import { answerOnce, fingerprintOf, idempotencyKeyOf, markOf } from "../idempotency.ts";
import type { Answer } from "../send.ts";
import { receiveUpload, type Upload } from "../upload.ts";
import type { UserContext } from "./route.ts";

type Receiver = UserContext<unknown, unknown>;

/** Does what is asked for. The mark is that of `markOf`, null for a request without a key. */
type Act = (mark: string | null) => Promise<Answer>;

/** Does what a request with these contents asks for, once per `Idempotency-Key`. */
export async function once(context: Receiver, contents: unknown, act: Act): Promise<Answer> {
  const { services, request, record, user } = context;
  const key = idempotencyKeyOf(request);
  if (key === null) return await act(null);
  const { store, logger } = services;
  const asked = { route: record.route, key, fingerprint: fingerprintOf(contents) };
  const mark = markOf(asked);
  const once = { ...asked, replies: store.replies, logger, user, requestId: record.id };
  return await answerOnce(once, () => act(mark));
}

/**
 * Receives a file and does with it what the request asks for. Bytes that no book came of are removed: a repeated request, one
 * whose other fields are wrong.
 */
export async function onceReceived(
  context: Receiver,
  act: (upload: Upload) => Promise<Act>,
): Promise<Answer> {
  const { services, request, user } = context;
  const { store, uploads, logger } = services;
  // What is wrong with the key is said before the file is sent.
  idempotencyKeyOf(request);
  const arriving = services.arriving.begin(user);
  let used = false;
  const work = async (upload: Upload) => {
    try {
      const prepared = await act(upload);
      return await once(context, { sha256: upload.sha256, fields: upload.fields }, (mark) => {
        used = true;
        return prepared(mark);
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
  try {
    const upload = await receiveUpload(request, user, { books: store.books, limits: uploads, arriving });
    return await withPatience(work(upload));
  } finally {
    arriving.end();
  }
}
